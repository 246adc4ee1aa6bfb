"""What every reader of a labelled set gives: one row an image, labels out of its file name."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from passerby import files
from passerby.errors import BadInput, listing
from passerby.foreign import is_folder

SPLITS = ("train", "query", "gallery")
JUNK = -1
"""Person of a gallery image that counts for nothing."""
DISTRACTOR = 0
"""Person of a gallery image that is a wrong answer to every query."""

NEGATIVE = re.compile(r"\s*[-\u2010-\u2015\u2212\ufe63\uff0d]\s*\d+([.,]\d*)?\s*")
"""A number below 0 however it is spelt: `-1.0`, as a table program writes it, or with a dash."""
SYSTEM_FILES = {"thumbs.db", "desktop.ini"}


class Row(NamedTuple):
    """One labelled image."""

    split: str
    path: str
    """Relative to the root of its set, with `/`."""
    person: int
    """From 1; `JUNK` or `DISTRACTOR` in Market-1501's gallery."""
    camera: int
    """From 1; 0 where it is not known."""
    sequence: int = 0
    """Recording of that camera, from 1; 0 where the set has none."""
    frame: int = -1
    """Frame of the recording, or the number of the picture; -1 where neither is known."""


Reader = Callable[[Path, int], list[Row]]
"""A reader: the root of a set and the seed of its split (for sets without a fixed one)."""


def matched(
    folder: Path, pattern: re.Pattern[str], example: str, beside: Collection[str] = ()
) -> Iterator[re.Match[str]]:
    """Match the name of every file in `folder`, in sorted order.

    Labels come from names alone: a parent folder's name never takes part. Files that a desktop
    leaves behind (`Thumbs.db`, hidden files) are passed over; any other is accounted for.

    Args:
        folder: A folder of images.
        pattern: What a whole file name looks like.
        example: A good name, for the message.
        beside: Names of files that lie beside the images.

    Raises:
        BadInput: the folder is missing, or some names do not match (they are named).
    """
    if not is_folder(folder):
        raise BadInput(_missing(folder))
    found = {entry.name for entry in folder.iterdir() if not is_system_file(entry.name)}
    names = sorted(found - set(beside))
    matches = [(name, pattern.fullmatch(name)) for name in names]
    strange = [name for name, match in matches if match is None]
    if strange:
        raise BadInput(
            f"{folder}: {len(strange)} files whose names hold no labels: {listing(strange)}; "
            f"wanted names such as {example}: move the others out of this folder"
        )
    return (match for _, match in matches if match)


def files_below(folder: Path) -> list[str]:
    """Every file in `folder` and the folders below it, relative to it, with `/`, sorted.

    What a desktop leaves behind (`is_system_file`) is passed over, folders too. Linked folders are
    followed.

    Raises:
        BadInput: the folder is missing or cannot be listed, or a link leads to a folder that is
            read already.
    """
    if not is_folder(folder):
        raise BadInput(_missing(folder))
    below = files.below(folder)
    if below.again:
        raise BadInput(
            f"{folder}: links to folders that are read already: {listing(below.again)}; "
            "take them out, or their pictures would be in the set twice"
        )
    names = sorted([*below.files, *below.others])
    return [name for name in names if not any(map(is_system_file, name.split("/")))]


def numbered(names: Iterable[str], where: str | Path) -> dict[str, int]:
    """The number of each person's name, in the order of the names, from 1; that of `-1` is `JUNK`.

    Names that look alike and differ in how Unicode composes their letters are one person. Names
    that look alike and differ in blanks, letters without width or forms of letters are refused: it
    cannot be known whether they are one.

    Args:
        names: Of all people of a set.
        where: What messages call the set.

    Raises:
        BadInput: a name is a number below -1, or another spelling of -1; or two names look alike.

    Example:
        >>> numbered(["zoe", "-1", "anna", "zoe"], "a set")
        {'zoe': 2, '-1': -1, 'anna': 1}
    """
    composed = {name: unicodedata.normalize("NFC", name) for name in dict.fromkeys(names)}
    junk = str(JUNK)
    below = sorted(name for name in composed if name != junk and NEGATIVE.fullmatch(name))
    if below:
        raise BadInput(
            f"{where}: people named {listing([_spelt(name) for name in below])}; only '{junk}' is "
            "known for pictures that count for nothing: rename them to it, or to names that are "
            "not below 0"
        )
    people = sorted(set(composed.values()) - {junk})
    _check_looks(people, where)
    number = {junk: JUNK, **{person: n for n, person in enumerate(people, start=1)}}
    return {name: number[person] for name, person in composed.items()}


def _check_looks(people: Iterable[str], where: str | Path) -> None:
    """Refuse people whose names a reader cannot tell apart."""
    of_look = defaultdict(list)
    for person in people:
        of_look[_look(person)].append(person)
    alike = [" and ".join(map(ascii, names)) for names in of_look.values() if len(names) > 1]
    if alike:
        raise BadInput(
            f"{where}: people whose names look alike: {listing(alike)}; give one person one name, "
            "and two people names that can be told apart"
        )


def _look(name: str) -> str:
    """A name without what cannot be seen of it."""
    plain = unicodedata.normalize("NFKC", name)
    seen = (letter for letter in plain if unicodedata.category(letter) not in ("Cc", "Cf"))
    return " ".join("".join(seen).split())


def _spelt(name: str) -> str:
    """A name as it is, or with its code points where it has more than ASCII or outer blanks."""
    return name if name.isascii() and name == name.strip() else ascii(name)


def is_system_file(name: str) -> bool:
    """Whether a desktop left this file behind.

    Example:
        >>> [is_system_file(n) for n in ("Thumbs.db", ".DS_Store", "0001_c1_1.png")]
        [True, True, False]
    """
    return name.startswith(".") or name.lower() in SYSTEM_FILES


def _missing(folder: Path) -> str:
    """Say that a folder is missing, and what lies where it was looked for."""
    beside = folder.parent
    if not is_folder(beside):
        return f"{folder}: no such folder, nor is there {beside}; unpack the set, or correct 'root'"
    found = sorted(entry.name for entry in beside.iterdir())
    return (
        f"{folder}: no such folder; {beside} holds {listing(found) if found else 'nothing'}: "
        "unpack the set whole, or let 'root' name the folder that holds "
        f"'{folder.name}'"
    )
