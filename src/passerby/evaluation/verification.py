"""Verification: is a pair of one person? Errors at every threshold, out of all counting pairs.

The positive class is *same person*. A pair is accepted when its distance is at most the threshold.
FAR (false-accept rate, FPR, FMR) is the share of impostor pairs that are accepted, TAR (true-accept
rate, TPR, 1 - FNMR) the share of genuine pairs. (fast-reid 1.4.0 has these the other way round.)

One pass over the distances, in which impostor pairs are counted and never sorted as a whole. The
nearest of them are kept: as many as the named FARs accept, for which TAR is therefore exact. The
others are counted in bins that are a 16,384th of the distance wide, whatever the distance. What
hangs on all pairs, AUC and EER and the rest of the curve, is therefore not exact: pairs in one bin
count as equally near. A genuine pair and an impostor pair in one bin may move AUC by half of one
over the product of the numbers of both kinds: it was right to 3e-6 with 200 genuine pairs, and may
be off by 1e-3 in a set of a few dozen pairs. Distances that differ by less than a bin, as those
between two kinds of pictures that a network keeps far apart, would make it 0.5 (`unresolved`): then
it is computed of all pairs one by one, if all are kept, and is else called not sure.
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
FEW_ERRORS = 30
"""A rate from fewer errors is not sure: from 30 independent ones it is right to 30 % with 90 %
confidence (the rule of thirty, G. Doddington et al., Speech Communication 31, 2000)."""
UNRESOLVED = 1e-3
"""Share of pairs in one bin above which the bins are too wide. With distances that are spread over
some octaves it was below 1e-4."""
HISTOGRAM_BINS = 100
LOST_BITS = 9
"""A bin holds the float32 that differ in these last bits alone: 2^14 bins to each power of two."""
_INFINITE = int(np.array(np.inf, np.float32).view(np.uint32) >> LOST_BITS)
"""The bin after the last: what is infinitely far apart counts for nothing."""
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
    bins: np.ndarray
    """`int64 (n,)`: the bins of distance (`bin_of`) that hold impostor pairs, rising."""
    spread: np.ndarray
    """`int64 (n,)`: how many they hold."""
    nearest_of_query: np.ndarray
    """`float32 (Q,)`: distance of each query's nearest impostor; infinite where it has none."""

    @property
    def impostors(self) -> int:
        """`M`."""
        return int(self.spread.sum())

    @property
    def is_complete(self) -> bool:
        """Whether all impostor pairs are known one by one."""
        return len(self.nearest) == self.impostors

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

    def accepted(self, distance: float) -> tuple[float, int] | None:
        """TAR, and how many impostor pairs are accepted, at a given threshold.

        Returns:
            `None` where the threshold is beyond the impostor pairs that are known one by one.
        """
        limit = np.float32(distance)
        if not self.is_complete and limit >= self.nearest[-1]:
            return None
        genuine = int(self.genuine.searchsorted(limit, "right"))
        return genuine / len(self.genuine), int(self.nearest.searchsorted(limit, "right"))

    def strangers_accepted(self, distance: float) -> float:
        """FPIR: share of the queries that have an impostor within a threshold, in the gallery."""
        return float((self.nearest_of_query <= np.float32(distance)).mean())

    def _first_refused(self, allowed: int) -> np.float32:
        """A distance that is too far: with it, more impostor pairs would be accepted."""
        if allowed >= self.impostors:
            return np.float32(np.inf)
        if allowed < len(self.nearest):
            return np.float32(self.nearest[allowed])
        whole = int(self._up_to_bin.searchsorted(allowed, "right"))
        return edges_of(self.bins[whole : whole + 1])[0]

    @cached_property
    def _up_to_bin(self) -> np.ndarray:
        """How many impostor pairs are in each of the bins and those before it."""
        return self.spread.cumsum()

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """FAR and TAR at the end of each bin that holds a pair, from 0 to 1: `(n,)` both.

        At each distance instead, where the bins are too wide and all impostor pairs are known.
        """
        if self.unresolved > UNRESOLVED and self.is_complete:
            held = np.union1d(self.genuine, self.nearest)
            up_to_genuine = self.genuine.searchsorted(held, "right")
            up_to_impostor = self.nearest.searchsorted(held, "right")
        else:
            up_to_genuine, up_to_impostor = (np.cumsum(kind) for kind in self._in_bins)
        far, tar = up_to_impostor / self.impostors, up_to_genuine / len(self.genuine)
        return np.concatenate([[0.0], far]), np.concatenate([[0.0], tar])

    @cached_property
    def unresolved(self) -> float:
        """Of all choices of a genuine and an impostor pair, the share where both are in one bin."""
        genuine, impostor = (kind / kind.sum() for kind in self._in_bins)
        return float(genuine @ impostor)

    @cached_property
    def _in_bins(self) -> tuple[np.ndarray, np.ndarray]:
        """How many genuine and how many impostor pairs are in each bin that holds a pair."""
        of_genuine = bin_of(self.genuine)
        held = np.union1d(of_genuine, self.bins)
        genuine = np.bincount(held.searchsorted(of_genuine), minlength=len(held))
        impostor = np.zeros(len(held), np.int64)
        impostor[held.searchsorted(self.bins)] = self.spread
        return genuine, impostor

    def area_under_curve(self) -> float:
        """Chance that a genuine pair is nearer than an impostor pair; in one bin, half of it."""
        far, tar = self.corners()
        return float(np.trapezoid(tar, far))

    def area_is_off_by(self) -> float:
        """By how much the area may be wrong; 0 where the bins are fine enough, or not needed."""
        is_known = self.is_complete or self.unresolved <= UNRESOLVED
        return 0.0 if is_known else self.unresolved / 2

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
        impostor, genuine = edges_of(self.bins).astype(float), self.genuine.astype(float)
        least = min(genuine[0], impostor[0])
        apart = max(1e-6 * least, float(np.finfo(np.float32).tiny))
        limits = (least, max(genuine[-1], impostor[-1], least + apart))
        genuine, edges = np.histogram(genuine, HISTOGRAM_BINS, limits)
        others, _ = np.histogram(impostor, HISTOGRAM_BINS, limits, weights=self.spread)
        middle = (edges[:-1] + edges[1:]) / 2
        return Histogram(middle, genuine / len(self.genuine), others / self.impostors)


