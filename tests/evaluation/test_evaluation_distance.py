"""Distances against scipy, and what they refuse."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from passerby.errors import BadInput
from passerby.evaluation import distance


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
def test_distances_equal_scipys(kind: distance.Kind) -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(7, 16)), rng.normal(size=(30, 16))
    found = distance.pairwise(query, gallery, kind)
    assert found.dtype == np.float32
    assert found == pytest.approx(cdist(query, gallery, kind), abs=1e-6)


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
def test_equal_features_are_no_distance_apart(kind: distance.Kind) -> None:
    features = np.random.default_rng(1).normal(size=(20, 64)).astype(np.float32)
    found = distance.pairwise(features, features, kind)
    assert np.diag(found) == pytest.approx(np.zeros(20), abs=1e-6)
    assert found.min() >= 0


def test_equal_gallery_features_tie() -> None:
    rng = np.random.default_rng(2)
    gallery = np.repeat(rng.normal(size=(1, 512)), 33, axis=0)
    found = distance.pairwise(rng.normal(size=(5, 512)), gallery, "cosine")
    assert [len(np.unique(row)) for row in found] == [1] * 5


def test_small_differences_of_long_features_survive() -> None:
    base = np.full((1, 2_048), 100.0)
    moved = base.copy()
    moved[0, 0] += 1e-3
    assert distance.pairwise(base, moved, "euclidean")[0, 0] == pytest.approx(1e-3, rel=0.05)


def test_blocks_cover_every_query_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distance, "BLOCK_PAIRS", 12)
    rng = np.random.default_rng(3)
    query, gallery = rng.normal(size=(10, 4)), rng.normal(size=(5, 4))
    parts = list(distance.blocks(query, gallery, "euclidean"))
    assert [rows for rows, _ in parts] == [slice(a, a + 2) for a in range(0, 10, 2)]
    joined = np.concatenate([block for _, block in parts])
    assert joined == pytest.approx(cdist(query, gallery), abs=1e-6)


def test_a_feature_of_length_zero_has_no_cosine() -> None:
    gallery = np.ones((3, 2))
    gallery[1] = 0
    with pytest.raises(BadInput, match=r"gallery: features 1 are all zero"):
        distance.pairwise(np.ones((1, 2)), gallery, "cosine")
    assert distance.pairwise(np.ones((1, 2)), gallery, "euclidean")[0, 1] == pytest.approx(2**0.5)


def test_an_unknown_distance_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="'manhattan' found, one of cosine, euclidean wanted"):
        distance.pairwise(np.ones((1, 2)), np.ones((1, 2)), "manhattan")  # type: ignore[arg-type]
