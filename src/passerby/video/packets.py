"""A pass over the packets of a video, without decoding: frame numbers, and what is missing.

Counts frames and maps time stamps to numbers (13 ms for 750 frames), and refuses a file that holds
less than it promises. A container that loses its thread in mid-file and finds it again has lost
frames nobody knows how many, so nothing behind has a number: such a file is refused too. (An mp4
with its index has none of this: damage spoils pictures, never numbers.)
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from passerby.errors import BadInput

# Of a container that states no frame count, so much may be missing at the end without a refusal.
SLACK_S = 1.0
SLACK_SHARE = 0.1
FORMATS = ("mov", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "ogg", "asf")
"""As FFmpeg calls them (mp4 is its `mov`). Each holds all of its pictures itself. Others, such as
`concat` and playlists, name further files and addresses, and FFmpeg would read those."""

# FFmpeg tells of a damaged Matroska file in its log only. The level is the process's, so it is set
# once, and Python's logger of that name stays silent: what there is to say the reader says.
av.logging.set_level(av.logging.ERROR)
logging.getLogger("libav").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Packets:
    """The packets of a video stream in order of decoding.

    Attributes:
        number: Frame number of each packet, `(T,)`; -1 for a packet that is not shown.
        key: Whether decoding can begin at the packet, `(T,)`.
        by_stamp: Position of the packet in order of decoding, by the frame's time stamp; `None`
            where stamps are missing or repeat (then frames are counted as they come).
    """

    number: np.ndarray
    key: np.ndarray
    by_stamp: dict[int, int] | None

    @property
    def frames(self) -> int:
        """How many frames are shown."""
        return int((self.number >= 0).sum())

    def spoilt_by(self, at: int) -> np.ndarray:
        """Which packets cannot be trusted when packet `at` was lost: a mask, `(T,)`.

        All from it to the next keyframe in order of decoding, and the frames that follow that
        keyframe in decoding but precede it in presentation: they refer back across it.
        """
        mask = np.zeros(len(self.key), bool)
        later = np.flatnonzero(self.key[at + 1 :]) + at + 1
        if len(later) == 0:
            mask[at:] = True
            return mask
        begin = int(later[0])
        end = int(later[1]) if len(later) > 1 else len(mask)
        mask[at:begin] = True
        mask[begin:end] |= self.number[begin:end] < self.number[begin]
        return mask


def opened(path: Path) -> av.container.InputContainer:
    """Open a video, whatever its name says it is, and nothing but this file.

    Raises:
        BadInput: it is no regular file, or of no format that is read.
        av.FFmpegError: it is missing, or FFmpeg cannot open it.
    """
    if path.exists() and not path.is_file():
        raise BadInput(f"{path}: not a regular file; a video was wanted")
    options = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}
    try:
        # Titles of old files are in any encoding; nothing here needs them.
        return av.open(f"file:{path}", options=options, metadata_errors="replace")
    except av.ArgumentError:
        raise BadInput(
            f"{path}: not a video that can be read: wanted one of the formats "
            f"{', '.join(FORMATS)}; convert it to mp4, or fetch it again"
        ) from None


def scan(path: Path) -> tuple[Packets, float]:
    """Read all packets of a video without decoding: `(packets, frames a second)`.

    Raises:
        BadInput: it is missing, is no video, or was cut short or damaged so that frames have no
            number (with the frame where that begins).
    """
    try:
        with opened(path) as container:
            if not container.streams.video:
                raise BadInput(f"{path}: no picture in it; a video was wanted")
            stream = container.streams.video[0]
            packets = _read(path, container)
            promised = _missing(path, container, packets)
            if promised:
                raise BadInput(
                    f"{path}: cut short: it ends at frame {len(packets) - 1}, but {promised}; "
                    "fetch it again"
                )
            return _numbered(packets), float(stream.average_rate or stream.guessed_rate or 0)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such video") from None
    except (av.FFmpegError, OSError) as error:
        words = getattr(error, "strerror", None) or type(error).__name__
        raise BadInput(f"{path}: not a video that can be read ({words})") from None


def _read(path: Path, container: av.container.InputContainer) -> list[av.Packet]:
    """All packets of the picture; refuses a container that loses its thread."""
    packets: list[av.Packet] = []
    with av.logging.Capture(local=True) as said:
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                packets.append(packet)
            told = any("matroska" in name for _, name, _ in said)
            if told or (packet.is_corrupt and container.format.name == "mpegts"):
                raise BadInput(
                    f"{path}: damaged at frame {len(packets)}: frames behind it have no certain "
                    "number; fetch it again"
                )
    return packets


def _missing(path: Path, container: av.container.InputContainer, packets: list[av.Packet]) -> str:
    """What the file promised beyond its packets, in words; empty where it kept its word."""
    stream = container.streams.video[0]
    if not packets:
        raise BadInput(f"{path}: a video without frames")
    if len(packets) < stream.frames:
        return f"its header says {stream.frames} frames"
    if packets[-1].is_corrupt:
        return "that frame is not whole"
    if stream.frames:
        return ""
    base = packets[-1].time_base
    ends = [packet.pts + (packet.duration or 0) for packet in packets if packet.pts is not None]
    if container.duration and ends and base:
        promised_s = container.duration / av.time_base
        came_s = float(max(ends) * base) - (container.start_time or 0) / av.time_base
        if came_s < promised_s - max(SLACK_S, SLACK_SHARE * promised_s):
            return f"its header says {promised_s:.1f} s, not {came_s:.1f}"
    read = max((packet.pos or 0) + packet.size for packet in packets)
    if 0 < read < (1 - SLACK_SHARE) * path.stat().st_size:
        return f"the file goes on for {path.stat().st_size - read:,} bytes"
    return ""


def _numbered(packets: list[av.Packet]) -> Packets:
    """Number packets by their time stamps, or by their order where stamps do not tell."""
    shown = np.array([not packet.is_discard for packet in packets])
    key = np.array([packet.is_keyframe for packet in packets])
    number = np.full(len(packets), -1, np.int64)
    stamps = [packet.pts for packet in packets]
    known = [stamp for stamp in stamps if stamp is not None]
    if len(set(known)) < len(packets):
        number[shown] = np.arange(shown.sum())
        return Packets(number, key, None)
    order = np.argsort(np.array(known), kind="stable")
    number[order[shown[order]]] = np.arange(shown.sum())
    return Packets(number, key, {stamp: at for at, stamp in enumerate(known)})
