"""Verification: is a pair of one person? Errors at every threshold, out of all counting pairs.

The positive class is *same person*. A pair is accepted when its distance is at most the threshold.
FAR (false-accept rate, FPR) is the share of impostor pairs that are accepted, TAR (true-accept
rate, TPR) the share of genuine pairs. (fast-reid 1.4.0 has these the other way round.)

One pass over the distances, in which impostor pairs are counted and never sorted as a whole. The
nearest of them are kept: as many as the named FARs accept, for which TAR is therefore exact. The
others are counted in bins so narrow (a 16,384th of the distance) that what hangs on all pairs, AUC
and EER and the rest of the curve, is right to about 1e-5.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from passerby.evaluation.distance import Block
from passerby.evaluation.pairs import Pairs, Places

POINTS_PER_DECADE = 50
LEAST_RATE = 1e-6
NOTHING_ACCEPTED = -1.0
"""A threshold below every distance."""
HISTOGRAM_BINS = 100
LOST_BITS = 9
"""A bin holds the float32 that differ in these last bits alone: 2^14 bins to each power of two."""
_LEAST_BITS, _MOST_BITS = np.array([2.0**-14, 2.0**18], np.float32).view(np.uint32)
"""Nearer than the one, pictures are the same; farther than the other, features are no features."""
BINS = int(_MOST_BITS - _LEAST_BITS >> LOST_BITS) + 1
KEPT_AT_LEAST = 1 << 20
"""Nearest impostor pairs that are kept in any case: of a small set, all."""
MARGIN = 1.5
"""How many more are kept than the FARs accept: where people are drawn anew, more may be needed."""


@dataclass(frozen=True)
class Curve:
    """TAR over a grid of FARs, the same for all models; fractions in [0, 1]."""

    fpr: np.ndarray
    """`(n,)`: allowed FAR, rising, evenly spaced by logarithm up to 1."""
    tpr: np.ndarray
    """`(n,)`: greatest TAR at which FAR is not above the allowed one."""
    threshold: np.ndarray
    """`(n,)`: the distance that gives it."""


@dataclass(frozen=True)
class Histogram:
    """How distances of genuine and of impostor pairs are spread over `n` bins."""

    distance: np.ndarray
    """`(n,)`: the middle of each bin."""
    genuine: np.ndarray
    """`(n,)`: share of the genuine pairs."""
    impostor: np.ndarray
    """`(n,)`: share of the impostor pairs."""


@dataclass(frozen=True)
class Verification:
    """The `P` genuine pairs among the `M` impostor pairs, of which the `K` nearest are known."""

    genuine: np.ndarray
    """`float32 (P,)`: distances of the genuine pairs, sorted."""
    genuine_query: np.ndarray
    """`int64 (P,)`: the query of each."""
    nearest: np.ndarray
    """`float32 (K,)`: distances of the nearest impostor pairs, sorted."""
    nearest_pair: np.ndarray
    """`int64 (K,)`: which pair each is: query times `G` plus gallery item."""
    spread: np.ndarray
    """`int64 (BINS,)`: how many impostor pairs are in each bin of distance (`bin_of`)."""
    nearest_of_query: np.ndarray
    """`float32 (Q,)`: distance of each query's nearest impostor; infinite where it has none."""

    @property
    def impostors(self) -> int:
        """`M`."""
        return int(self.spread.sum())

    def true_accept_rate(self, far: float) -> tuple[float, float] | None:
        """TAR where at most `far` of the impostor pairs are accepted, and the threshold for it.

        Args:
            far: Allowed false-accept rate, in (0, 1]. Up to the greatest of those that the pairs
                were counted for, TAR is exact; above it, it is the greatest that the bins can tell.

        Returns:
            `(rate, threshold)`; the threshold is the distance of the farthest genuine pair that is
            accepted, or `NOTHING_ACCEPTED`. `None` where `far` is less than one impostor pair:
            then it cannot be measured on this set.
        """
        allowed = int(far * self.impostors + 1e-9)
        if allowed < 1:
            return None
        accepted = int(self.genuine.searchsorted(self._first_refused(allowed), "left"))
        threshold = float(self.genuine[accepted - 1]) if accepted else NOTHING_ACCEPTED
        return accepted / len(self.genuine), threshold

    def _first_refused(self, allowed: int) -> np.float32:
        """A distance that is too far: with it, more impostor pairs would be accepted."""
        if allowed >= self.impostors:
            return np.float32(np.inf)
        if allowed < len(self.nearest):
            return np.float32(self.nearest[allowed])
        whole = int(self._up_to_bin.searchsorted(allowed, "right"))
        return edges_of(np.array([whole]))[0]

    @cached_property
    def _up_to_bin(self) -> np.ndarray:
        """How many impostor pairs are in each bin and those before it."""
        return self.spread.cumsum()

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """FAR and TAR at the end of each bin that holds a pair, from 0 to 1: `(n,)` both."""
        genuine = np.bincount(bin_of(self.genuine), minlength=BINS)
        held = np.flatnonzero(genuine + self.spread)
        far = np.cumsum(self.spread[held]) / self.impostors
        tar = np.cumsum(genuine[held]) / len(self.genuine)
        return np.concatenate([[0.0], far]), np.concatenate([[0.0], tar])

    def area_under_curve(self) -> float:
        """Chance that a genuine pair is nearer than an impostor pair; in one bin, half of it."""
        far, tar = self.corners()
        return float(np.trapezoid(tar, far))

    def equal_error_rate(self) -> float:
        """FAR where it equals the share of genuine pairs rejected, on the line between corners."""
        far, tar = self.corners()
        excess = far - (1 - tar)
        after = int(np.argmax(excess >= 0))
        if after == 0 or excess[after] == 0:
            return float(far[after])
        part = -excess[after - 1] / (excess[after] - excess[after - 1])
        return float(far[after - 1] + part * (far[after] - far[after - 1]))

    def curve(self) -> Curve:
        """TAR over a grid of FARs that begins where one impostor pair can be told."""
        decades = int(np.ceil(-np.log10(max(LEAST_RATE, 1 / self.impostors)) * POINTS_PER_DECADE))
        grid = 10.0 ** (-np.arange(decades, -1, -1) / POINTS_PER_DECADE)
        points = [(far, self.true_accept_rate(far)) for far in map(float, grid)]
        table = [(far, *point) for far, point in points if point is not None]
        return Curve(*np.array(table, np.float64).T)

    def histogram(self) -> Histogram:
        """How both kinds of pairs lie over a hundred bins, from the nearest to the farthest."""
        held = np.flatnonzero(self.spread)
        impostor, genuine = edges_of(held).astype(float), self.genuine.astype(float)
        least = min(genuine[0], impostor[0])
        limits = (least, max(genuine[-1], impostor[-1], least + 1e-6))
        genuine, edges = np.histogram(genuine, HISTOGRAM_BINS, limits)
        others, _ = np.histogram(impostor, HISTOGRAM_BINS, limits, weights=self.spread[held])
        middle = (edges[:-1] + edges[1:]) / 2
        return Histogram(middle, genuine / len(self.genuine), others / self.impostors)


