"""`data/detections.parquet`: every person box of every video, in one table.

Rows are sorted by video name, frame, and order within the frame. Frames count from 0; boxes are
xyxy in absolute pixels of the stated picture size; a track is a number within its video, -1 for
none. Equal detections give equal bytes.
"""

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from passerby import files
from passerby.errors import BadInput
from passerby.foreign import reading, require_file, texts
from passerby.video.listing import fault_of_name

FORMAT = "passerby.detections/1"
SIDES = ("x1", "y1", "x2", "y2")
ROWS_A_GROUP = 1 << 20


@dataclass(frozen=True)
class Boxes:
    """Person boxes of one video, sorted by frame.

    Attributes:
        frame: `(N,)` int32, from 0.
        box: `(N, 4)` float32, xyxy, absolute pixels, unclipped.
        confidence: `(N,)` float32 in [0, 1].
        track: `(N,)` int32, -1 for none.
    """

    frame: np.ndarray
    box: np.ndarray
    confidence: np.ndarray
    track: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    def at(self, which: np.ndarray) -> "Boxes":
        """The rows that `which` (a mask, positions or a slice) picks."""
        return Boxes(self.frame[which], self.box[which], self.confidence[which], self.track[which])


def boxes(frame: Any = (), box: Any = (), confidence: Any = None, track: Any = None) -> Boxes:
    """Boxes out of anything array-like, sorted by frame; order within a frame is kept.

    Args:
        frame: `(N,)`.
        box: `(N, 4)`.
        confidence: `(N,)`; 1 where not given.
        track: `(N,)`; -1 where not given.

    Example:
        >>> boxes([3, 1], [[0, 0, 2, 5], [1, 0, 3, 5]]).frame.tolist()
        [1, 3]
    """
    frames = np.asarray(frame, np.int32).reshape(-1)
    count = len(frames)
    found = Boxes(
        frames,
        np.asarray(box, np.float32).reshape(count, 4),
        np.ones(count, np.float32) if confidence is None else np.asarray(confidence, np.float32),
        np.full(count, -1, np.int32) if track is None else np.asarray(track, np.int32),
    )
    return found.at(np.argsort(frames, kind="stable"))


@dataclass(frozen=True)
class Detections:
    """Person boxes of many videos.

    Attributes:
        videos: Names of all videos, sorted, also of those without a box.
        widths: `(len(videos),)` int32, picture width in pixels that the boxes refer to.
        heights: `(len(videos),)` int32.
        source: Where the boxes come from: `pickles`, `ultralytics`, `yolox`.
        video: `(N,)` int32, index into `videos`.
        frame: `(N,)` int32, from 0.
        box: `(N, 4)` float32, xyxy.
        confidence: `(N,)` float32.
        track: `(N,)` int32, within the video; -1 for none.
    """

    videos: tuple[str, ...]
    widths: np.ndarray
    heights: np.ndarray
    source: str
    video: np.ndarray
    frame: np.ndarray
    box: np.ndarray
    confidence: np.ndarray
    track: np.ndarray

    def __len__(self) -> int:
        return len(self.video)

    def rows(self, video: str) -> slice:
        """The rows of one video.

        Raises:
            KeyError: no such video.
        """
        index = bisect_left(self.videos, video)
        if self.videos[index : index + 1] != (video,):
            raise KeyError(video)
        first, last = np.searchsorted(self.video, [index, index + 1])
        return slice(int(first), int(last))

    def of(self, video: str) -> Boxes:
        """The boxes of one video.

        Raises:
            KeyError: no such video.
        """
        at = self.rows(video)
        return Boxes(self.frame[at], self.box[at], self.confidence[at], self.track[at])


def joined(parts: dict[str, Boxes], sizes: dict[str, tuple[int, int]], source: str) -> Detections:
    """The boxes of many videos as one table, sorted by name.

    Args:
        parts: Boxes by video name.
        sizes: `(width, height)` in pixels by video name.
        source: Where they come from.
    """
    names = sorted(parts)
    every: Sequence[Boxes] = [boxes(), *(parts[name] for name in names)]
    counts = [len(parts[name]) for name in names]
    return Detections(
        videos=tuple(names),
        widths=np.array([sizes[name][0] for name in names], np.int32),
        heights=np.array([sizes[name][1] for name in names], np.int32),
        source=source,
        video=np.repeat(np.arange(len(names), dtype=np.int32), counts),
        frame=np.concatenate([part.frame for part in every]),
        box=np.concatenate([part.box for part in every]),
        confidence=np.concatenate([part.confidence for part in every]),
        track=np.concatenate([part.track for part in every]),
    )


def write(path: str | Path, detections: Detections) -> None:
    """Write the table whole."""
    header = {
        "format": FORMAT,
        "source": detections.source,
        "videos": [
            {"name": name, "width": int(width), "height": int(height)}
            for name, width, height in zip(
                detections.videos, detections.widths, detections.heights, strict=True
            )
        ],
    }
    names = pa.DictionaryArray.from_arrays(
        pa.array(detections.video, pa.int32()), pa.array(detections.videos, pa.string())
    )
    columns = {
        "video": names,
        "frame": pa.array(detections.frame, pa.int32()),
        **{
            side: pa.array(np.ascontiguousarray(detections.box[:, at]), pa.float32())
            for at, side in enumerate(SIDES)
        },
        "confidence": pa.array(detections.confidence, pa.float32()),
        "track": pa.array(detections.track, pa.int32()),
    }
    table = pa.table(columns).replace_schema_metadata(
        {"passerby": json.dumps(header, sort_keys=True)}
    )
    with files.written_whole(path) as beside:
        pq.write_table(table, beside, compression="zstd", row_group_size=ROWS_A_GROUP)


def read(path: str | Path) -> Detections:
    """Read the table.

    Raises:
        BadInput: it is missing, is no such table, or is of another version.
    """
    require_file(path, "the stage 'detect' writes it")
    with reading(path, "a table of detections", "run 'detect' again"):
        table = pq.read_table(path)
        told = (table.schema.metadata or {}).get(b"passerby", b"{}")
        header = texts.json_value(texts.decoded(told, path), path)
        if header.get("format") != FORMAT:
            raise BadInput(
                f"{path}: found format {header.get('format')!r}, wanted {FORMAT!r}; "
                "run 'detect' again"
            )
        return _detections(table, header, path)


def _detections(table: pa.Table, header: dict[str, Any], path: str | Path) -> Detections:
    """What a table and its header say."""
    videos = tuple(video["name"] for video in header["videos"])
    for name in videos:
        if fault := fault_of_name(name):
            raise BadInput(
                f"{path}: the name of a video {fault}: {name[:80]!r}; run 'detect' again"
            )
    index = {name: at for at, name in enumerate(videos)}
    coded = table["video"].combine_chunks().dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    numbers = np.array([index[name] for name in coded.dictionary.to_pylist()], np.int32)
    column = {name: table[name].to_numpy() for name in table.column_names if name != "video"}
    return Detections(
        videos=videos,
        widths=np.array([video["width"] for video in header["videos"]], np.int32),
        heights=np.array([video["height"] for video in header["videos"]], np.int32),
        source=header["source"],
        video=numbers[coded.indices.to_numpy()] if len(numbers) else np.empty(0, np.int32),
        frame=column["frame"],
        box=np.stack([column[side] for side in SIDES], axis=1),
        confidence=column["confidence"],
        track=column["track"],
    )
