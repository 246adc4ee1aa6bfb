"""MSMT17's layout: two folders of people, and four lists that say what is in them.

Wei et al., arXiv 1711.08565. Its first version has the folders `train` and `test`, its second
(faces blurred) `mask_train_v2` and `mask_test_v2`; the lists are the same. A line of a list is a
path and a person, `0000/0000_000_01_0303morning_0008_0.jpg 0`. A name is person, number of the
picture, camera (1 to 15), recording (day, and part of the day), a number in it that is taken for
the frame, and more.

Training are `list_train.txt` (30,248 images) and `list_val.txt` (2,373), of the same 1,041 people:
the 32,621 that the paper counts. (torchreid and fast-reid leave the second out unless told to
`combineall`.)
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from passerby.datasets.rows import Row, files_below
from passerby.errors import BadInput, listing
from passerby.foreign import is_folder, texts

VERSIONS = (("train", "test"), ("mask_train_v2", "mask_test_v2"))
"""Folders of training and of test people, of each version."""
LISTS = {
    "list_train.txt": "train",
    "list_val.txt": "train",
    "list_query.txt": "query",
    "list_gallery.txt": "gallery",
}
LINE = re.compile(r"(\S.*?)\s+(\d+)")
NAME = re.compile(r"[^_]+_[^_]+_0*([1-9]\d{0,4})(?:_([^_.]+)(?:_(\d{1,9}))?)?[_.].+")


class Listed(NamedTuple):
    """One line of a list."""

    where: str
    split: str
    text: str
    path: str
    """Relative to the root; empty where the line is not a path and a number."""
    label: int
    """From 0, in the training and in the test part each."""

    @property
    def name(self) -> re.Match[str] | None:
        """The file name's parts (camera, recording, frame), or nothing where it has no camera."""
        return NAME.fullmatch(self.path.rpartition("/")[2])


def read(root: Path, split_seed: int = 0) -> list[Row]:
    """Read what the lists name; the split is fixed, so the seed plays no part.

    The lists count people from 0 in both parts. Here a training person is its number and one more,
    and test people are numbered on after the last of them.

    Raises:
        BadInput: a folder or a list is missing; or lists and files do not agree: lines that are not
            a path and a number, names without a camera, listed files that are missing or listed
            twice, files that no list names (all of them at once).
    """
    folders = _folders(root)
    lines = [line for name, split in LISTS.items() for line in _lines(root, name, split, folders)]
    _check(root, lines, [f"{f}/{name}" for f in folders for name in files_below(root / f)])
    recordings = sorted({line.name[2] or "" for line in lines if line.name} - {""})
    number = {"": 0, **{name: n for n, name in enumerate(recordings, start=1)}}
    train = max((line.label + 1 for line in lines if line.split == "train"), default=0)
    return [
        Row(
            line.split,
            line.path,
            line.label + 1 + (0 if line.split == "train" else train),
            int(name[1]),
            number[name[2] or ""],
            int(name[3] or -1),
        )
        for line in lines
        if (name := line.name)
    ]


def _folders(root: Path) -> tuple[str, str]:
    """The folders of the version that lies there."""
    found = [pair for pair in VERSIONS if any(is_folder(root / folder) for folder in pair)]
    if len(found) != 1:
        pairs = " or ".join(" and ".join(pair) for pair in VERSIONS)
        raise BadInput(
            f"{root}: folders {pairs} wanted, {'both' if found else 'neither'} found; let 'root' "
            "name the folder of one version of MSMT17, unpacked whole"
        )
    return found[0]


def _lines(root: Path, name: str, split: str, folders: tuple[str, str]) -> Iterator[Listed]:
    path = root / name
    advice = f"MSMT17 has the lists {', '.join(LISTS)}: unpack it whole"
    folder = folders[split != "train"]
    for number, text in enumerate(texts.lines(path, advice), start=1):
        parts = LINE.fullmatch(text.strip())
        label = texts.whole_number(parts[2]) if parts else None
        listed = ("", 0) if parts is None or label is None else (f"{folder}/{parts[1]}", label)
        if text.strip():
            yield Listed(f"{name} line {number}", split, text.strip(), *listed)


def _check(root: Path, lines: Sequence[Listed], files: Sequence[str]) -> None:
    """Account for every line of the lists and for every file of the folders."""
    good = [line for line in lines if line.path]
    times, there = Counter(line.path for line in good), set(files)
    faults = {
        "are not 'path number'": [f"{x.where} ('{x.text[:40]}')" for x in lines if not x.path],
        "name no camera": [f"{x.where} ({x.path})" for x in good if not x.name],
        "name a file that is missing": [
            f"{x.where} ({x.path})" for x in good if x.path not in there
        ],
        "name a file again": [path for path, count in times.items() if count > 1],
    }
    said = [f"  {len(them)} lines {what}: {listing(them)}" for what, them in faults.items() if them]
    unlisted = [path for path in files if path not in times]
    if unlisted:
        said.append(f"  {len(unlisted)} files that no list names: {listing(unlisted)}")
    if said:
        told = "\n".join(said)
        raise BadInput(
            f"{root}: lists and files of MSMT17 do not agree\n{told}\n"
            "  unpack the set again and whole, and move other files out of its folders"
        )
