"""Folders of images as a source of crops: the training images of a labelled set, labels unused.

Tracks come from the file names, as a perfect tracker would give them: the images of one person
from one camera and one recording are one track, so no identity crosses a camera. Test images never
join.
"""

import hashlib
from pathlib import Path

import numpy as np

from passerby import images
from passerby.crops import source
from passerby.crops.source import COLUMNS, Source, numbers_in_frame
from passerby.datasets import index
from passerby.errors import BadInput
from passerby.settings import Crops

PREFIX = "benchmark-"
_JPEG = b"\xff\xd8"


def from_benchmark(path: Path, root: Path, settings: Crops) -> Source:
    """The training images of a labelled set as unlabelled crops.

    Args:
        path: Its index, `data/benchmarks/NAME.tsv`.
        root: The folder that the index counts from.
        settings: Section `crops`.

    Raises:
        BadInput: the index cannot be used, an image is missing, is no picture, or is not the one
            that was indexed.
    """
    benchmark = index.read(path, root)
    name = PREFIX + benchmark.name
    train = sorted(
        (row.frame, row.path, row, digest)
        for row, digest in zip(benchmark.rows, benchmark.hashes, strict=True)
        if row.split == "train"
    )
    rows = [row for _, _, row, _ in train]
    pictures = [
        _picture(benchmark.root / row.path, digest, settings) for _, _, row, digest in train
    ]
    cameras = sorted({row.camera for row in rows})
    frame = np.array([row.frame for row in rows], np.int64)
    width = np.array([picture[1] for picture in pictures], np.float32)
    height = np.array([picture[2] for picture in pictures], np.float32)
    columns = {
        "frame": frame,
        "index": numbers_in_frame(frame),
        "box": np.stack([0 * width, 0 * width, width, height], axis=1),
        "track": tracks([(row.person, row.camera, row.sequence) for row in rows]),
        "camera": np.array([cameras.index(row.camera) for row in rows]),
        "width": width,
        "height": height,
        "person": source.people(benchmark.name, np.array([row.person for row in rows])),
    }
    return Source(
        name=name,
        kind="images",
        cameras=tuple(f"{name}/c{camera}" for camera in cameras),
        boxes=len(rows),
        jpegs=[picture[0] for picture in pictures],
        columns={key: columns[key].astype(dtype) for key, dtype in COLUMNS.items()},
    )


def tracks(keys: list[tuple[int, int, int]]) -> np.ndarray:
    """Number the tracks of images by `(person, camera, sequence)`, int64 `(N,)`.

    An image of nobody in particular (person 0 or -1) has no track: -1. Nor has one whose camera is
    not known (0): all images of a person would be one, and that is a label, not a track.

    Example:
        >>> tracks([(2, 1, 1), (2, 1, 1), (2, 3, 1), (0, 1, 1), (2, 0, 0)])
        array([ 0,  0,  1, -1, -1])
    """
    known = sorted({key for key in keys if key[0] > 0 and key[1] > 0})
    number = {key: n for n, key in enumerate(known)}
    return np.array([number.get(key, -1) for key in keys], np.int64)


def _picture(path: Path, digest: str, settings: Crops) -> tuple[bytes, int, int]:
    """The JPEG of an image file, unchanged where it is one, with its width and height."""
    if not path.exists():
        raise BadInput(f"{path}: no such image, but the index has it; {_AGAIN}")
    data = images.read_bytes(path)
    if hashlib.sha256(data).hexdigest()[: len(digest)] != digest:
        raise BadInput(f"{path}: not the image that was indexed; {_AGAIN}")
    image = images.decoded(data, path)
    jpeg = data if data.startswith(_JPEG) else images.encoded(image, settings.jpeg_quality)
    return jpeg, image.shape[1], image.shape[0]


_AGAIN = "unpack the set again, or index it anew with 'dvc repro benchmark'"
