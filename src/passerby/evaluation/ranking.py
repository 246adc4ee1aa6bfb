"""Ranking measures, written from their definitions, a query at a time.

For one query the gallery is sorted by distance and pairs that do not count are taken out; what is
left is a list of hits and misses, best first. Every measure is a function of that list.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from passerby.evaluation.pairs import Pairs


@dataclass(frozen=True)
class Ranking:
    """Measures of each valid query; a query is valid when it has at least one genuine pair."""

    query: np.ndarray
    """`int64 (V,)`: which queries are valid."""
    average_precision: np.ndarray
    """`(V,)`, in [0, 1]: mean of the precision at each hit."""
    average_precision_trapezoid: np.ndarray
    """`(V,)`, in [0, 1]: Market-1501's toolbox's area under precision over recall."""
    inverse_negative_penalty: np.ndarray
    """`(V,)`, in [0, 1]: number of hits over the rank of the last."""
    first_rank: np.ndarray
    """`int64 (V,)`, from 1: rank of the first hit."""

    def cmc(self, rank: int) -> float:
        """Share of the valid queries with a hit among the first `rank`."""
        return float((self.first_rank <= rank).mean())


def rank(distances: Iterable[tuple[slice, np.ndarray]], pairs: Pairs) -> Ranking:
    """Rank the gallery for every query.

    Args:
        distances: Blocks of rows of queries and their distances `(b, G)`.
        pairs: Which pairs count.
    """
    found = []
    for rows, block in distances:
        genuine, ignored = pairs.genuine(rows), pairs.ignored(rows)
        for row in np.flatnonzero(genuine.any(axis=1)):
            hits = hits_in_order(block[row], genuine[row], ignored[row])
            found.append(
                (
                    rows.start + row,
                    average_precision(hits),
                    average_precision_trapezoid(hits),
                    inverse_negative_penalty(hits),
                    first_rank(hits),
                )
            )
    query, precision, trapezoid, penalty, first = np.array(found, np.float64).reshape(-1, 5).T
    return Ranking(query.astype(np.int64), precision, trapezoid, penalty, first.astype(np.int64))


def hits_in_order(distance: np.ndarray, genuine: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Whether each counting gallery item is a hit, nearest first.

    Ties are broken by the place in the gallery (the earlier is the nearer), so that the order
    depends on nothing but the numbers given.

    Args:
        distance: Distances of one query, `(G,)`.
        genuine: Which items are hits, `bool (G,)`.
        ignored: Which items count for nothing, `bool (G,)`.

    Returns:
        `bool (n,)`, of the `n` items that are not ignored.

    Example:
        >>> hits_in_order(np.array([.3, .1, .3]), np.array([1, 0, 1]) > 0, np.array([0, 0, 1]) > 0)
        array([False,  True])
    """
    order = np.argsort(distance, kind="stable")
    return genuine[order[~ignored[order]]]


def _hit_ranks(hits: np.ndarray) -> np.ndarray:
    """Ranks of the hits, from 1."""
    return np.flatnonzero(hits) + 1


def average_precision(hits: np.ndarray) -> float:
    """Mean over the hits of the precision at their rank (torchreid, fast-reid, scikit-learn).

    Example:
        >>> average_precision(np.array([False, True]))
        0.5
    """
    ranks = _hit_ranks(hits)
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def average_precision_trapezoid(hits: np.ndarray) -> float:
    """Area under precision over recall by trapezoids (Market-1501's toolbox, `compute_AP.m`).

    Recall grows by 1/n at each of the n hits; the trapezoid's other side is the precision one rank
    before, taken as 1 before the first rank. Never above `average_precision`.

    Example:
        >>> average_precision_trapezoid(np.array([False, True]))
        0.25
    """
    ranks = _hit_ranks(hits)
    number = np.arange(1, len(ranks) + 1)
    at_hit = number / ranks
    before = np.where(ranks == 1, 1.0, (number - 1) / np.maximum(ranks - 1, 1))
    return float(np.mean((before + at_hit) / 2))


def inverse_negative_penalty(hits: np.ndarray) -> float:
    """Number of hits over the rank of the last; its mean is mINP (arXiv 2001.04193).

    Example:
        >>> inverse_negative_penalty(np.array([True, False, False, True]))
        0.5
    """
    ranks = _hit_ranks(hits)
    return float(len(ranks) / ranks[-1])


def first_rank(hits: np.ndarray) -> int:
    """Rank of the first hit, from 1."""
    return int(_hit_ranks(hits)[0])