def bin_of(distance: np.ndarray) -> np.ndarray:
    """The bin of each distance from 0 up: such floats are in the order of their bits.

    Example:
        >>> bins = bin_of(np.array([0.0, 1.0, 1.00001, 1.0001, np.inf], np.float32))
        >>> bins - bins[1]
        array([-229376,       0,       0,       1,  294912])
    """
    bits = np.clip(distance.view(np.uint32), _LEAST_BITS, _MOST_BITS)
    bits -= _LEAST_BITS
    bits >>= LOST_BITS
    return bits.astype(np.intp)


def edges_of(bins: np.ndarray) -> np.ndarray:
    """The least distance in each bin, float32."""
    edges = ((bins.astype(np.uint32) << LOST_BITS) + _LEAST_BITS).view(np.float32)
    return np.where(bins == 0, np.float32(0), edges)


class Tally:
    """The pairs seen so far; memory grows with the pairs that are kept, not with the gallery.

    Args:
        pairs: Which pairs count.
        fars: False-accept rates at which TAR will be exact.
    """

    def __init__(self, pairs: Pairs, fars: Sequence[float]) -> None:
        self._gallery = len(pairs.gallery_people)
        most = int(MARGIN * max(fars, default=0) * len(pairs.query_people) * self._gallery)
        self._keep = max(most, KEPT_AT_LEAST)
        self._within = np.float32(np.finfo(np.float32).max)
        self._genuine: list[tuple[np.ndarray, np.ndarray]] = []
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []
        self._spread = np.zeros(BINS, np.int64)
        self._nearest: list[np.ndarray] = []

    def add(self, rows: slice, block: np.ndarray, genuine: Places) -> None:
        """Count the pairs of a block.

        Args:
            rows: Its queries.
            block: Distances from 0 up, `float32 (b, G)`; infinite where a pair is ignored. It is
                written in: of it only impostor pairs stay finite.
            genuine: Which pairs are of one person.
        """
        self._genuine.append((block[genuine], rows.start + genuine[0]))
        block[genuine] = np.inf
        self._nearest.append(block.min(axis=1))
        self._spread += np.bincount(bin_of(block).ravel(), minlength=BINS)
        self._spread[-1] -= np.count_nonzero(block == np.inf)
        self._keep_nearest(block, rows.start * self._gallery)

    def _keep_nearest(self, block: np.ndarray, first_pair: int) -> None:
        near = np.flatnonzero(block <= self._within)
        self._kept.append((block.ravel()[near], first_pair + near))
        if sum(len(distance) for distance, _ in self._kept) > 2 * self._keep:
            distance, pair = map(np.concatenate, zip(*self._kept, strict=True))
            nearest = np.argpartition(distance, self._keep)[: self._keep]
            self._within = distance[nearest].max()
            self._kept = [(distance[nearest], pair[nearest])]

    def found(self) -> Verification:
        """All that was counted."""
        genuine, query = map(np.concatenate, zip(*self._genuine, strict=True))
        distance, pair = map(np.concatenate, zip(*self._kept, strict=True))
        order = np.argsort(genuine, kind="stable")
        near = np.argsort(distance, kind="stable")[: self._keep]
        return Verification(
            genuine=genuine[order],
            genuine_query=query[order],
            nearest=distance[near],
            nearest_pair=pair[near],
            spread=self._spread,
            nearest_of_query=np.concatenate(self._nearest),
        )


def verify(distances: Iterable[Block], pairs: Pairs, fars: Sequence[float]) -> Verification:
    """Count the pairs of all blocks.

    Args:
        distances: Blocks of rows of queries and their distances, which are written in.
        pairs: Which pairs count.
        fars: False-accept rates at which TAR will be exact.
    """
    tally = Tally(pairs, fars)
    for rows, block in distances:
        pairs.ignore(rows, block)
        tally.add(rows, block, pairs.genuine(rows))
    return tally.found()
