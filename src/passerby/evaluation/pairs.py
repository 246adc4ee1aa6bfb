"""Which pairs of a query and a gallery item count, and as what.

The rules of Market-1501, which the protocols here share:

- *genuine*: the same person, seen by another camera;
- *ignored*: the same person by the same camera, and junk (-1), which a detector cut badly;
- *impostor*: everything else; so distractors (0) are impostors to everybody, and another person is
  an impostor by whichever camera.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from passerby.errors import BadInput, listing

JUNK = -1


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

    def genuine(self, rows: slice) -> np.ndarray:
        """Whether a pair is of one person by two cameras, `bool (b, G)`."""
        return self._same_person(rows) & ~self._same_camera(rows)

    def ignored(self, rows: slice) -> np.ndarray:
        """Whether a pair counts for nothing, `bool (b, G)`."""
        same = self._same_person(rows) & self._same_camera(rows)
        return same | (self.gallery_people == JUNK)[None, :]

    def impostor(self, rows: slice) -> np.ndarray:
        """Whether a pair is of two people, `bool (b, G)`."""
        return ~self._same_person(rows) & (self.gallery_people != JUNK)[None, :]

    def _same_person(self, rows: slice) -> np.ndarray:
        return self.query_people[rows, None] == self.gallery_people[None, :]

    def _same_camera(self, rows: slice) -> np.ndarray:
        return self.query_cameras[rows, None] == self.gallery_cameras[None, :]


def checked(
    query_people: Sequence[int] | np.ndarray,
    gallery_people: Sequence[int] | np.ndarray,
    query_cameras: Sequence[int] | np.ndarray,
    gallery_cameras: Sequence[int] | np.ndarray,
) -> Pairs:
    """Make `Pairs` of labels that were looked at.

    Raises:
        BadInput: labels that are not whole numbers, people and cameras of unequal number, a query
            of nobody.
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
    return Pairs(**columns)
