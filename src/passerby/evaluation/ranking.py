"""Ranking: where in the gallery, nearest first, the matches of each query stand.

The rank of a match is one more than the number of counting gallery items nearer than it. To count
them a row of distances is sorted, values alone: that is several times faster than to sort indices.

Items that are as near as a match stand in the order of the gallery: of two, the earlier is the
nearer. So ranks depend on nothing but the numbers given, on any machine.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from passerby import parallel
from passerby.evaluation.distance import Block
from passerby.evaluation.pairs import Pairs, Places


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


def rank(distances: Iterable[Block], pairs: Pairs) -> Ranking:
    """Rank the gallery for every query.

    Args:
        distances: Blocks of rows of queries and their distances `(b, G)`, which are written in.
        pairs: Which pairs count.
    """
    query, ranks = [], []
    for rows, block in distances:
        genuine = pairs.genuine(rows)
        pairs.ignore(rows, block)
        query.append(rows.start + genuine[0])
        ranks.append(hit_ranks(block, genuine))
    return measured(np.concatenate(query), np.concatenate(ranks))


def hit_ranks(block: np.ndarray, genuine: Places) -> np.ndarray:
    """Ranks of the genuine pairs of a block, from 1, rising within a query: `int64 (n,)`.

    Args:
        block: Distances `(b, G)`; infinite where a pair is ignored.
        genuine: Which pairs are hits.

    Example:
        >>> block = np.array([[0.3, 0.1, np.inf, 0.3]], np.float32)
        >>> hit_ranks(block, (np.array([0, 0]), np.array([1, 3])))
        array([1, 3])
    """
    row, item = genuine
    distance = block[genuine]
    first, end = np.searchsorted(row, np.arange(len(block) + 1)).tolist(), len(block)
    nearer, not_farther = np.empty_like(row), np.empty_like(row)

    def count(rows: range) -> None:
        for r in rows:
            hits = slice(first[r], first[r + 1])
            ordered = np.sort(block[r])
            nearer[hits] = ordered.searchsorted(distance[hits], "left")
            not_farther[hits] = ordered.searchsorted(distance[hits], "right")

    _in_threads(count, end)
    for tied in np.flatnonzero(not_farther - nearer > 1):
        before = block[row[tied], : item[tied]]
        nearer[tied] += np.count_nonzero(before == distance[tied])
    return nearer[np.lexsort((nearer, row))] + 1


def _in_threads(work: Callable[[range], None], rows: int) -> None:
    """Share rows out among threads: sorting gives the interpreter's lock away."""
    parts = parallel.workers()
    bounds = np.linspace(0, rows, parts + 1).astype(int).tolist()
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, map(range, bounds[:-1], bounds[1:])))


def measured(query: np.ndarray, ranks: np.ndarray) -> Ranking:
    """The measures of each query, of the ranks of its hits.

    Args:
        query: Which query each hit is of, `int64 (n,)`, rising.
        ranks: The rank of each hit, from 1, rising within a query.

    Example:
        >>> measured(np.array([4, 4]), np.array([1, 4])).average_precision
        array([0.75])
    """
    valid, first, hits = np.unique(query, return_index=True, return_counts=True)
    number = np.arange(1, len(ranks) + 1) - np.repeat(first, hits)
    at_hit, before = precision(number, ranks)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, first) / hits if len(first) else values

    return Ranking(
        query=valid,
        average_precision=mean(at_hit),
        average_precision_trapezoid=mean((before + at_hit) / 2),
        inverse_negative_penalty=hits / ranks[first + hits - 1],
        first_rank=ranks[first],
    )


def precision(number: np.ndarray, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision at each hit, and one rank before it.

    Average precision is the mean of the first over a query's hits (torchreid, fast-reid,
    scikit-learn). Market-1501's toolbox (`compute_AP.m`) takes the area under precision over recall
    by trapezoids: recall grows by 1/n at each of the n hits, between the two precisions. Before the
    first rank precision is 1.

    Args:
        number: The how-manieth hit of its query each is, from 1.
        ranks: The rank of each, from 1.

    Example:
        >>> precision(np.array([1]), np.array([2]))
        (array([0.5]), array([0.]))
    """
    before = np.where(ranks == 1, 1.0, (number - 1) / np.maximum(ranks - 1, 1))
    return number / ranks, before
