"""Ranking: where in the gallery, nearest first, the matches of each query stand.

The rank of a match is one more than the number of counting gallery items nearer than it. To count
them a row of distances is sorted, values alone: that is several times faster than to sort indices.

Items that are as near as a match stand in the order of the gallery: of two, the earlier is the
nearer. So ranks depend on nothing but the numbers given, on any machine. Where there are such ties
the figures depend on the order of the gallery: how much is told by the ranks that matches would
have if they stood before all items that are as near, and behind them all (`Ties`).
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from passerby import parallel
from passerby.evaluation.distance import Block
from passerby.evaluation.pairs import Pairs, Places


@dataclass(frozen=True)
class Ties:
    """The least and the greatest that each valid query's measures can be by the gallery's order."""

    tied: np.ndarray
    """`bool (V,)`: which queries have a match that is as near as an item of somebody else."""
    average_precision: np.ndarray
    """`(2, V)`: the least, the greatest."""
    first_rank: np.ndarray
    """`int64 (2, V)`: with the matches behind, with the matches in front."""

    def cmc(self, rank: int) -> tuple[float, float]:
        """The least and the greatest share of the valid queries with a hit among the first."""
        behind, in_front = (self.first_rank <= rank).mean(axis=1).tolist()
        return behind, in_front

    @property
    def map(self) -> tuple[float, float]:
        """The least and the greatest mean average precision."""
        least, greatest = self.average_precision.mean(axis=1).tolist()
        return least, greatest


@dataclass(frozen=True)
class Ranking:
    """Measures of each valid query; a query is valid when it has at least one genuine pair."""

    query: np.ndarray
    """`int64 (V,)`: which queries are valid."""
    average_precision: np.ndarray
    """`(V,)`, in [0, 1]: mean of the precision at each hit."""
    average_precision_trapezoid: np.ndarray
    """`(V,)`, in [0, 1]: the area under precision over recall by trapezoids."""
    inverse_negative_penalty: np.ndarray
    """`(V,)`, in [0, 1]: number of hits over the rank of the last."""
    first_rank: np.ndarray
    """`int64 (V,)`, from 1: rank of the first hit."""
    ties: Ties

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
    return measured(np.concatenate(query), np.concatenate(ranks, axis=1))


def hit_ranks(block: np.ndarray, genuine: Places) -> np.ndarray:
    """Ranks of the genuine pairs of a block, from 1, rising within a query: `int64 (3, n)`.

    The first row has the ranks by the order of the gallery; the others those of hits that stand
    behind, and in front of, all other items that are as near.

    Args:
        block: Distances `(b, G)`; infinite where a pair is ignored.
        genuine: Which pairs are hits.

    Example:
        >>> block = np.array([[0.3, 0.1, np.inf, 0.3]], np.float32)
        >>> hit_ranks(block, (np.array([0, 0]), np.array([1, 3])))
        array([[1, 3],
               [1, 3],
               [1, 2]])
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
    stated = nearer.copy()
    for tied in np.flatnonzero(not_farther - nearer > 1):
        before = block[row[tied], : item[tied]]
        stated[tied] += np.count_nonzero(before == distance[tied])
    order = np.lexsort((stated, row))
    behind, in_front = _outermost(row[order], nearer[order], not_farther[order])
    return np.stack([stated[order] + 1, behind, in_front])


def _outermost(
    row: np.ndarray, nearer: np.ndarray, not_farther: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The ranks of sorted hits that stand behind, and in front of, all that is as near."""
    place = np.arange(len(row))
    starts = np.ones(len(row), bool)
    starts[1:] = (row[1:] != row[:-1]) | (nearer[1:] != nearer[:-1])
    which = np.cumsum(starts) - 1
    first, hits = np.flatnonzero(starts), np.bincount(which)
    number = place - first[which]  # how many hits of the same distance stand before it
    return not_farther - hits[which] + number + 1, nearer + number + 1


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
        ranks: The rank of each hit, from 1, rising within a query; `(n,)`, or `(3, n)` as
            `hit_ranks` gives them.

    Example:
        >>> measured(np.array([4, 4]), np.array([1, 4])).average_precision
        array([0.75])
    """
    stated, *outermost = np.broadcast_to(ranks, (3, len(query)))
    valid, first, hits = np.unique(query, return_index=True, return_counts=True)
    number = np.arange(1, len(query) + 1) - np.repeat(first, hits)
    at_hit, before = precision(number, stated)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, first) / hits if len(first) else values

    behind, in_front = outermost
    return Ranking(
        query=valid,
        average_precision=mean(at_hit),
        average_precision_trapezoid=mean((before + at_hit) / 2),
        inverse_negative_penalty=hits / stated[first + hits - 1],
        first_rank=stated[first],
        ties=Ties(
            tied=mean((behind != in_front).astype(float)) > 0,
            average_precision=np.stack([mean(number / part) for part in outermost]),
            first_rank=np.stack([part[first] for part in outermost]),
        ),
    )


def precision(number: np.ndarray, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision at each hit, and one rank before it.

    Average precision is the mean of the first over a query's hits (torchreid, fast-reid,
    scikit-learn). Market-1501's toolbox (`compute_AP.m`) takes the area under precision over recall
    by trapezoids: recall grows by 1/n at each of the n hits, between the two precisions. Before the
    first rank precision is 1. (The toolbox then averages over all queries; here only queries with a
    match count.)

    Args:
        number: The how-manieth hit of its query each is, from 1.
        ranks: The rank of each, from 1.

    Example:
        >>> precision(np.array([1]), np.array([2]))
        (array([0.5]), array([0.]))
    """
    before = np.where(ranks == 1, 1.0, (number - 1) / np.maximum(ranks - 1, 1))
    return number / ranks, before
