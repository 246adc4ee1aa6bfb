"""LUPerson's list of videos: one `country+city+id` a line.

Blank line ends, Windows line ends, empty lines and repeats are accepted, and repeats are counted.
An id may begin with `-` and hold `_`. A `+` inside a city would split wrongly, so a line that does
not have exactly three parts is refused. Parts become names of files and folders and parts of
addresses: blanks, slashes, control characters, `.` and `..` and names that no file system takes are
refused too.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from passerby import files
from passerby.errors import BadInput, listing
from passerby.foreign import texts

_PART = re.compile(r"[^\s+/\\\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """A video of the list."""

    country: str
    city: str
    id: str

    @property
    def name(self) -> str:
        """The line as LUPerson writes it; names the video everywhere.

        Example:
            >>> Entry("peru", "lima", "-a_b").name
            'peru+lima+-a_b'
        """
        return f"{self.country}+{self.city}+{self.id}"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of distinct videos, in the order of the file."""

    entries: tuple[Entry, ...]
    repeats: int
    """How many lines named a video that an earlier line had named."""


def read(path: str | Path) -> Listing:
    """Read a list file.

    Raises:
        BadInput: it is missing, is not text, is empty, or has bad lines (all of them are named).
    """
    return parse(texts.text(path, "a list of 'country+city+id' lines was wanted"), str(path))


def parse(text: str, name: str) -> Listing:
    """Read the text of a list; `name` stands in the message.

    Raises:
        BadInput: no line, or bad lines (all of them are named).

    Example:
        >>> found = parse("peru+lima+a \\r\\n\\nperu+lima+a\\nperu+lima+b\\n", "list.txt")
        >>> [entry.id for entry in found.entries], found.repeats
        (['a', 'b'], 1)
    """
    entries: dict[Entry, None] = {}
    faults, lines = [], 0
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not stripped:
            continue
        lines += 1
        parts = stripped.split("+")
        if fault := _fault(parts):
            faults.append(f"line {number}: {fault}: {stripped[:80]!r}")
        else:
            entries[Entry(*parts)] = None
    if faults:
        raise BadInput(
            f"{name}: {len(faults)} of {lines} lines are not 'country+city+id'\n  "
            + listing(faults, most=20).replace(", line ", "\n  line ")
        )
    if not entries:
        raise BadInput(f"{name}: no video in it; a 'country+city+id' line for each was wanted")
    return Listing(tuple(entries), lines - len(entries))


def fault_of_name(name: str) -> str:
    """Why a text cannot name a video, whose files are called by it; empty where it can.

    Example:
        >>> fault_of_name("peru+lima+-a_b"), fault_of_name("..+..+x")
        ('', "its part '..' names another folder")
    """
    if fault := files.fault_of_name(name):
        return fault
    faults = ((part, files.fault_of_name(part)) for part in name.split("+", 2))
    return next((f"its part {part!r} {fault}" for part, fault in faults if fault), "")


def _fault(parts: list[str]) -> str:
    """What is wrong with a line that was split at `+`; empty where nothing is."""
    if len(parts) != 3:
        return f"{len(parts)} parts where 3 were wanted"
    for part in parts:
        if not _PART.fullmatch(part):
            return f"part {part[:80]!r} is empty or has a blank, a slash or a control character"
        if fault := files.fault_of_name(part):
            return f"part {part[:80]!r} {fault}"
    fault = files.fault_of_name("+".join(parts))
    return f"it {fault}" if fault else ""
