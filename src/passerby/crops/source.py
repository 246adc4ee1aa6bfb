"""The crops of one source, a video or a folder of images, on their way to the store.

This file owns the shard format `passerby.shard/3`: one `.npz` a source, sealed, written whole into
scratch, so that a run that was killed goes on with the first source that it had not finished.
"""

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from passerby import sealed

FORMAT = "passerby.shard/3"

Kind = Literal["video", "images"]
Reason = Literal[
    "empty", "outside", "cut", "small", "narrow", "aspect", "every", "damaged", "blurred", "repeat"
]
REASONS: tuple[Reason, ...] = get_args(Reason)
"""Why a box is no crop, in the order in which it is asked; a box counts for the first.

    empty: it has no area, or a number in it is none; outside: no part of it is in the picture;
    cut: too little of it is; small, narrow, aspect: the rest is not high, wide or upright enough;
    every: too soon after the last chosen box of its track; damaged: its frame cannot be decoded;
    blurred: not sharp enough; repeat: nearly the last kept crop of its track.
"""

COLUMNS: dict[str, np.dtype[Any]] = {
    "frame": np.dtype("<i4"),
    "index": np.dtype("<i4"),
    "box": np.dtype("<f4"),
    "track": np.dtype("<i8"),
    "camera": np.dtype("<i4"),
    "width": np.dtype("<i4"),
    "height": np.dtype("<i4"),
    "person": np.dtype("<i8"),
}


@dataclass(frozen=True)
class Source:
    """What one video or folder of images gave.

    `N` crops, in the order of `(frame, index)`:

    Args:
        name: `country+city+id` of a video, or the name of a set of images.
        kind: `video` or `images`.
        cameras: Names of the cameras that `columns["camera"]` counts.
        boxes: How many boxes (or images) there were.
        left_out: How many of them are no crops, by reason; no zeros.
        jpegs: `N` JPEG files.
        columns: `frame` `(N,)` from 0 (-1: not known), `index` `(N,)` the box's number in its
            frame, `box` `(N, 4)` xyxy pixels within the frame, `track` `(N,)` from 0, of this
            source alone (-1: none), `camera` `(N,)`, `width` and `height` `(N,)` of the JPEG,
            `person` `(N,)` who it is where that is known (-1: it is not); equal numbers are one
            person, also in other sources. For counting only: nothing is trained with it.
    """

    name: str
    kind: Kind
    cameras: tuple[str, ...]
    boxes: int
    left_out: dict[str, int] = field(default_factory=dict)
    jpegs: list[bytes] = field(default_factory=list, repr=False)
    columns: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        left_out = sum(self.left_out.values())
        assert self.boxes == len(self.jpegs) + left_out, f"{self.name}: boxes without an account"
        assert all(len(self.columns[name]) == len(self.jpegs) for name in COLUMNS), self.name

    @property
    def facts(self) -> dict[str, Any]:
        """The source in a header: names and counts."""
        return {
            "name": self.name,
            "kind": self.kind,
            "boxes": self.boxes,
            "kept": len(self.jpegs),
            "left_out": dict(sorted(self.left_out.items())),
        }


def people(name: str, person: np.ndarray) -> np.ndarray:
    """People of a labelled set as numbers that no other source uses, int64 `(N,)`; -1 for nobody.

    Example:
        >>> one, other = people("a", np.array([1, 2, 0])), people("b", np.array([1]))
        >>> bool(one[0] == other[0]), bool(one[1] - one[0] == 1), int(one[2])
        (False, True, -1)
    """
    space = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=3).digest(), "big") + 1
    return np.where(person > 0, (space << 32) + person.astype(np.int64), -1)


def write(path: str | Path, source: Source) -> None:
    """Write a shard whole."""
    about = {"format": FORMAT, "cameras": source.cameras, **source.facts}
    with sealed.written(path) as beside, open(beside, "wb") as file:
        arrays: dict[str, Any] = {
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
            "bytes": np.frombuffer(b"".join(source.jpegs), np.uint8),
            "sizes": np.array([len(jpeg) for jpeg in source.jpegs], np.int64),
        }
        np.savez(file, **(arrays | source.columns))


def read(path: str | Path) -> Source:
    """Read a shard.

    Raises:
        Damaged: it is not what was written.
        ValueError: it is of another format (a bug: shards lie in scratch, named by contract).
    """
    with np.load(io.BytesIO(sealed.read(path)), allow_pickle=False) as stored:
        about = json.loads(stored["about"].tobytes())
        if about["format"] != FORMAT:
            raise ValueError(f"{path}: {about['format']} found, {FORMAT} wanted")
        data, ends = stored["bytes"].tobytes(), np.cumsum(stored["sizes"])
        begins = ends - stored["sizes"]
        return Source(
            name=about["name"],
            kind=about["kind"],
            cameras=tuple(about["cameras"]),
            boxes=about["boxes"],
            left_out=about["left_out"],
            jpegs=[data[begin:end] for begin, end in zip(begins, ends, strict=True)],
            columns={name: stored[name] for name in COLUMNS},
        )


def numbers_in_frame(frame: np.ndarray) -> np.ndarray:
    """The number of each box within its frame, int32 `(N,)`; `frame` `(N,)` is not falling.

    Example:
        >>> numbers_in_frame(np.array([3, 3, 4, 9, 9, 9]))
        array([0, 1, 0, 0, 1, 2], dtype=int32)
    """
    first = np.searchsorted(frame, frame, side="left")
    return (np.arange(len(frame)) - first).astype(np.int32)


def dense(tracks: np.ndarray, first: int) -> tuple[np.ndarray, int]:
    """Number the tracks of one source anew from `first`, in their order; -1 stays.

    Returns:
        `(tracks, count)`: int64 `(N,)`, and how many there are.

    Example:
        >>> dense(np.array([7, -1, 3, 7]), first=10)
        (array([11, -1, 10, 11]), 2)
    """
    known = np.unique(tracks[tracks >= 0])
    numbers = np.searchsorted(known, tracks) + first
    return np.where(tracks >= 0, numbers, -1), len(known)


def added(counts: list[dict[str, int]]) -> dict[str, int]:
    """The sums of several counts, sorted by name.

    Example:
        >>> added([{"small": 2}, {"cut": 1, "small": 1}])
        {'cut': 1, 'small': 3}
    """
    names = sorted({name for count in counts for name in count})
    return {name: sum(count.get(name, 0) for count in counts) for name in names}
