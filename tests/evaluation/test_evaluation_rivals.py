"""The figures of fast-reid 1.4.0's evaluator, where it is right, and of scikit-learn's ROC."""

from pathlib import Path

import evaluation_samples as plain
import numpy as np
import pytest
from sklearn.metrics import roc_curve

from passerby.datasets import index
from passerby.evaluation.pairs import Pairs, checked
from passerby.evaluation.ranking import rank
from passerby.evaluation.verification import verify
from passerby.finetune import compat  # noqa: F401  (fast-reid imports only after it)
from passerby.settings import BenchmarkSource


def equals_fast_reid(distances: np.ndarray, pairs: Pairs) -> None:
    """fast-reid's Python ranking; it takes no junk, and needs fifty gallery items."""
    from fastreid.evaluation.rank import eval_market1501

    found = rank(plain.blocks(distances, 50), pairs)
    curve, precisions, penalties = eval_market1501(
        distances,
        pairs.query_people,
        pairs.gallery_people,
        pairs.query_cameras,
        pairs.gallery_cameras,
        50,
    )
    assert [found.cmc(k) for k in range(1, 51)] == pytest.approx(curve, abs=1e-6)
    assert found.average_precision == pytest.approx(precisions, abs=1e-6)
    assert found.inverse_negative_penalty == pytest.approx(penalties, abs=1e-6)


def equals_scikit_learn(distances: np.ndarray, pairs: Pairs, fars: tuple[float, ...]) -> None:
    """TAR at the FARs, read off the exact curve: never above the FAR."""
    genuine, impostor = plain.genuine(pairs), plain.impostor(pairs)
    labels = np.r_[np.ones(genuine.sum(), bool), np.zeros(impostor.sum(), bool)]
    scores = -np.r_[distances[genuine], distances[impostor]]
    far, tar, _ = roc_curve(labels, scores, drop_intermediate=False)
    found = verify(plain.blocks(distances, 50), pairs, fars)
    for allowed in fars:
        point = found.true_accept_rate(allowed)
        assert point is not None
        assert point[0] == pytest.approx(tar[far <= allowed + 1e-12].max(), abs=1e-12)
    area = float(np.trapezoid(tar, far))
    assert found.area_under_curve() == pytest.approx(area, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_random_labels_with_distractors_single_matches_and_unmatched_queries(seed: int) -> None:
    distances, pairs = plain.drawn(seed, queries=60, gallery=200)
    distances, pairs = distances[:, pairs.counting], pairs.without_junk()
    pairs.query_people[:5] = 99  # of whom the gallery has nobody
    pairs.gallery_people[:3], pairs.query_people[5] = 50, 50  # a few matches at most
    assert (pairs.gallery_people == 0).any()
    equals_fast_reid(distances, checked(*vars(pairs).values()))
    equals_scikit_learn(distances, checked(*vars(pairs).values()), (0.001, 0.01, 0.1))


@pytest.mark.real
@pytest.mark.slow
def test_the_labels_of_market1501(realdata: Path) -> None:
    """300 queries, the whole gallery, distances without ties that know people a little."""
    source = BenchmarkSource(
        kind="market1501", root=str(realdata / "Market-1501-v15.09.15"), counts="market1501"
    )
    found = index.build("market1501", source)
    query, gallery = found.split("query"), found.split("gallery")
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(query))[:300]
    pairs = checked(query.person[chosen], gallery.person, query.camera[chosen], gallery.camera)
    distances = rng.permutation(300 * len(gallery)).reshape(300, -1).astype(np.float32)
    distances /= distances.max()
    distances[plain.genuine(pairs)] *= 0.3
    equals_fast_reid(distances, pairs)
    equals_scikit_learn(distances, pairs, (1e-4, 1e-3, 1e-2))
