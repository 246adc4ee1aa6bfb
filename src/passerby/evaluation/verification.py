"""Verification: is a pair of one person? Errors at every threshold, out of all counting pairs.

The positive class is *same person*. A pair is accepted when its distance is at most the threshold.
FAR (false-accept rate, FPR) is the share of impostor pairs that are accepted, TAR (true-accept
rate, TPR) the share of genuine pairs. (fast-reid 1.4.0 has these the other way round.)

All is exact, and only genuine distances are kept: errors change in a way that matters only there,
so for each of them the impostor pairs nearer than it are counted, block by block.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

POINTS_PER_DECADE = 50
LEAST_RATE = 1e-6
NOTHING_ACCEPTED = -1.0
"""A threshold below every distance."""
BINS = 100


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
    """The `P` genuine pairs among the `M` impostor pairs."""

    genuine: np.ndarray
    """`float32 (P,)`: distances of the genuine pairs, sorted."""
    nearer: np.ndarray
    """`int64 (P,)`: impostor pairs nearer than each genuine pair."""
    not_farther: np.ndarray
    """`int64 (P,)`: impostor pairs nearer than each genuine pair, or as near."""
    impostors: int
    """`M`."""
    histogram: Histogram

    def true_accept_rate(self, far: float) -> tuple[float, float] | None:
        """TAR where at most `far` of the impostor pairs are accepted, and the threshold for it.

        Args:
            far: Allowed false-accept rate, in (0, 1].

        Returns:
            `(rate, threshold)`; the threshold is the distance of the farthest genuine pair that is
            accepted, or `NOTHING_ACCEPTED`. `None` where `far` is less than one impostor pair:
            then it cannot be measured on this set.
        """
        allowed = int(far * self.impostors + 1e-9)
        if allowed < 1:
            return None
        accepted = int(np.searchsorted(self.not_farther, allowed, side="right"))
        threshold = float(self.genuine[accepted - 1]) if accepted else NOTHING_ACCEPTED
        return accepted / len(self.genuine), threshold

    def vertices(self) -> tuple[np.ndarray, np.ndarray]:
        """The corners of the exact ROC curve: FAR and TAR, each `(2 P + 2,)`, rising.

        Each genuine pair gives the point just before and the point at its distance; a tie with
        impostors is a slope between the two.
        """
        tied_before = np.searchsorted(self.genuine, self.genuine, side="left")
        tied_upto = np.searchsorted(self.genuine, self.genuine, side="right")
        far = np.stack([self.nearer, self.not_farther], axis=1).ravel() / self.impostors
        tar = np.stack([tied_before, tied_upto], axis=1).ravel() / len(self.genuine)
        # Genuine pairs at one distance share both points; sorting puts like points together.
        order = np.lexsort((tar, far))
        return np.concatenate([[0.0], far[order], [1.0]]), np.concatenate(
            [[0.0], tar[order], [1.0]]
        )

    def area_under_curve(self) -> float:
        """Chance that a genuine pair is nearer than an impostor pair; a tie counts half."""
        farther = self.impostors - (self.nearer + self.not_farther) / 2
        return float(farther.mean() / self.impostors)

    def equal_error_rate(self) -> float:
        """FAR where it equals the share of genuine pairs rejected, on the line between corners."""
        far, tar = self.vertices()
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


def verify(
    genuine: np.ndarray, impostors: Iterable[np.ndarray], least: float, most: float
) -> Verification:
    """Count impostor pairs against the genuine ones, block by block.

    Args:
        genuine: Distances of all genuine pairs, `float32 (P,)`, at least one.
        impostors: Distances of impostor pairs, `float32`, in blocks of any size.
        least: Where the histogram begins: no distance is smaller.
        most: Where it ends: no distance is greater.
    """
    genuine = np.sort(genuine)
    edges = np.linspace(least, max(most, np.nextafter(least, np.inf)), BINS + 1)
    nearer = np.zeros(len(genuine), np.int64)
    not_farther = np.zeros(len(genuine), np.int64)
    spread = np.zeros(BINS, np.int64)
    count = 0
    for block in impostors:
        inside = np.sort(block, axis=None)
        count += len(inside)
        nearer += np.searchsorted(inside, genuine, side="left")
        not_farther += np.searchsorted(inside, genuine, side="right")
        spread += _binned(inside, edges)
    histogram = Histogram(
        (edges[:-1] + edges[1:]) / 2, _binned(genuine, edges) / len(genuine), spread / max(count, 1)
    )
    return Verification(genuine, nearer, not_farther, count, histogram)


def _binned(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many of the sorted values lie in each bin; the last bin holds its upper edge too."""
    places = np.searchsorted(values, edges[1:-1].astype(values.dtype), side="left")
    return np.diff(np.concatenate([[0], places, [len(values)]]))
