"""Any pictures of people: `train/PERSON/*.jpg`, `query/PERSON/*.jpg`, `gallery/PERSON/*.jpg`.

A person is a folder, whatever its name; the names are sorted and numbered from 1 over all three
parts. Only `gallery/-1` is no person but junk, as in Market-1501: it counts for nothing. (Somebody
in the gallery whom no query shows, such as Market-1501's `0000`, is a wrong answer to every query,
as a distractor is.) A set may have the training part alone, or the test part alone.

The camera of a picture is known where its file name has a part such as `_c2` (also Market-1501's
`_c2s1`); where the cameras start at `_c0` they are counted from 1. Without such a part the camera
is 0, not known: matches by the query's own camera cannot be ignored then, only its very picture. A
part of a set where some cameras are known and others are not is refused (`consistency`).
"""

import re
from collections.abc import Sequence
from pathlib import Path

from passerby.datasets.rows import SPLITS, Row, files_below, numbered
from passerby.errors import BadInput, listing
from passerby.foreign import is_folder

NAME = re.compile(r"[^/]+/[^/]+\.(jpg|jpeg|png)", re.IGNORECASE)
CAMERA = re.compile(r"_c(\d{1,9})(?=[_.\-]|s\d)", re.IGNORECASE)


def read(root: Path, split_seed: int = 0) -> list[Row]:
    """Read the parts that are there; folders are the split, so the seed plays no part.

    Raises:
        BadInput: there is neither `train` nor `query` and `gallery`, or one of these two alone; a
            file is not a picture in a person's folder, or a person's name is a number below -1
            (they are named).
    """
    files = [(split, name) for split in _splits(root) for name in files_below(root / split)]
    strange = [f"{split}/{name}" for split, name in files if not NAME.fullmatch(name)]
    if strange or not files:
        raise BadInput(
            f"{root}: {len(strange)} files that are no PERSON/NAME.jpg (or .jpeg, .png) below "
            f"their part: {listing(strange)}; move them out"
            if strange
            else f"{root}: no picture in any part; wanted {SPLITS[0]}/PERSON/NAME.jpg"
        )
    number = numbered((_person(name) for _, name in files), root)
    found = cameras([name.rpartition("/")[2] for _, name in files])
    return [
        Row(split, f"{split}/{name}", number[_person(name)], camera)
        for (split, name), camera in zip(files, found, strict=True)
    ]


def cameras(names: Sequence[str]) -> list[int]:
    """The camera of each file name, from 1; 0 where it says none.

    Example:
        >>> cameras(["a_c2.jpg", "0002_c1s1_000451_03.jpg"]), cameras(["a_c0.jpg", "b_c1_2.png"])
        ([2, 1], [1, 2])
        >>> cameras(["a_c2.jpg", "b.jpg"]), cameras(["a_cat.jpg", "a_c3po.jpg"])
        ([2, 0], [0, 0])
    """
    found = [CAMERA.search(name) for name in names]
    numbers = [int(match[1]) if match else None for match in found]
    first = 1 if 0 in numbers else 0
    return [0 if number is None else number + first for number in numbers]


def _person(name: str) -> str:
    return name.partition("/")[0]


def _splits(root: Path) -> list[str]:
    """The parts that are there: the training part, the test part, or both."""
    there = [split for split in SPLITS if is_folder(root / split)]
    if not there or len({"query", "gallery"} & set(there)) == 1:
        raise BadInput(
            f"{root}: folders train, or query and gallery, or all three wanted, "
            f"{', '.join(there) or 'none of them'} found; each holds a folder for each person"
        )
    return there
