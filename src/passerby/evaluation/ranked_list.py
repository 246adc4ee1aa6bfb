"""Ranked lists: for a query, the gallery items that count, nearest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from passerby.errors import BadInput, listing
from passerby.evaluation import distance as distances
from passerby.evaluation.pairs import Pairs, checked


@dataclass(frozen=True)
class RankedList:
    """The `N` gallery items that count for one query; of two as near, the earlier stands first."""

    query: int
    item: np.ndarray
    """`int64 (N,)`: their places in the whole gallery, junk counted."""
    distance: np.ndarray
    """`float32 (N,)`, rising."""
    genuine: np.ndarray
    """`bool (N,)`: which are of the query's person."""


def ranked_lists(
    arrays: Mapping[str, np.ndarray], queries: Sequence[int], distance: distances.Kind
) -> list[RankedList]:
    """The ranked list of each of some queries, with the distances that `evaluate` had of numpy.

    Args:
        arrays: The six arrays that `evaluate` takes, by its argument names.
        queries: Places among the queries, from 0.
        distance: `cosine` or `euclidean`.

    Raises:
        BadInput: queries that there are not.

    Example:
        >>> features, people, cameras = np.eye(3), np.array([1, 2, 1]), np.array([1, 1, 2])
        >>> arrays = {f"{side}_{name}": values for side in ("query", "gallery") for name, values
        ...           in (("features", features), ("people", people), ("cameras", cameras))}
        >>> found = ranked_lists(arrays, [0], "cosine")[0]
        >>> found.item, found.genuine
        (array([1, 2]), array([False,  True]))
    """
    columns = ("query_people", "gallery_people", "query_cameras", "gallery_cameras")
    pairs = checked(*(arrays[name] for name in columns))
    count = len(pairs.query_people)
    strange = [q for q in queries if not 0 <= q < count]
    if strange:
        raise BadInput(f"queries: {listing(strange)} found; there are {count:,}, counted from 0")
    counting, pairs = np.flatnonzero(pairs.counting), pairs.without_junk()
    blocks = distances.blocks(
        arrays["query_features"], arrays["gallery_features"][counting], distance, only=queries
    )
    found: dict[int, RankedList] = {}
    for rows, block in blocks:
        wanted = [q for q in queries if rows.start <= q < rows.stop]
        found |= _of_block(rows, block, wanted, pairs, counting)
    return [found[q] for q in queries]


def _of_block(
    rows: slice, block: np.ndarray, queries: Sequence[int], pairs: Pairs, places: np.ndarray
) -> dict[int, RankedList]:
    """The lists of some queries of a block, by query; `places` are its columns' in the gallery."""
    row, item = pairs.genuine(rows)
    is_genuine = np.zeros(block.shape, bool)
    is_genuine[row, item] = True
    pairs.ignore(rows, block)
    found = {}
    for q in queries:
        distance = block[q - rows.start]
        order = np.argsort(distance, kind="stable")[: np.count_nonzero(distance < np.inf)]
        genuine = is_genuine[q - rows.start, order]
        found[q] = RankedList(q, places[order], distance[order], genuine)
    return found
