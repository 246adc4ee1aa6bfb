"""A folder of numbered pictures (MOTChallenge's `img1`, say) as a video."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from passerby import places
from passerby.errors import BadInput, listing
from passerby.images import read_image
from passerby.video.encode import write_mp4

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}


def pack(folder: str | Path, out: str | Path, fps: int) -> int:
    """Write the pictures of a folder, in the order of the numbers in their names, as an mp4.

    Args:
        folder: Pictures of one size, even in both directions, numbered without a gap.
        out: The video; its frame 0 is the picture with the lowest number.
        fps: Frames a second.

    Returns:
        How many frames the video has.

    Raises:
        BadInput: no pictures, numbers missing or twice, or a picture that cannot be read; or `out`
            is one of them.
    """
    paths = numbered(folder)
    places.require_unread(out, paths)
    return write_mp4(out, _images(paths), fps)


def numbered(folder: str | Path) -> list[Path]:
    """The pictures of a folder in the order of their numbers.

    Raises:
        BadInput: there are none, or their numbers have gaps or repeats.
    """
    found = [p for p in Path(folder).glob("*") if p.suffix.lower() in SUFFIXES]
    digits = {path: re.findall(r"\d+", path.stem) for path in found}
    unnumbered = sorted(path.name for path in found if not digits[path])
    if not found or unnumbered:
        what = f"no number in {listing(unnumbered)}" if unnumbered else "no pictures"
        raise BadInput(f"{folder}: {what}; pictures with numbers in their names were wanted")
    by_number = sorted((int(digits[path][-1]), path) for path in found)
    for (before, _), (number, path) in itertools.pairwise(by_number):
        if number != before + 1:
            raise BadInput(
                f"{path}: picture {number} follows picture {before}; a frame for each number was "
                "wanted"
            )
    return [path for _, path in by_number]


def _images(paths: list[Path]) -> Iterator[np.ndarray]:
    yield from map(read_image, paths)
