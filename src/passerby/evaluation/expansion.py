"""Query expansion: each feature becomes a weighted mean of its nearest ones (transductive).

The variant of fast-reid 1.4.0 (`evaluation/query_expansion.py:aqe`, `TEST.AQE`): queries and
gallery items alike are replaced, by the mean over their `k` nearest of both, themselves among them,
each weighing its cosine to the power of `alpha` (average query expansion, O. Chum et al., ICCV
2007; the weights are of F. Radenović et al., TPAMI 2018, arXiv 1711.02512).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from passerby.errors import BadInput
from passerby.evaluation.distance import BLOCK_PAIRS, Multiply, equal_rows, on_cpu
from passerby.evaluation.scale import by_row, fitting, together, unit


@dataclass(frozen=True)
class Expand:
    """The parameters."""

    k: int = 10
    """How many features are averaged."""
    alpha: float = 3.0
    """Power of the cosine that weighs them; 0 for a plain mean."""

    def __post_init__(self) -> None:
        if self.k < 1 or self.alpha < 0:
            raise BadInput(f"expand: k {self.k}, alpha {self.alpha} found; k from 1, alpha from 0")


def expanded(
    query: np.ndarray,
    gallery: np.ndarray,
    asked: Expand,
    multiplier: Callable[[np.ndarray], Multiply] = on_cpu,
) -> tuple[np.ndarray, np.ndarray]:
    """Expanded features of both sides; of two that are as near the earlier counts.

    Args:
        query: `(Q, D)`.
        gallery: `(G, D)`.
        asked: The parameters.
        multiplier: As in `distance.blocks`.

    Returns:
        `float32 (Q, D)` and `float32 (G, D)`; where numbers are extreme all are times one power of
        two, and in float64 if that is not enough.

    Raises:
        BadInput: a feature of length 0.
    """
    both = fitting(np.concatenate(together(query, gallery)[:2]))
    directions = unit(np.concatenate([by_row(query), by_row(gallery)]), "features")
    multiply, k = multiplier(directions), min(asked.k, len(both))
    found = np.empty_like(both)
    later, first = equal_rows(directions)
    step = max(1, BLOCK_PAIRS // len(both))
    for start in range(0, len(both), step):
        cosines = multiply(directions[start : start + step])
        cosines[:, later] = cosines[:, first]
        # A stable sort of the few that a partition leaves: ties go to the earlier.
        last = -np.partition(-cosines, k - 1, axis=1)[:, k - 1]
        for place, row in enumerate(cosines, start):
            near = np.flatnonzero(row >= last[place - start])
            near = near[np.argsort(-row[near], kind="stable")[:k]]
            weights = np.maximum(row[near], 0) ** np.float32(asked.alpha)
            found[place] = weights @ both[near] / k
    found[later] = found[first]  # of equal cosines; a product may have other last bits in each row
    return found[: len(query)], found[len(query) :]
