"""CUHK03 as pictures in one folder, with the new protocol's split as it was published.

A picture's name, as torchreid extracts it (`torchreid/data/datasets/image/cuhk03.py`) and
`passerby extract` too, is `1_001_1_01.png`: pair of cameras (1 to 5), person of that pair, view (1
or 2), image of the person (1 to 5 in view 1, 6 to 10 in view 2).

The split (767 people train, 700 test; Zhong et al., "Re-ranking person re-identification with
k-reciprocal encoding", CVPR 2017) is `cuhk03_new_protocol_config_detected.mat` for the pictures
that a detector cut and `..._labeled.mat` for those cut by hand: `filelist`, `labels` (people, from
1 over all pairs) and `camId` of each picture, and places in that list, from 1, of each part.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import compress
from pathlib import Path

import numpy as np

from passerby.datasets.rows import Row, matched
from passerby.errors import BadInput, listing
from passerby.foreign import matlab

PEOPLE_OF_PAIR = (843, 440, 77, 58, 49)
IMAGES_OF_VIEW = 5
NAME = re.compile(r"([1-5])_(\d{3})_([12])_(0[1-9]|10)\.png")
EXAMPLE = "1_001_1_01.png"
COLUMNS = ("filelist", "labels", "camId")
PARTS = {"train": "train_idx", "query": "query_idx", "gallery": "gallery_idx"}


def file_name(pair: int, person: int, image: int) -> str:
    """The name of a picture.

    Args:
        pair: Pair of cameras, 1 to 5.
        person: Person of that pair, from 1.
        image: Image of the person, 1 to 10.

    Example:
        >>> file_name(2, 17, 5), file_name(2, 17, 6)
        ('2_017_1_05.png', '2_017_2_06.png')
    """
    view = 1 if image <= IMAGES_OF_VIEW else 2
    return f"{pair}_{person:03d}_{view}_{image:02d}.png"


def number(pair: int, person: int) -> int:
    """The number of a person over all pairs, which is the published split's: pair after pair.

    Raises:
        BadInput: CUHK03 has no such person.

    Example:
        >>> number(1, 1), number(1, 843), number(2, 1), number(5, 49)
        (1, 843, 844, 1467)
    """
    if not 1 <= pair <= len(PEOPLE_OF_PAIR) or not 1 <= person <= PEOPLE_OF_PAIR[pair - 1]:
        raise BadInput(
            f"no person {person} of camera pair {pair} in CUHK03; "
            f"pairs 1 to 5 have {', '.join(map(str, PEOPLE_OF_PAIR))} people"
        )
    return sum(PEOPLE_OF_PAIR[: pair - 1]) + person


def labels_of(name: str) -> tuple[int, int, int] | None:
    """Person over all pairs, camera and image of a picture's name; nothing where it is no name.

    Example:
        >>> labels_of("2_001_1_05.png"), labels_of("2_441_1_05.png")
        ((844, 1, 5), None)
    """
    match = NAME.fullmatch(name)
    if match is None:
        return None
    pair, person, view, image = map(int, match.groups())
    known = 1 <= person <= PEOPLE_OF_PAIR[pair - 1] and name == file_name(pair, person, image)
    return (number(pair, person), view, image) if known else None


def read(root: Path, split_file: str) -> list[Row]:
    """Read the published split, and see that the folder holds its pictures and no others.

    Args:
        root: The folder of pictures.
        split_file: Name of the split file in it, so that whoever watches the folder watches both.

    Raises:
        BadInput: the split file is not the published one; the folder is missing, or holds files
            whose names carry no labels; pictures are missing or not in the list (all of them).
    """
    there = {name.group() for name in matched(root, NAME, EXAMPLE, beside=[split_file])}
    rows = split(root / split_file)
    listed = {row.path for row in rows}
    missing, unlisted = sorted(listed - there), sorted(there - listed)
    if missing or unlisted:
        raise BadInput(
            f"{root}: its pictures are not those of {split_file}\n"
            f"  {len(missing):,} of {len(listed):,} are missing: {listing(missing) or 'none'}\n"
            f"  {len(unlisted):,} are not in its list: {listing(unlisted) or 'none'}\n"
            "  extract cuhk-03.mat again and whole ('passerby extract'); detected and labeled "
            "pictures have a split file each"
        )
    return rows


def split(path: Path) -> list[Row]:
    """The rows of a published split file.

    Raises:
        BadInput: it is missing or no MATLAB 5 file; variables are missing or of other lengths; or
            what it says of pictures does not hold together (all that is wrong).
    """
    columns = _columns(path)
    names = [str(name) for name in columns["filelist"]]
    people, cameras = columns["labels"].tolist(), columns["camId"].tolist()
    labels = [labels_of(name) for name in names]
    parts, beyond = _parts(columns, len(names))
    times = Counter(names)
    wrong = {
        f"have names other than {EXAMPLE}": [label is None for label in labels],
        "are of another person or camera than their names say": [
            label is not None and label[:2] != said
            for label, said in zip(labels, zip(people, cameras, strict=True), strict=True)
        ],
        "are listed again": [times[name] > 1 for name in names],
        "are not in one part exactly": [len(part) != 1 for part in parts],
    }
    _check(path, names, wrong, beyond)
    return [
        Row(part[0], name, label[0], label[1], frame=label[2])
        for name, label, part in zip(names, labels, parts, strict=True)
        if label
    ]


def _parts(columns: Mapping[str, np.ndarray], count: int) -> tuple[list[list[str]], list[int]]:
    """The parts that each picture is in, and places where there is none."""
    parts: list[list[str]] = [[] for _ in range(count)]
    beyond = []
    for part, variable in PARTS.items():
        for place in columns[variable].tolist():
            if 1 <= place <= count:
                parts[place - 1].append(part)
            else:
                beyond.append(place)
    return parts, beyond


def _columns(path: Path) -> dict[str, np.ndarray]:
    """The six variables, each in one dimension."""
    whole = matlab.read(path, "fetch it again", squeeze_me=True, struct_as_record=False)
    wanted = (*COLUMNS, *PARTS.values())
    lacking = [name for name in wanted if name not in whole]
    if lacking:
        raise BadInput(
            f"{path}: no {listing(lacking, 6)} in it, found {listing(list(whole)) or 'nothing'}; "
            "is it cuhk03_new_protocol_config_detected.mat or ..._labeled.mat?"
        )
    columns = {name: np.atleast_1d(whole[name]) for name in wanted}
    numbers = {name: columns[name] for name in wanted if name != "filelist"}
    strange = [name for name, col in numbers.items() if col.ndim > 1 or col.dtype.kind not in "iu"]
    if strange:
        raise BadInput(
            f"{path}: {listing(strange)}: columns of whole numbers wanted; fetch the file again"
        )
    lengths = {name: len(columns[name]) for name in COLUMNS}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{length:,} {name}" for name, length in lengths.items())
        raise BadInput(f"{path}: found {told}; one each for each picture wanted: fetch it again")
    return columns


def _check(
    path: Path, names: Sequence[str], wrong: Mapping[str, Sequence[bool]], beyond: Sequence[int]
) -> None:
    """Account for every picture of the list and for every place in it."""
    found = {what: list(compress(names, which)) for what, which in wrong.items()}
    said = [
        f"  {len(them):,} pictures {what}: {listing(them)}" for what, them in found.items() if them
    ]
    if beyond:
        said.append(f"  {len(beyond):,} places are not in the list: {listing(beyond)}")
    if said:
        told = "\n".join(said)
        raise BadInput(f"{path}: not the new protocol's split\n{told}\n  fetch the file again")
