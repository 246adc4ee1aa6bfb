"""Decoding videos, in order, with true frame numbers; the only user of a decoder.

A frame's number is its position in order of presentation, from 0. OpenCV's seeking and counting
miss frames on variable rates and end silently in damaged files, so neither is used: a pass over the
packets (no decoding) counts frames and maps time stamps to numbers; then everything is decoded in
order, and only wanted frames are converted.

Damage: a packet that the decoder refuses, or a frame that it marks as corrupt, spoils every later
frame until the next keyframe, mostly without a mark. Such frames are never delivered; they are
counted and named.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from passerby.errors import BadInput, listing
from passerby.video.packets import Packets, opened, scan

# H.264 and HEVC hold back 16 frames at most; a frame that is later than that does not come.
MOST_HELD_BACK = 17
# A hole in a file reads as zeros. H.264 and HEVC behind length prefixes (in mp4 and Matroska) never
# hold three zero bytes in a row but for a prefix, and their decoders often take zeros for pictures.
ZEROS = bytes(8)


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video is, as it is shown (rotation applied)."""

    frames: int
    fps: float
    width: int
    height: int


class VideoReader:
    """Reads a video in order, leaving out what is damaged.

    Args:
        path: The video.

    Raises:
        BadInput: it is missing, is no video, or was cut short (with the frame where it ends).

    Attributes:
        info: Frame count, rate and size.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._packets, fps = scan(self.path)
        self._damaged: set[int] = set()
        first = self._first_frame()
        turned = round(first.rotation / 90) % 2 == 1
        width, height = (first.width, first.height)[:: -1 if turned else 1]
        self.info = VideoInfo(self._packets.frames, fps, width, height)

    @property
    def damaged(self) -> list[range]:
        """Wanted frames that `frames` could not deliver so far, as runs of numbers."""
        return runs(self._damaged)

    def frames(self, wanted: Iterable[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield `(number, image)` of the wanted frames in order; damaged ones are left out.

        Args:
            wanted: Frame numbers, in any order; all where `None`. Numbers outside the video are
                the caller's mistake.

        Yields:
            The number and a `uint8 (H, W, 3)` RGB image, as it is shown (rotation applied).

        Raises:
            BadInput: a frame differs in size from the first one.
        """
        asked = set(range(self.info.frames)) if wanted is None else set(wanted)
        self._damaged = set()
        if not asked:
            return
        if min(asked) < 0 or max(asked) >= self.info.frames:
            raise ValueError(f"{self.path} has frames 0 to {self.info.frames - 1}")
        came = set()
        converter = VideoReformatter()
        for number, frame in self._decoded(max(asked)):
            if number in asked:
                came.add(number)
                yield number, self._image(converter, number, frame)
        self._damaged = asked - came

    def _image(self, converter: VideoReformatter, number: int, frame: VideoFrame) -> np.ndarray:
        # One kept converter with one thread: 0.1 ms a frame, against 1.4 of Frame.to_ndarray.
        rgb = converter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        image = upright(rgb, frame.rotation)
        if image.shape[:2] != (self.info.height, self.info.width):
            raise BadInput(
                f"{self.path}: frame {number} is {image.shape[1]}x{image.shape[0]}, the first was "
                f"{self.info.width}x{self.info.height}; a video of one size was wanted"
            )
        return image

    def _first_frame(self) -> VideoFrame:
        for _, frame in self._decoded(self._packets.frames - 1):
            return frame
        raise BadInput(f"{self.path}: none of its {self._packets.frames} frames can be decoded")

    def _decoded(self, last: int) -> Iterator[tuple[int, VideoFrame]]:
        """Yield `(number, frame)` of undamaged frames up to number `last`."""
        with opened(self.path) as container:
            if self._packets.by_stamp is None:
                found = self._counted(container)
            else:
                found = _Sieve(self._packets).sift(_outcomes(container, self._packets.by_stamp))
            for number, frame in found:
                if number > last:
                    return
                yield number, frame

    def _counted(self, container: av.container.InputContainer) -> Iterator[tuple[int, VideoFrame]]:
        """Without time stamps frames are counted, and nothing behind an error has a number."""
        number = 0
        for packet in _video_packets(container):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                return
            for frame in frames:
                if frame.is_corrupt:
                    return
                yield number, frame
                number += 1


def probe(path: str | Path) -> VideoInfo:
    """Count the frames of a video by its packets, and decode the first.

    Raises:
        BadInput: it is missing, is no video, was cut short, or nothing of it can be decoded.
    """
    return VideoReader(path).info


