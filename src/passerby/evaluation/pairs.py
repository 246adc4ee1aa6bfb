"""Which pairs of a query and a gallery item count, and as what.

The rules of Market-1501, which the protocols here share:

- *genuine*: the same person, seen by another camera;
- *ignored*: the same person by the same camera, and junk (-1), which a detector cut badly;
- *impostor*: everything else; so distractors (0) are impostors to everybody, and another person is
  an impostor by whichever camera.

Of 54 million pairs on Market-1501, 62,764 are of one person: they are listed, never searched for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from passerby.errors import BadInput, listing

JUNK = -1
NO_CAMERA = -1
"""What others write for a camera that is not known; they count cameras from 0 or from 1."""
Places = tuple[np.ndarray, np.ndarray]
"""Some pairs of a block: its row (from 0) and the gallery item of each, `int64 (n,)` both, sorted
by row and item. They index a block of distances."""


@dataclass(frozen=True)
class Pairs:
    """Labels of `Q` queries and `G` gallery items."""

    query_people: np.ndarray
    """`(Q,)`, from 1."""
    gallery_people: np.ndarray
    """`(G,)`, from 1, 0 for distractors, -1 for junk."""
    query_cameras: np.ndarray
    """`(Q,)`."""
    gallery_cameras: np.ndarray
    """`(G,)`."""

    @property
    def counting(self) -> np.ndarray:
        """Which gallery items are no junk, `bool (G,)`."""
        return self.gallery_people != JUNK

    def without_junk(self) -> "Pairs":
        """The same, of the counting gallery items alone."""
        kept = self.counting
        return Pairs(
            self.query_people,
            self.gallery_people[kept],
            self.query_cameras,
            self.gallery_cameras[kept],
        )

    def genuine(self, rows: slice) -> Places:
        """The pairs of one person by two cameras."""
        row, item, same_camera = self._of_one_person(rows)
        return row[~same_camera], item[~same_camera]

    def ignore(self, rows: slice, block: np.ndarray) -> None:
        """Put the pairs of a block that count for nothing infinitely far apart, in place."""
        row, item, same_camera = self._of_one_person(rows)
        block[row[same_camera], item[same_camera]] = np.inf
        if not self.counting.all():
            block[:, ~self.counting] = np.inf

    def _of_one_person(self, rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The pairs of one person, by query, then by gallery item; and which are by one camera."""
        order, people = self._gallery_by_person
        asked = self.query_people[rows]
        first = np.searchsorted(people, asked, side="left")
        number = np.searchsorted(people, asked, side="right") - first
        row = np.repeat(np.arange(len(asked)), number)
        of_row = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
        item = order[np.repeat(first, number) + of_row]
        return row, item, self.query_cameras[rows][row] == self.gallery_cameras[item]

    @cached_property
    def _gallery_by_person(self) -> tuple[np.ndarray, np.ndarray]:
        """The gallery items sorted by person, then by place; and the person of each."""
        order = np.argsort(self.gallery_people, kind="stable")
        return order, self.gallery_people[order]


def checked(
    query_people: Sequence[int] | np.ndarray,
    gallery_people: Sequence[int] | np.ndarray,
    query_cameras: Sequence[int] | np.ndarray,
    gallery_cameras: Sequence[int] | np.ndarray,
) -> Pairs:
    """Make `Pairs` of labels that were looked at.

    Raises:
        BadInput: labels that are not whole numbers, people and cameras of unequal number, a query
            of nobody; junk that became a large number; cameras that are known of some only.
    """
    columns = {
        "query_people": np.asarray(query_people),
        "gallery_people": np.asarray(gallery_people),
        "query_cameras": np.asarray(query_cameras),
        "gallery_cameras": np.asarray(gallery_cameras),
    }
    for name, column in columns.items():
        if column.ndim != 1 or (len(column) and column.dtype.kind not in "iu"):
            raise BadInput(
                f"{name}: {column.dtype} of shape {column.shape} found, "
                "whole numbers in one dimension wanted"
            )
    for side in ("query", "gallery"):
        people, cameras = len(columns[f"{side}_people"]), len(columns[f"{side}_cameras"])
        if people != cameras:
            raise BadInput(f"{side}: {people} people, but {cameras} cameras; one of each wanted")
    nobody = np.flatnonzero(columns["query_people"] <= 0)
    if len(nobody):
        raise BadInput(
            f"query_people: queries {listing(list(nobody))} are of nobody (0 or below); "
            "only people can be asked for: leave them out"
        )
    _check_junk(columns["query_people"], columns["gallery_people"])
    # Of signed and unsigned numbers together NumPy would make floating-point ones.
    plain = {name: _signed(column) for name, column in columns.items()}
    _check_cameras(plain)
    return Pairs(**plain)


def _check_junk(query_people: np.ndarray, gallery_people: np.ndarray) -> None:
    """Refuse what -1 becomes in numbers without a sign: it would be a wrong answer to all."""
    if gallery_people.dtype.kind != "u":
        return
    greatest = np.iinfo(gallery_people.dtype).max
    items = np.flatnonzero(gallery_people == greatest)
    if len(items) and greatest not in query_people:
        raise BadInput(
            f"gallery_people: items {listing(list(items))} are {greatest}, which is what junk (-1) "
            f"becomes in {gallery_people.dtype}; save the labels as int64, with -1 for junk"
        )


def _signed(column: np.ndarray) -> np.ndarray:
    """The labels in int64 where they are unsigned and fit."""
    is_plain = column.dtype.kind != "u" or not len(column)
    return column if is_plain or column.max() > np.iinfo(np.int64).max else column.astype(np.int64)


def _check_cameras(columns: dict[str, np.ndarray]) -> None:
    """Refuse cameras that are known of some pictures and not of others; junk does not matter."""
    counting = columns["gallery_people"] != JUNK
    sides = columns["query_cameras"], columns["gallery_cameras"][counting]
    unknown = sum(int((cameras == NO_CAMERA).sum()) for cameras in sides)
    known = sum(int((cameras >= 0).sum()) for cameras in sides)
    if unknown and known:
        raise BadInput(
            f"cameras known of {known:,} of {known + unknown:,} pictures in query and gallery, "
            f"{NO_CAMERA} found for the others; give all of them a camera, or a camera of its own "
            "to each picture where none is known"
        )
