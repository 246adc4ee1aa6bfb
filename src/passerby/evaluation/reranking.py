"""Re-ranking by k-reciprocal neighbours (Zhong et al., CVPR 2017, arXiv 1701.08398), sparse.

It is transductive: the distance of a pair hangs on all queries and on the whole gallery. So its
figures stand in a column of their own, and no threshold comes of it.

Equations are the paper's; the steps are those of the authors' code, as fast-reid 1.4.0 has it in
`evaluation/rerank.py:re_ranking`. `N` is the number of queries and gallery items together, queries
first. Of the N x N matrices there only rows are computed, as they are needed, and vectors keep what
is not zero: some 30 numbers each, some 100 after the local expansion.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from passerby.errors import BadInput
from passerby.evaluation import scale
from passerby.evaluation.distance import Block, Multiply, equal_rows, in_float64, on_cpu

BLOCK_PLACES = 1 << 22
"""Numbers of a block of rows."""
CANCELLED = 2e-5
"""Of the squared length: a squared distance below it has lost five of float32's seven digits."""


@dataclass(frozen=True)
class Rerank:
    """The three parameters, by their names in the paper."""

    k1: int = 20
    """Neighbours among which a pair must be reciprocal (eq. 1, 2)."""
    k2: int = 6
    """Neighbours over which vectors are averaged (eq. 11); 1 for none."""
    lambda_: float = 0.3
    """What the original distance weighs (eq. 12), in [0, 1]."""

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1 or not 0 <= self.lambda_ <= 1:
            raise BadInput(
                f"rerank: k1 {self.k1}, k2 {self.k2}, lambda {self.lambda_} found; "
                "k1 and k2 from 1 and lambda from 0 to 1 wanted"
            )