def frames(
    path: str | Path, wanted: Iterable[int] | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield `(number, image)` of the wanted frames, and refuse a damaged video at the end.

    As `VideoReader.frames`, for callers who have no use for part of what they asked for.

    Raises:
        BadInput: as `VideoReader`; and when wanted frames are damaged, naming them, after all that
            are not.
    """
    reader = VideoReader(path)
    yield from reader.frames(wanted)
    if reader.damaged:
        raise BadInput(f"{path}: damaged {describe(reader.damaged)}; fetch the video again")


def upright(image: np.ndarray, rotation: int) -> np.ndarray:
    """Turn a decoded image as players show it; `rotation` is the frame's, in degrees.

    Args:
        image: `(H, W, 3)`.
        rotation: Counter-clockwise turn that the file asks for, a multiple of 90.

    Returns:
        `(H, W, 3)` or `(W, H, 3)`, contiguous.
    """
    return np.ascontiguousarray(np.rot90(image, round(rotation / 90) % 4))


def runs(numbers: Iterable[int]) -> list[range]:
    """Consecutive numbers as ranges.

    Example:
        >>> runs([7, 1, 2, 3])
        [range(1, 4), range(7, 8)]
    """
    found: list[range] = []
    for number in sorted(numbers):
        if found and found[-1].stop == number:
            found[-1] = range(found[-1].start, number + 1)
        else:
            found.append(range(number, number + 1))
    return found


def describe(damaged: list[range]) -> str:
    """Runs of frames in words.

    Example:
        >>> describe([range(1, 4), range(7, 8)])
        'frames: 4 (1-3, 7)'
    """
    texts = [f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in damaged]
    return f"frames: {sum(map(len, damaged)):,} ({listing(texts)})"


class _Sieve:
    """Lets frames through once it is known that nothing before them, in decoding, was lost.

    A frame that was decoded later can come out earlier, so a frame waits until every packet before
    its own has come out too, or is known as lost.
    """

    def __init__(self, packets: Packets) -> None:
        self.packets = packets
        self.resolved = packets.number < 0
        self.spoilt = np.zeros(len(self.resolved), bool)
        self.front = 0  # all packets before it are resolved
        self.waiting: deque[tuple[int, VideoFrame]] = deque()

    def sift(
        self, outcomes: Iterable[tuple[int, VideoFrame | None]]
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Turn `(position of packet, frame or None for lost)` into `(number, frame)`, in order."""
        for at, frame in outcomes:
            self._note(at, lost=frame is None or frame.is_corrupt)
            if frame is not None:
                self.waiting.append((at, frame))
            yield from self._ready()
        self._give_up_until(len(self.resolved))
        yield from self._ready()

    def _note(self, at: int, lost: bool) -> None:
        self.resolved[at] = True
        if lost:
            self.spoilt |= self.packets.spoilt_by(at)

    def _ready(self) -> Iterator[tuple[int, VideoFrame]]:
        while self.waiting:
            while self.front < len(self.resolved) and self.resolved[self.front]:
                self.front += 1
            at, frame = self.waiting[0]
            if self.front < at:
                if len(self.waiting) <= MOST_HELD_BACK:
                    return
                self._give_up_until(at)
            self.waiting.popleft()
            if not self.spoilt[at]:
                yield int(self.packets.number[at]), frame

    def _give_up_until(self, at: int) -> None:
        """Count packets before `at` that gave no frame as lost."""
        for missing in np.flatnonzero(~self.resolved[:at]):
            self._note(int(missing), lost=True)


def _outcomes(
    container: av.container.InputContainer, by_stamp: dict[int, int]
) -> Iterator[tuple[int, VideoFrame | None]]:
    """Decode: for each frame, and each packet that was refused, its position in decoding."""
    codec = container.streams.video[0].codec_context
    prefixed = codec.name in ("h264", "hevc") and (codec.extradata or b"")[:1] == b"\1"
    for packet in _video_packets(container):
        if prefixed and packet.pts in by_stamp and ZEROS in bytes(packet):
            yield by_stamp[packet.pts], None
        try:
            decoded = packet.decode()
        except av.FFmpegError:
            if packet.pts in by_stamp:
                yield by_stamp[packet.pts], None
            continue
        for frame in decoded:
            if frame.pts in by_stamp:
                yield by_stamp[frame.pts], frame


def _video_packets(container: av.container.InputContainer) -> Iterator[av.Packet]:
    """The packets of the first video stream, and the empty one that flushes the decoder.

    One decoding thread: with frame threads an error is reported at a later packet than its own.
    """
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    yield from container.demux(stream)
