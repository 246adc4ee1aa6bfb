"""Open-set identification against a loop over all thresholds, and hand-made cases."""

import evaluation_samples as plain
import numpy as np
import pytest

from passerby.evaluation.identification import identification_rate
from passerby.evaluation.pairs import Pairs, checked
from passerby.evaluation.ranking import rank
from passerby.evaluation.verification import NOTHING_ACCEPTED, verify


def found(distances: np.ndarray, pairs: Pairs, far: float) -> tuple[float, float] | None:
    return identification_rate(
        rank(plain.blocks(distances), pairs), verify(plain.blocks(distances), pairs, ()), far
    )


def by_all_thresholds(distances: np.ndarray, pairs: Pairs, far: float) -> float:
    """The greatest DIR of all thresholds whose FAR is at most `far`."""
    genuine, impostor = plain.genuine(pairs), plain.impostor(pairs)
    enrolled = np.flatnonzero(genuine.any(axis=1))
    best = 0.0
    for threshold in np.unique(distances):
        strangers = [
            (row[other] <= threshold).any() for row, other in zip(distances, impostor, strict=True)
        ]
        if np.mean(strangers) > far:
            continue
        right = 0
        for q in enrolled:
            match = np.where(genuine[q], distances[q], np.inf)
            other = np.where(impostor[q], distances[q], np.inf)
            first = match.min() < other.min() or (
                match.min() == other.min() and match.argmin() < other.argmin()
            )
            right += first and match.min() <= threshold
        best = max(best, right / len(enrolled))
    return best


@pytest.mark.parametrize("levels", [None, 12])
@pytest.mark.parametrize("far", [0.05, 0.3, 1.0])
def test_the_rate_is_the_best_of_all_thresholds(levels: int | None, far: float) -> None:
    distances, pairs = plain.drawn(2, levels=levels)
    distances[plain.genuine(pairs)] *= 0.2  # a matcher that is better than chance
    point = found(distances, pairs, far)
    assert point is not None
    assert point[0] == pytest.approx(by_all_thresholds(distances, pairs, far))


def test_a_match_counts_only_first_and_within_the_threshold() -> None:
    pairs = checked([1, 2, 3, 4], [1, 2, 3, 4], [1] * 4, [2] * 4)
    distances = np.array(
        [[0.1, 0.9, 0.9, 0.9], [0.2, 0.3, 0.9, 0.9], [0.9, 0.9, 0.5, 0.6], [0.9, 0.9, 0.9, 0.8]],
        np.float32,
    )
    # Strangers' nearest: 0.9, 0.2, 0.6, 0.9. At FAR 0.25 thresholds are below 0.6.
    point = found(distances, pairs, 0.25)
    assert point == (0.5, pytest.approx(0.5))
    assert found(distances, pairs, 0.2) is None


def test_nobody_is_found_where_strangers_are_nearest() -> None:
    pairs = checked([1, 2], [1, 2], [1, 1], [2, 2])
    distances = np.array([[0.9, 0.1], [0.1, 0.9]], np.float32)
    assert found(distances, pairs, 0.5) == (0.0, NOTHING_ACCEPTED)