def bin_of(distance: np.ndarray) -> np.ndarray:
    """The bin of each distance from 0 up: such floats are in the order of their bits.

    Example:
        >>> bins = bin_of(np.array([0.0, 1.0, 1.00001, 1.0001, 2.0], np.float32))
        >>> bins - bins[1]
        array([-2080768,        0,        0,        1,    16384])
    """
    return (distance.view(np.uint32) >> LOST_BITS).astype(np.intp)


def edges_of(bins: np.ndarray) -> np.ndarray:
    """The least distance in each bin, float32."""
    return (bins.astype(np.uint32) << LOST_BITS).view(np.float32)


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
        self._spread = np.zeros(_INFINITE, np.int64)
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
        self._count(bin_of(block).ravel())
        self._keep_nearest(block, rows.start * self._gallery)

    def _count(self, bins: np.ndarray) -> None:
        """Add the pairs of a block to the bins that they are in."""
        least = int(bins.min())
        ignored = bins == _INFINITE
        bins[ignored] = least
        bins -= least
        counts = np.bincount(bins)
        counts[0] -= np.count_nonzero(ignored)
        self._spread[least : least + len(counts)] += counts if least < _INFINITE else 0

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
        held = np.flatnonzero(self._spread)
        return Verification(
            genuine=genuine[order],
            genuine_query=query[order],
            nearest=distance[near],
            nearest_pair=pair[near],
            bins=held,
            spread=self._spread[held],
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