class _Squares(Protocol):
    """Squared distances among all queries and gallery items."""

    count: int

    def rows(self, rows: slice) -> np.ndarray:
        """All of these rows, `float32 (b, N)`, the caller's to write in."""

    def at(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Single places, `float32 (n,)`."""


class _OfFeatures:
    def __init__(self, features: np.ndarray, multiplier: Callable[[np.ndarray], Multiply]) -> None:
        self._features, self.count = features, len(features)
        self._multiply = multiplier(features)
        self._lengths = np.einsum("nd,nd->n", features, features)
        self._later, self._first = equal_rows(features)

    def rows(self, rows: slice) -> np.ndarray:
        found = self._multiply(self._features[rows])
        found *= -2
        found += self._lengths[rows, None]
        found += self._lengths
        near = found < (CANCELLED * self._lengths[rows])[:, None]
        near[np.arange(len(near)), np.arange(self.count)[rows]] = False
        in_float64(found, near, self._features[rows], self._features, _squares_in_float64)
        if len(self._later):
            found[:, self._later] = found[:, self._first]
        return np.maximum(found, 0, out=found)

    def at(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        found = np.empty(len(row), np.float32)
        step = max(1, BLOCK_PLACES // self._features.shape[1])
        for start in range(0, len(row), step):
            part = slice(start, start + step)
            ours, theirs = self._features[row[part]], self._features[column[part]]
            dots = np.einsum("nd,nd->n", ours, theirs)
            found[part] = self._lengths[row[part]] + self._lengths[column[part]] - 2 * dots
            near = found[part] < CANCELLED * self._lengths[row[part]]
            near &= row[part] != column[part]
            difference = ours[near].astype(np.float64) - theirs[near]
            found[part][near] = np.einsum("nd,nd->n", difference, difference)
        return np.maximum(found, 0)


def _squares_in_float64(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    some, others = some.astype(np.float64), others.astype(np.float64)
    lengths = scale.squares(some)[:, None] + scale.squares(others)
    return lengths - 2 * some @ others.T


class _Given:
    def __init__(
        self, of_pairs: np.ndarray, of_queries: np.ndarray, of_gallery: np.ndarray
    ) -> None:
        self._pairs, self._queries, self._gallery = of_pairs, of_queries, of_gallery
        self._split, self.count = len(of_queries), len(of_queries) + len(of_gallery)

    def rows(self, rows: slice) -> np.ndarray:
        split = self._split
        asked = range(*rows.indices(self.count))
        query = slice(asked.start, min(asked.stop, split))
        item = slice(max(asked.start - split, 0), max(asked.stop - split, 0))
        of_query = [self._queries[:, query].T, self._pairs[query]]
        of_item = [self._pairs[:, item].T, self._gallery[:, item].T]
        found = [np.concatenate(part, axis=1) for part in (of_query, of_item) if len(part[0])]
        whole = np.concatenate(found).astype(np.float32, copy=False)
        return np.square(whole, out=whole)

    def at(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        split, found = self._split, np.empty(len(row), np.float32)
        for ours in (True, False):
            for theirs in (True, False):
                here = ((row < split) == ours) & ((column < split) == theirs)
                r, c = row[here] - split * (not ours), column[here] - split * (not theirs)
                if ours and theirs:
                    found[here] = self._queries[c, r]
                elif ours or theirs:
                    found[here] = self._pairs[(r, c) if ours else (c, r)]
                else:
                    found[here] = self._gallery[c, r]
        return np.square(found)


def reranked(
    query: np.ndarray,
    gallery: np.ndarray,
    kind: str,
    asked: Rerank,
    multiplier: Callable[[np.ndarray], Multiply] = on_cpu,
) -> Iterator[Block]:
    """Re-ranked distances, a block of queries at a time.

    Args:
        query: Features `(Q, D)`.
        gallery: Features `(G, D)`.
        kind: `euclidean`; or `cosine`, of the features scaled to length 1.
        asked: The parameters.
        multiplier: As in `distance.blocks`.

    Yields:
        The block's rows of `query`, and its distances `float32 (b, G)`, in [0, 1].

    Raises:
        BadInput: for `cosine` a feature of length 0.
    """
    squares = _OfFeatures(_with_euclidean_distances(query, gallery, kind), multiplier)
    yield from _reranked(squares, len(query), asked)


def _with_euclidean_distances(query: np.ndarray, gallery: np.ndarray, kind: str) -> np.ndarray:
    """All features, those whose Euclidean distances are asked for: `float32 (N, D)`.

    Neither a common factor nor where they are seen from moves a re-ranked distance.
    """
    if scale.collapsed(query, gallery, kind):
        return np.concatenate(scale.from_the_middle(query, gallery, kind))
    if kind == "cosine":
        both = (scale.by_row(query), scale.by_row(gallery))
        return scale.unit(np.concatenate(both), "features")
    both = scale.together(query, gallery)[:2]
    return np.concatenate(both).astype(np.float32, copy=False)


def reranked_distances(
    query_gallery: np.ndarray, query_query: np.ndarray, gallery_gallery: np.ndarray, asked: Rerank
) -> Iterator[Block]:
    """The same, of given distances.

    Args:
        query_gallery: `(Q, G)`.
        query_query: `(Q, Q)`.
        gallery_gallery: `(G, G)`.
        asked: The parameters.

    Raises:
        BadInput: shapes that do not fit together.
    """
    shapes = (query_gallery.shape, query_query.shape, gallery_gallery.shape)
    queries, items = len(query_query), len(gallery_gallery)
    if shapes != ((queries, items), (queries, queries), (items, items)):
        raise BadInput(f"rerank: distances of shapes {shapes} found, (Q, G), (Q, Q), (G, G) wanted")
    yield from _reranked(_Given(query_gallery, query_query, gallery_gallery), queries, asked)


def _reranked(squares: _Squares, queries: int, asked: Rerank) -> Iterator[Block]:
    nearest, farthest = _neighbours(squares, min(asked.k1, squares.count - 1) + 1)
    vectors = _vectors(squares, farthest, *_members(nearest, asked.k1))
    if asked.k2 > 1:
        vectors = _averaged(vectors, nearest[:, : asked.k2])
    jaccard = _Jaccard(vectors, queries)
    for rows in _blocks(queries, squares.count - queries):
        original = squares.rows(rows)[:, queries:] / farthest[rows, None]
        yield rows, (1 - asked.lambda_) * jaccard.distances(rows) + asked.lambda_ * original


def _blocks(count: int, width: int) -> Iterator[slice]:
    step = max(1, BLOCK_PLACES // max(width, 1))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _neighbours(squares: _Squares, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` nearest of each, itself first; ties by place. And the farthest square of each.

    The k-th value is found first, by a partition of values; then only what is as near is sorted.
    Each stands first among its own neighbours also where more than `k` others are no farther, so
    that every set of reciprocal neighbours holds at least its own member.

    Returns:
        `int32 (N, k)` and `float32 (N,)`.
    """
    nearest, farthest = np.empty((squares.count, k), np.int32), np.empty(squares.count, np.float32)
    for rows in _blocks(squares.count, squares.count):
        block = squares.rows(rows)
        farthest[rows] = block.max(axis=1)
        block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = -1
        last = np.partition(block, k - 1, axis=1)[:, k - 1]
        row, column = np.nonzero(block <= last[:, None])
        order = np.lexsort((column, block[row, column], row))
        first = np.searchsorted(row, np.arange(len(block)))
        nearest[rows] = column[order[first[:, None] + np.arange(k)]]
    return nearest, np.maximum(farthest, np.finfo(np.float32).tiny)


def _reciprocal(nearest: np.ndarray, k: int) -> np.ndarray:
    """Neighbours of each that have it among their own (eq. 1, 2): `int32 (N, k + 1)`, -1 if not."""
    near = nearest[:, : k + 1]
    found = np.empty_like(near)
    for rows in _blocks(len(near), near.shape[1] ** 2):
        back = near[near[rows]] == np.arange(rows.start, rows.stop)[:, None, None]
        found[rows] = np.where(back.any(axis=2), near[rows], -1)
    return found


def _members(nearest: np.ndarray, k1: int) -> tuple[np.ndarray, np.ndarray]:
    """The robust neighbour sets (eq. 3), as places of a sparse matrix: rows and columns, sorted.

    A reciprocal neighbour's own half-sized set joins where more than two thirds of it are in.
    """
    count = len(nearest)
    whole, half = _reciprocal(nearest, k1), _reciprocal(nearest, int(np.around(k1 / 2)))
    found = []
    for rows in _blocks(count, count):
        ours = whole[rows]
        theirs = np.where(ours[..., None] >= 0, half[ours], -1)
        place = np.arange(len(ours))
        inside = np.zeros((len(ours), count + 1), bool)  # the last column takes the absent
        inside[place[:, None], ours] = True
        inside[:, -1] = False
        shared = inside[place[:, None, None], theirs].sum(axis=2)
        joins = shared > 2 / 3 * (theirs >= 0).sum(axis=2)
        row, candidate = np.nonzero(joins)
        inside[row[:, None], theirs[row, candidate]] = True
        row, column = np.nonzero(inside[:, :-1])
        found.append((rows.start + row, column))
    row, column = map(np.concatenate, zip(*found, strict=True))
    return row, column


def _vectors(
    squares: _Squares, farthest: np.ndarray, row: np.ndarray, column: np.ndarray
) -> sparse.csr_array:
    """What each of its set weighs to each (eq. 7), of sum 1."""
    weight = np.exp(-squares.at(row, column) / farthest[row])
    first = np.searchsorted(row, np.arange(squares.count + 1))
    weight /= np.add.reduceat(weight, first[:-1])[row]
    return sparse.csr_array((weight, column, first), shape=(squares.count, squares.count))


def _averaged(vectors: sparse.csr_array, nearest: np.ndarray) -> sparse.csr_array:
    """The mean vector of each one's nearest (eq. 11)."""
    count, k = nearest.shape
    mean = (np.full(count * k, 1 / k, np.float32), nearest.ravel(), np.arange(0, count * k + 1, k))
    return (sparse.csr_array(mean, shape=vectors.shape) @ vectors).tocsr()


class _Jaccard:
    """Jaccard distances of vectors (eq. 10) between queries and gallery items.

    Vectors have sum 1, so the sum of maxima is 2 less that of minima. Minima are not zero only at
    places where both are not: the columns of the gallery say where these are.
    """

    def __init__(self, vectors: sparse.csr_array, queries: int) -> None:
        self._queries = vectors[:queries].tocsr()
        self._gallery = vectors[queries:].tocsc()

    def distances(self, rows: slice) -> np.ndarray:
        """Of a block of queries, `float32 (b, G)`."""
        items = self._gallery.shape[0]
        shared = np.zeros((rows.stop - rows.start, items), np.float32)
        for place, query in enumerate(range(rows.start, rows.stop)):
            shared[place] = self._of_one(query, items)
        return 1 - shared / (2 - shared)

    def _of_one(self, query: int, items: int) -> np.ndarray:
        """Sums of minima of a query with each gallery item."""
        of_query = slice(*self._queries.indptr[query : query + 2])
        columns, weights = self._queries.indices[of_query], self._queries.data[of_query]
        first, end = self._gallery.indptr[columns], self._gallery.indptr[columns + 1]
        number = end - first
        place = np.arange(number.sum()) + np.repeat(first - np.cumsum(number) + number, number)
        both = np.minimum(np.repeat(weights, number), self._gallery.data[place])
        return np.bincount(self._gallery.indices[place], both, items)
