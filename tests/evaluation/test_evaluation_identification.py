"""Open-set identification against a loop over all thresholds, and hand-made cases."""

from itertools import combinations

import evaluation_samples as plain
import numpy as np
import pytest

from passerby.evaluation import verification
from passerby.evaluation.identification import Searches, identification_rate
from passerby.evaluation.pairs import Pairs, checked
from passerby.evaluation.ranking import rank
from passerby.evaluation.verification import NOTHING_ACCEPTED, verify


def found(distances: np.ndarray, pairs: Pairs, fpir: float) -> tuple[float, float] | None:
    return identification_rate(
        rank(plain.blocks(distances), pairs), verify(plain.blocks(distances), pairs, ()), fpir
    )


def by_all_thresholds(distances: np.ndarray, pairs: Pairs, fpir: float) -> float:
    """The greatest TPIR of all thresholds whose FPIR is at most `fpir`."""
    genuine, impostor = plain.genuine(pairs), plain.impostor(pairs)
    enrolled = np.flatnonzero(genuine.any(axis=1))
    best = 0.0
    for threshold in np.unique(distances):
        strangers = [
            (row[other] <= threshold).any() for row, other in zip(distances, impostor, strict=True)
        ]
        if np.mean(strangers) > fpir:
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
@pytest.mark.parametrize("fpir", [0.05, 0.3, 1.0])
def test_the_rate_is_the_best_of_all_thresholds(levels: int | None, fpir: float) -> None:
    distances, pairs = plain.drawn(2, levels=levels)
    distances[plain.genuine(pairs)] *= 0.2  # a matcher that is better than chance
    point = found(distances, pairs, fpir)
    assert point is not None
    assert point[0] == pytest.approx(by_all_thresholds(distances, pairs, fpir))


def test_a_match_counts_only_first_and_within_the_threshold() -> None:
    pairs = checked([1, 2, 3, 4], [1, 2, 3, 4], [1] * 4, [2] * 4)
    distances = np.array(
        [[0.1, 0.9, 0.9, 0.9], [0.2, 0.3, 0.9, 0.9], [0.9, 0.9, 0.5, 0.6], [0.9, 0.9, 0.9, 0.8]],
        np.float32,
    )
    # Strangers' nearest: 0.9, 0.2, 0.6, 0.9. At FPIR 0.25 thresholds are below 0.6.
    point = found(distances, pairs, 0.25)
    assert point == (0.5, pytest.approx(0.5))
    assert found(distances, pairs, 0.2) is None


def test_nobody_is_found_where_strangers_are_nearest() -> None:
    pairs = checked([1, 2], [1, 2], [1, 1], [2, 2])
    distances = np.array([[0.9, 0.1], [0.1, 0.9]], np.float32)
    assert found(distances, pairs, 0.5) == (0.0, NOTHING_ACCEPTED)


def searched(distances: np.ndarray, pairs: Pairs, size: int | None) -> Searches:
    found = verify(plain.blocks(distances), pairs, ())
    return Searches.of(pairs, rank(plain.blocks(distances), pairs), found, size)


def by_all_galleries(
    distances: np.ndarray, pairs: Pairs, size: int, threshold: float
) -> tuple[float, float]:
    """FPIR and TPIR over every gallery of so many impostors that can be drawn for each query."""
    genuine, impostor = plain.genuine(pairs), plain.impostor(pairs)
    accepted, found = [], []
    for row, own, others in zip(distances, genuine, impostor, strict=True):
        match = np.where(own, row, np.inf)
        galleries = [list(places) for places in combinations(np.flatnonzero(others), size)]
        accepted.append(np.mean([(row[drawn] <= threshold).any() for drawn in galleries]))
        if own.any():
            first = [
                match.min() < row[drawn].min()
                or (match.min() == row[drawn].min() and match.argmin() < drawn[row[drawn].argmin()])
                for drawn in galleries
            ]
            found.append(np.mean(first) * (match.min() <= threshold))
    return float(np.mean(accepted)), float(np.mean(found))


@pytest.mark.parametrize("levels", [None, 9])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_rates_in_a_smaller_gallery_equal_those_over_all_that_can_be_drawn(
    levels: int | None, size: int
) -> None:
    distances, pairs = plain.drawn(4, queries=15, gallery=12, levels=levels)
    distances, pairs = distances[:, pairs.counting], pairs.without_junk()
    ours = searched(distances, pairs, size)
    for threshold in (0.05, 0.2, 0.6):
        fpir, tpir = by_all_galleries(distances, pairs, size, threshold)
        assert ours.strangers_accepted(threshold).mean() == pytest.approx(fpir, abs=1e-9)
        assert ours.enrolled_found(threshold).mean() == pytest.approx(tpir, abs=1e-9)
    for allowed in (0.1, 0.3):
        chosen = ours.threshold(allowed)
        assert chosen is not None
        assert by_all_galleries(distances, pairs, size, chosen)[0] <= allowed + 1e-9
        farther = [m for m in ours.match[ours.first > 0] if m > chosen]
        if farther:
            assert by_all_galleries(distances, pairs, size, min(farther))[0] > allowed


@pytest.mark.parametrize("fpir", [0.02, 0.1, 0.5])
def test_a_search_of_the_whole_gallery_has_the_rate_and_the_threshold_of_the_evaluation(
    fpir: float,
) -> None:
    distances, pairs = plain.drawn(3)
    distances[plain.genuine(pairs)] *= 0.3
    distances, pairs = distances[:, pairs.counting], pairs.without_junk()
    ours, point = searched(distances, pairs, None), found(distances, pairs, fpir)
    chosen = ours.threshold(fpir)
    if point is None:
        assert chosen is None
        return
    assert chosen == point[1]
    assert ours.enrolled_found(point[1]).mean() == pytest.approx(point[0])
    assert ours.strangers_accepted(point[1]).mean() <= fpir


def test_a_larger_gallery_accepts_more_strangers_at_the_same_distance() -> None:
    distances, pairs = plain.drawn(6, gallery=400)
    distances, pairs = distances[:, pairs.counting], pairs.without_junk()
    rates = [
        searched(distances, pairs, size).strangers_accepted(0.005).mean()
        for size in (1, 10, 100, None)
    ]
    assert rates == sorted(rates)
    assert rates[-1] > 50 * rates[0]


def test_where_too_few_impostor_pairs_are_known_a_threshold_is_nearer_never_farther(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distances, pairs = plain.drawn(5)
    distances, pairs = distances[:, pairs.counting], pairs.without_junk()
    whole = searched(distances, pairs, 2).threshold(0.3)
    monkeypatch.setattr(verification, "KEPT_AT_LEAST", 50)
    few = searched(distances, pairs, 2)
    assert not few.complete
    chosen = few.threshold(0.3)
    assert whole is not None
    assert chosen is not None
    assert NOTHING_ACCEPTED < chosen < whole
