"""CUHK01: one folder of `IIIINNN.png`, four images a person, two in each of two views.

Images 1 and 2 are of camera 1, 3 and 4 of camera 2. The set comes without a split: half of the
people (485 of 971) train and the others test, drawn by seed. Camera 1 of the test people are the
queries and camera 2 the gallery (multi-shot: two images of each person). Figures are reported as
means over ten such splits: those of the seeds 0 to 9 (`splits`).
"""

import re
from pathlib import Path

from passerby import seeds
from passerby.datasets.rows import Row, matched
from passerby.errors import BadInput, listing

NAME = re.compile(r"(\d{4})(\d{3})\.(png|jpg)")
EXAMPLE = "0001001.png"
CAMERA_OF_IMAGE = {1: 1, 2: 1, 3: 2, 4: 2}


def read(root: Path, split_seed: int = 0) -> list[Row]:
    """Read the folder and draw its split.

    Raises:
        BadInput: the folder is missing, or a name carries no labels, or an image is numbered
            other than 1 to 4.
    """
    names = list(matched(root, NAME, EXAMPLE))
    strange = [name.group() for name in names if int(name[2]) not in CAMERA_OF_IMAGE]
    if strange:
        raise BadInput(
            f"{root}: images of a person are numbered 001 to 004, two a camera; "
            f"found {listing(strange)}: is this CUHK01's folder 'campus'?"
        )
    train = train_people([int(name[1]) for name in names], split_seed)
    return [_row(name, train) for name in names]


def train_people(people: list[int], split_seed: int) -> frozenset[int]:
    """Draw the half of the people (rounded down) that train.

    Example:
        >>> len(train_people(list(range(1, 972)), 0))
        485
    """
    known = sorted(set(people))
    drawn = seeds.stream(split_seed, "cuhk01", "split").permutation(known)
    return frozenset(int(person) for person in drawn[: len(known) // 2])


def splits(people: list[int], count: int = 10) -> tuple[tuple[int, ...], ...]:
    """The people who test in each split, sorted: split number n is that of `split_seed` n.

    Example:
        >>> [len(test) for test in splits(list(range(1, 972)), 3)]
        [486, 486, 486]
    """
    return tuple(
        tuple(sorted(set(people) - train_people(people, split_seed))) for split_seed in range(count)
    )


def _row(name: re.Match[str], train: frozenset[int]) -> Row:
    person, image = int(name[1]), int(name[2])
    camera = CAMERA_OF_IMAGE[image]
    split = "train" if person in train else "query" if camera == 1 else "gallery"
    return Row(split, name.group(), person, camera, frame=image)
