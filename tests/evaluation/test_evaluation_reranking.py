"""Re-ranking and query expansion against fast-reid's, the paper's sets, and edges."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from passerby.errors import BadInput
from passerby.evaluation import reranking
from passerby.evaluation.distance import Block, pairwise
from passerby.evaluation.expansion import Expand, expanded
from passerby.evaluation.reranking import Rerank, reranked, reranked_distances
from passerby.finetune import compat  # noqa: F401  (fast-reid imports only after it)


def drawn(seed: int, people: int = 20, each: int = 9, noise: float = 1.2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(people, 16)), each, axis=0)
    mixed = rng.permutation(centres + noise * rng.normal(size=centres.shape))
    return mixed.astype(np.float32)


def three(query: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sides = ((query, gallery), (query, query), (gallery, gallery))
    first, second, third = (pairwise(a, b, "euclidean") for a, b in sides)
    return first, second, third


def whole(blocks: Iterable[Block]) -> np.ndarray:
    return np.concatenate([block for _, block in blocks])


def from_the_definition(query: np.ndarray, gallery: np.ndarray, k1: int) -> np.ndarray:
    """Jaccard distances of the robust sets R*(p, k1), by Python's sets; no local expansion."""
    both = np.concatenate([query, gallery])
    squares = pairwise(both, both, "euclidean").astype(float) ** 2
    order = np.argsort(squares, axis=1, kind="stable")
    count = len(both)

    def reciprocal(p: int, k: int) -> set[int]:
        return {int(i) for i in order[p, : k + 1] if p in order[i, : k + 1]}

    vectors = np.zeros((count, count))
    for p in range(count):
        own = reciprocal(p, k1)
        robust = set(own)
        for candidate in own:
            theirs = reciprocal(candidate, int(np.around(k1 / 2)))
            if len(theirs & own) > 2 / 3 * len(theirs):
                robust |= theirs
        members = sorted(robust)
        vectors[p, members] = np.exp(-squares[p, members] / squares[p].max())
        vectors[p] /= vectors[p].sum()
    queries = len(query)
    ours, theirs = vectors[:queries, None], vectors[None, queries:]
    return 1 - np.minimum(ours, theirs).sum(2) / np.maximum(ours, theirs).sum(2)


@pytest.mark.parametrize("asked", [Rerank(), Rerank(k1=7, k2=3, lambda_=0.5), Rerank(9, 1, 0.0)])
def test_it_equals_fast_reids(asked: Rerank) -> None:
    from fastreid.evaluation.rerank import re_ranking

    features = drawn(0)
    query, gallery = features[:30], features[30:]
    wanted = re_ranking(*three(query, gallery), asked.k1, asked.k2, asked.lambda_)
    assert whole(reranked(query, gallery, "euclidean", asked)) == pytest.approx(wanted, abs=1e-5)
    given = whole(reranked_distances(*three(query, gallery), asked))
    assert given == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("k1", [4, 20])
def test_it_equals_the_papers_sets(k1: int) -> None:
    features = drawn(1)
    query, gallery = features[:30], features[30:]
    found = whole(reranked(query, gallery, "euclidean", Rerank(k1, 1, 0.0)))
    assert found == pytest.approx(from_the_definition(query, gallery, k1), abs=1e-5)


def test_cosine_is_the_euclidean_distance_of_directions() -> None:
    features = drawn(2)
    longer = features * np.random.default_rng(0).uniform(0.1, 9, (len(features), 1)).astype("f4")
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    found = whole(reranked(longer[:30], longer[30:], "cosine", Rerank()))
    wanted = whole(reranked(units[:30], units[30:], "euclidean", Rerank()))
    assert found == pytest.approx(wanted, abs=1e-5)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    features = drawn(3)
    once = whole(reranked(features[:30], features[30:], "euclidean", Rerank()))
    monkeypatch.setattr(reranking, "BLOCK_PLACES", 700)
    parts = list(reranked(features[:30], features[30:], "euclidean", Rerank()))
    assert len(parts) > 5
    assert whole(parts) == pytest.approx(once, abs=1e-6)
    given = whole(reranked_distances(*three(features[:30], features[30:]), Rerank()))
    assert given == pytest.approx(once, abs=1e-5)


def test_a_set_smaller_than_the_neighbourhood_and_equal_features_are_reranked() -> None:
    features = drawn(4, people=3, each=2)
    assert whole(reranked(features[:2], features[2:], "euclidean", Rerank())).shape == (2, 4)
    same = np.ones((8, 4), np.float32)
    found = whole(reranked(same[:2], same[2:], "euclidean", Rerank()))
    assert np.isfinite(found).all()


def test_better_neighbours_come_of_it() -> None:
    """Of noisy people, more of each query's ten nearest are of its person than before."""
    rng = np.random.default_rng(5)
    people = np.repeat(np.arange(30), 12)
    features = rng.normal(size=(30, 16))[people] + 1.0 * rng.normal(size=(360, 16))
    query = np.arange(0, 360, 12)
    gallery = np.setdiff1d(np.arange(360), query)

    def right(distance: np.ndarray) -> float:
        nearest = np.argsort(distance, axis=1)[:, :10]
        return float((people[gallery][nearest] == people[query][:, None]).mean())

    before = right(pairwise(features[query], features[gallery], "euclidean"))
    better = reranked(features[query], features[gallery], "euclidean", Rerank(k1=10))
    after = right(whole(better))
    assert after > before + 0.05


@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_expansion_equals_fast_reids(alpha: float) -> None:
    import torch
    from fastreid.evaluation.query_expansion import aqe

    features = np.abs(drawn(6))  # fast-reid raises negative cosines to a power
    ours = expanded(features[:30], features[30:], Expand(k=5, alpha=alpha))
    given = (torch.from_numpy(features[:30]), torch.from_numpy(features[30:]))
    for found, wanted in zip(ours, aqe(*given, 1, 5, alpha), strict=True):
        assert found == pytest.approx(wanted.numpy(), abs=1e-5)


def test_expansion_of_a_gallery_smaller_than_its_k_and_of_ties() -> None:
    same = np.ones((4, 3), np.float32)
    query, gallery = expanded(same[:1], same[1:], Expand(k=10))
    assert query == pytest.approx(same[:1])
    assert gallery == pytest.approx(same[1:])


@pytest.mark.parametrize(
    "unfit", [lambda: Rerank(k1=0), lambda: Rerank(lambda_=1.5), lambda: Expand(k=0)]
)
def test_parameters_that_mean_nothing_are_refused(unfit: Callable[[], object]) -> None:
    with pytest.raises(BadInput, match=r"found; k"):
        unfit()


def test_distances_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(BadInput, match=r"rerank: distances of shapes .* \(Q, G\), \(Q, Q\)"):
        list(reranked_distances(np.ones((2, 3)), np.ones((3, 3)), np.ones((3, 3)), Rerank()))


def test_a_feature_without_a_direction_is_refused() -> None:
    features = drawn(7)
    features[31] = 0
    with pytest.raises(BadInput, match="gallery: features 1 are all zero"):
        list(reranked(features[:30], features[30:], "cosine", Rerank()))
