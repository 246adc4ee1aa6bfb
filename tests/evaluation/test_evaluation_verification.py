"""Verification against scikit-learn, a brute-force twin, and hand-made cases."""

import evaluation_samples as plain
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from passerby.evaluation import verification
from passerby.evaluation.pairs import checked
from passerby.evaluation.verification import (
    NOTHING_ACCEPTED,
    Verification,
    bin_of,
    edges_of,
    verify,
)

FARS = (0.001, 0.01, 0.1)


@pytest.fixture(params=["all impostors kept", "as few kept as the rates need"])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of a large and of a small set."""
    if request.param.startswith("as few"):
        monkeypatch.setattr(verification, "KEPT_AT_LEAST", 1)


def drawn(seed: int, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    genuine, impostor = rng.normal(1.0, 0.2, 300), rng.normal(2.0, 0.4, 5_000)
    if ties:
        genuine, impostor = genuine.round(1), impostor.round(1)
    return np.abs(genuine).astype(np.float32), np.abs(impostor).astype(np.float32)


def verified(genuine: np.ndarray, impostor: np.ndarray) -> Verification:
    """One query, with genuine pairs and impostor pairs at these distances."""
    row = np.concatenate([genuine, impostor])[None].astype(np.float32)
    people = [1] * len(genuine) + [2] * len(impostor)
    pairs = checked([1], people, [1], [2] * len(people))
    return verify([(slice(0, 1), row.copy())], pairs, FARS)


def best_rate(genuine: np.ndarray, impostor: np.ndarray, far: float) -> float:
    """The greatest TAR of all thresholds whose FAR is at most `far`, by trying them all."""
    thresholds = [-np.inf, *genuine, *impostor]
    rates = [(genuine <= t).mean() for t in thresholds if (impostor <= t).mean() <= far]
    return float(max(rates))


@pytest.mark.parametrize("ties", [False, True])
def test_area_equals_scikit_learns(ties: bool) -> None:
    genuine, impostor = drawn(0, ties)
    labels = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    wanted = roc_auc_score(labels, -np.r_[genuine, impostor])
    assert verified(genuine, impostor).area_under_curve() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("ties", [False, True])
def test_corners_lie_on_scikit_learns_curve(ties: bool) -> None:
    genuine, impostor = drawn(1, ties)
    labels = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    far, tar, _ = roc_curve(labels, -np.r_[genuine, impostor], drop_intermediate=False)
    ours_far, ours_tar = verified(genuine, impostor).corners()
    theirs = set(zip(far.round(9).tolist(), tar.round(9).tolist(), strict=True))
    ours = set(zip(ours_far.round(9).tolist(), ours_tar.round(9).tolist(), strict=True))
    assert ours <= theirs


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("far", FARS)
@pytest.mark.usefixtures("kept")
def test_true_accept_rate_is_the_best_of_all_thresholds(ties: bool, far: float) -> None:
    genuine, impostor = drawn(2, ties)
    point = verified(genuine, impostor).true_accept_rate(far)
    assert point is not None
    rate, threshold = point
    assert rate == best_rate(genuine, impostor, far)
    assert (genuine <= threshold).mean() == rate
    assert (impostor <= threshold).mean() <= far


def test_distances_within_one_bin_are_told_apart_where_all_pairs_are_kept() -> None:
    genuine, impostor = (np.float32(1000) + part * np.float32(0.01) for part in drawn(6))
    labels = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    far, tar, _ = roc_curve(labels, -np.r_[genuine, impostor])
    found = verified(genuine, impostor)
    assert len(np.unique(bin_of(np.r_[genuine, impostor]))) <= 2
    assert found.area_under_curve() == pytest.approx(np.trapezoid(tar, far), abs=1e-9)
    assert found.equal_error_rate() == pytest.approx(np.interp(0, far + tar - 1, far), abs=1e-9)
    assert found.area_is_off_by() == 0


def test_distances_within_one_bin_are_called_unsure_where_few_pairs_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verification, "KEPT_AT_LEAST", 1)
    genuine, impostor = drawn(6)
    assert verified(genuine, impostor).area_is_off_by() == 0
    found = verified(*(np.float32(1000) + part * np.float32(0.01) for part in (genuine, impostor)))
    labels = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    wanted = roc_auc_score(labels, -np.r_[genuine, impostor])
    assert found.area_is_off_by() > 0.49
    assert abs(found.area_under_curve() - wanted) <= found.area_is_off_by()


def test_the_right_way_round_on_the_sample_of_the_style_guide() -> None:
    genuine = 1 - np.array([0.9, 0.8, 0.6, 0.2], np.float32)
    impostor = 1 - np.array([0.1, 0.2, 0.5, 0.3], np.float32)
    point = verified(genuine, impostor).true_accept_rate(0.25)
    assert point is not None
    assert point[0] == 0.75
    assert point[1] == pytest.approx(0.4)


@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1e-5, 1.0, 1e5, 1e30])
def test_the_figures_do_not_depend_on_how_large_distances_are(scale: float) -> None:
    genuine, impostor = (np.float32(scale) * part for part in drawn(0))
    labels = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    found = verified(genuine, impostor)
    wanted = roc_auc_score(labels, -np.r_[genuine, impostor].astype(float))
    assert found.area_under_curve() == pytest.approx(wanted, abs=1e-5)
    assert found.equal_error_rate() == pytest.approx(
        verified(*drawn(0)).equal_error_rate(), abs=1e-3
    )
    spread = found.histogram()
    assert np.count_nonzero(spread.impostor) > 50
    assert found.impostors == len(impostor)


@pytest.mark.parametrize("ties", [False, True])
def test_distances_that_differ_by_less_than_a_bin_are_told_apart(ties: bool) -> None:
    near, far = drawn(0, ties)
    genuine, impostor = (np.float32(1024) + np.float32(0.01) * part for part in (near, far))
    assert len(np.unique(bin_of(np.r_[genuine, impostor]))) == 1
    labels = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    found = verified(genuine, impostor)
    wanted = roc_auc_score(labels, -np.r_[genuine, impostor].astype(float))
    assert wanted > 0.97
    assert found.area_under_curve() == pytest.approx(wanted, abs=1e-9)
    assert found.equal_error_rate() == pytest.approx(
        verified(near, far).equal_error_rate(), abs=0.01
    )


def test_a_given_threshold_tells_its_rate_and_its_errors() -> None:
    genuine, impostor = drawn(5)
    found = verified(genuine, impostor)
    for threshold in (0.0, 1.1, 1.5, float(impostor[7]), 9.0):
        assert found.accepted(threshold) == (
            (genuine <= threshold).mean(),
            (impostor <= threshold).sum(),
        )
    assert found.strangers_accepted(float(impostor.min())) == 1.0
    assert found.strangers_accepted(float(impostor.min()) * 0.999) == 0.0


def test_a_threshold_beyond_the_pairs_that_are_known_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verification, "KEPT_AT_LEAST", 1)
    genuine, impostor = drawn(5)
    found = verified(genuine, impostor)
    assert len(found.nearest) < len(impostor)
    assert found.accepted(float(np.median(impostor))) is None
    assert found.accepted(float(found.nearest[3])) is not None


def test_a_rate_below_one_impostor_pair_cannot_be_measured() -> None:
    found = verified(*drawn(3))
    assert found.true_accept_rate(1 / 5_001) is None
    assert found.true_accept_rate(1 / 5_000) is not None


def test_nothing_is_accepted_where_impostors_are_nearest() -> None:
    impostor = np.array([0.1, 0.1, 0.1, 0.9], np.float32)
    found = verified(np.array([0.5], np.float32), impostor)
    assert found.true_accept_rate(0.25) == (0.0, NOTHING_ACCEPTED)
    assert found.true_accept_rate(0.75) == (1.0, 0.5)


@pytest.mark.parametrize("far", [0.2, 0.5, 0.9, 1.0])
def test_above_the_named_rates_the_bins_accept_no_more_than_allowed(
    far: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "KEPT_AT_LEAST", 1)
    genuine, impostor = drawn(2)
    found = verified(genuine, impostor)
    assert len(found.nearest) < 0.2 * len(impostor)
    point = found.true_accept_rate(far)
    assert point is not None
    assert (impostor <= point[1]).mean() <= far
    assert point[0] == pytest.approx(best_rate(genuine, impostor, far), abs=0.004)


@pytest.mark.parametrize("ties", [False, True])
def test_equal_error_rate_lies_where_the_curve_meets_the_diagonal(ties: bool) -> None:
    genuine, impostor = drawn(4, ties)
    found = verified(genuine, impostor)
    rate = found.equal_error_rate()
    far, tar = found.corners()
    assert np.interp(rate, far, tar) == pytest.approx(1 - rate, abs=1e-9)
    labels = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    wanted_far, wanted_tar, _ = roc_curve(labels, -np.r_[genuine, impostor])
    assert np.interp(rate, wanted_far, wanted_tar) == pytest.approx(1 - rate, abs=0.002)


def test_equal_error_rate_of_separate_and_of_equal_distributions() -> None:
    near, far = np.linspace(0, 1, 10, dtype=np.float32), np.linspace(2, 3, 20, dtype=np.float32)
    assert verified(near, far).equal_error_rate() == 0.0
    assert verified(far, near).equal_error_rate() == 1.0
    assert verified(near, near).equal_error_rate() == pytest.approx(0.5)
    assert verified(near, far).area_under_curve() == 1.0
    assert verified(far, near).area_under_curve() == 0.0
    assert verified(near[:1], near[:1]).area_under_curve() == 0.5


@pytest.mark.usefixtures("kept")
def test_curve_never_passes_the_exact_one_and_ends_at_one() -> None:
    genuine, impostor = drawn(6)
    curve = verified(genuine, impostor).curve()
    assert curve.fpr[-1] == curve.tpr[-1] == 1.0
    assert curve.fpr[0] == pytest.approx(1 / 5_000, rel=0.05)
    assert np.all(np.diff(curve.fpr) > 0)
    assert np.all(np.diff(curve.tpr) >= 0)
    for far, tar, threshold in zip(curve.fpr, curve.tpr, curve.threshold, strict=True):
        assert (impostor <= threshold).mean() <= far
        assert (genuine <= threshold).mean() == tar


@pytest.mark.parametrize("levels", [None, 9])
@pytest.mark.usefixtures("kept")
def test_all_counting_pairs_are_counted_whatever_the_blocks(levels: int | None) -> None:
    distances, pairs = plain.drawn(7, levels=levels)
    genuine = np.sort(distances[plain.genuine(pairs)])
    impostor = np.sort(distances[plain.impostor(pairs)])
    for rows in (1, 7, 40):
        found = verify(plain.blocks(distances, rows), pairs, FARS)
        assert found.genuine.tolist() == genuine.tolist()
        assert found.impostors == len(impostor)
        assert found.nearest.tolist() == impostor[: len(found.nearest)].tolist()
        query, item = np.divmod(found.nearest_pair, distances.shape[1])
        assert distances[query, item].tolist() == found.nearest.tolist()
        bins, number = np.unique(bin_of(impostor), return_counts=True)
        assert found.bins.tolist() == bins.tolist()
        assert found.spread.tolist() == number.tolist()
        only = np.where(plain.impostor(pairs), distances, np.inf)
        assert found.nearest_of_query.tolist() == only.min(axis=1).tolist()


def test_bins_hold_their_edges_and_lose_nothing() -> None:
    rng = np.random.default_rng(0)
    distance = np.sort(10.0 ** rng.uniform(-37, 38, 10_000)).astype(np.float32)
    bins = bin_of(distance)
    assert (np.diff(bins) >= 0).all()
    assert (edges_of(bins) <= distance).all()
    assert (distance < edges_of(bins + 1)).all()
    width = edges_of(bins + 1)[1:-1] / edges_of(bins)[1:-1]
    assert width.max() <= 1 + 2.0**-14
    assert verified(distance[:5], distance).impostors == len(distance)
    assert bin_of(np.zeros(1, np.float32)).tolist() == [0]


def test_histogram_counts_every_pair_once() -> None:
    genuine, impostor = drawn(8)
    spread = verified(genuine, impostor).histogram()
    assert len(spread.distance) == len(spread.genuine) == len(spread.impostor) == 100
    assert spread.genuine.sum() == pytest.approx(1.0)
    assert spread.impostor.sum() == pytest.approx(1.0)
    both = np.r_[genuine, impostor]
    wanted, edges = np.histogram(impostor, 100, (both.min(), both.max()))
    assert spread.distance == pytest.approx((edges[:-1] + edges[1:]) / 2, rel=1e-4)
    assert np.abs(spread.impostor * len(impostor) - wanted).max() <= 5  # those at an edge


def test_distances_that_are_all_equal_have_a_histogram() -> None:
    same = np.full(4, 0.5, np.float32)
    spread = verified(same, same).histogram()
    assert spread.genuine.sum() == 1.0
