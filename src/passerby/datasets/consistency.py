"""Whether the labels of a set agree with each other and with its pictures, and what to say of them.

Cameras decide which matches count, so they are known of all pictures of a part or of none: one file
without a camera would else change what is measured. Equal files (by hash) are one picture, which
shows one person and was taken by one camera. Published sets are known by their counts and are left
as they are: contradictions in them are said, those in a set of one's own are refused.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from passerby.datasets.rows import JUNK, Row
from passerby.errors import BadInput, listing

OWN_KINDS = ("folder", "csv")
"""Kinds of sets that somebody labelled, and nobody published."""
PARTS = {"train": ("train",), "query and gallery": ("query", "gallery")}
"""What is used together, by name."""


def check_cameras(rows: Sequence[Row], name: str) -> None:
    """Refuse a part where the cameras of some pictures are known and those of others are not.

    Junk does not matter.

    Raises:
        BadInput: the numbers of each such part, and some of the pictures.
    """
    for part, (known, unknown) in _cameras(rows).items():
        if known and unknown:
            both = len(known) + len(unknown)
            raise BadInput(
                f"{name}: cameras known of {len(known):,} of {both:,} pictures in {part}, not of "
                f"{listing([row.path for row in unknown])}, but of "
                f"{listing([row.path for row in known], 2)}; give all of them a camera "
                "(from 1; in file names as _c1), or none"
            )


def check_pictures(rows: Sequence[Row], hashes: Sequence[str], name: str) -> None:
    """Refuse pictures that are there again as another person, or by another camera.

    Args:
        rows: Of the set.
        hashes: Of their files.
        name: Of the set.

    Raises:
        BadInput: the number of such pictures, and of some their files with what they are labelled.
    """
    wrong = _contradictions(_same(rows, hashes))
    if wrong:
        told = "\n".join(f"  {line}" for line in wrong[:5])
        more = f"\n  and {len(wrong) - 5:,} more" if len(wrong) > 5 else ""
        raise BadInput(
            f"{name}: {len(wrong):,} pictures are in the set again (equal bytes) with another "
            f"label\n{told}{more}\n  a picture shows one person and is of one camera: keep the "
            "right one of each"
        )


def remarks(rows: Sequence[Row], hashes: Sequence[str]) -> list[str]:
    """What whoever reads figures of the set must know of its labels, a line each.

    Args:
        rows: Of the set.
        hashes: Of their files.

    Example:
        >>> remarks([Row("query", "a", 1, 2), Row("gallery", "b", 1, 3)], ["0a", "0b"])
        ['cameras known of 2 of 2 pictures in query and gallery']
    """
    said = [
        f"cameras known of {len(known):,} of {len(known) + len(unknown):,} pictures in {part}"
        for part, (known, unknown) in _cameras(rows).items()
        if known or unknown
    ]
    junk = sum(row.person == JUNK for row in rows)
    if junk:
        said.append(f"{junk:,} pictures of the gallery are junk ('{JUNK}') and count for nothing")
    same = _same(rows, hashes)
    again = [paths for group in same if len(paths := sorted({row.path for row in group})) > 1]
    if again:
        shown = [" = ".join(paths) for paths in again]
        said.append(
            f"{len(again):,} pictures are in the set under several names (equal bytes): "
            f"{listing(shown)}"
        )
    wrong = _contradictions(same)
    if wrong:
        said.append(f"{len(wrong):,} pictures are labelled in several ways: {listing(wrong)}")
    return said


def _cameras(rows: Sequence[Row]) -> dict[str, tuple[list[Row], list[Row]]]:
    """The rows of each part whose camera is known, and the others; junk left out."""
    found = {}
    for part, splits in PARTS.items():
        theirs = [row for row in rows if row.split in splits and row.person != JUNK]
        known = [row for row in theirs if row.camera > 0]
        found[part] = known, [row for row in theirs if row.camera <= 0]
    return found


def _same(rows: Sequence[Row], hashes: Sequence[str]) -> list[list[Row]]:
    """The rows of each picture that is there several times."""
    of_hash = defaultdict(list)
    for row, digest in zip(rows, hashes, strict=True):
        of_hash[digest].append(row)
    return [group for group in of_hash.values() if len(group) > 1]


def _contradictions(same: Sequence[Sequence[Row]]) -> list[str]:
    """Of each picture with several people or cameras, its files and what they are labelled."""
    return [", ".join(_labels(group)) for group in same if len({row[2:4] for row in group}) > 1]


def _labels(group: Sequence[Row]) -> Iterator[str]:
    """Each file of a picture with its labels, where they differ."""
    several_people = len({row.person for row in group}) > 1
    several_cameras = len({row.camera for row in group}) > 1
    for row in group:
        person = "junk" if row.person == JUNK else f"person {row.person}"
        told = [person] * several_people + [f"camera {row.camera}"] * several_cameras
        yield f"{row.path} ({row.split}: {', '.join(told)})"
