"""Ties: which are kept to the last bit, and how far they leave figures to the gallery's order."""

from typing import Any

import evaluation_samples as plain
import numpy as np
import pytest

from passerby.evaluation import evaluate
from passerby.evaluation.distance import Kind, equal_rows, pairwise
from passerby.evaluation.expansion import Expand, expanded
from passerby.evaluation.ranking import Ranking, rank
from passerby.evaluation.reranking import Rerank, reranked


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
@pytest.mark.parametrize("dimensions", [1, 3, 17, 130, 513])
@pytest.mark.parametrize("items", [5, 33, 97, 250])
def test_equal_gallery_features_tie_at_every_place_of_a_product(
    items: int, dimensions: int, kind: Kind
) -> None:
    rng = np.random.default_rng(items)
    few = rng.normal(size=(4, dimensions)).astype(np.float32)
    which = rng.integers(0, 4, items)
    found = pairwise(rng.normal(size=(7, dimensions)).astype(np.float32), few[which], kind)
    for same in range(4):
        assert all(len(np.unique(row[which == same])) <= 1 for row in found)


def test_equal_rows_are_found_though_most_columns_agree() -> None:
    rng = np.random.default_rng(0)
    features = np.zeros((60, 300), np.float32)
    features[:, 7] = rng.integers(0, 5, 60)
    features[3] = -0.0
    features[9] = 0.0
    later, first = equal_rows(features)
    for place in range(60):
        equal = [other for other in range(60) if (features[other] == features[place]).all()]
        if equal[0] == place:
            assert place not in later
        else:
            assert first[later.tolist().index(place)] == equal[0]


@pytest.mark.parametrize("greatest", [1, 3, 255, 60_000])
@pytest.mark.parametrize("number", [np.int32, np.float32, np.float64])
def test_euclidean_distances_of_whole_numbers_tie_where_they_are_equal(
    number: type, greatest: int
) -> None:
    rng = np.random.default_rng(greatest)
    base = rng.integers(0, greatest + 1, (1, 96))
    # The same numbers in other places are as far from a query whose numbers are all the same.
    gallery = np.stack([rng.permutation(base[0]) for _ in range(70)])
    query = np.full((3, 96), greatest // 2) + np.array([[0], [1], [5]])
    found = pairwise(query.astype(number), gallery.astype(number), "euclidean")
    assert [len(np.unique(row)) for row in found] == [1, 1, 1]
    exact = ((query[:, None].astype(np.int64) - gallery) ** 2).sum(axis=2)
    assert found == pytest.approx(np.sqrt(exact), rel=1e-6)
    mixed = rng.integers(0, greatest + 1, (50, 96))
    ours = pairwise(query.astype(number), mixed.astype(number), "euclidean")
    squares = ((query[:, None].astype(np.int64) - mixed) ** 2).sum(axis=2)
    for row, wanted in zip(ours, squares, strict=True):
        assert np.argsort(row, kind="stable").tolist() == np.argsort(wanted, kind="stable").tolist()


@pytest.mark.parametrize("greatest", [1, 255, 60_000])
def test_cosines_of_whole_numbers_of_one_length_tie_where_they_are_equal(greatest: int) -> None:
    rng = np.random.default_rng(greatest)
    base = rng.integers(0, greatest + 1, 96)
    gallery = np.stack([rng.permutation(base) for _ in range(70)])
    found = pairwise(np.full((2, 96), greatest), gallery, "cosine")
    assert [len(np.unique(row)) for row in found] == [1, 1]


@pytest.mark.parametrize("levels", [None, 3, 8])
def test_the_bounds_are_those_of_matches_in_front_and_behind(levels: int | None) -> None:
    distances, pairs = plain.drawn(2, levels=levels)
    genuine, ignored = plain.genuine(pairs), plain.ignored(pairs)
    found = rank(plain.blocks(distances), pairs)

    def moved(sign: float) -> Ranking:
        return rank(plain.blocks(distances + sign * np.float32(1e-5) * genuine), pairs)

    behind, in_front = moved(1), moved(-1)
    ties = found.ties
    assert ties.first_rank.tolist() == [behind.first_rank.tolist(), in_front.first_rank.tolist()]
    assert ties.average_precision[0] == pytest.approx(behind.average_precision, abs=1e-12)
    assert ties.average_precision[1] == pytest.approx(in_front.average_precision, abs=1e-12)
    assert ties.map == (behind.average_precision.mean(), in_front.average_precision.mean())
    assert ties.cmc(3) == (behind.cmc(3), in_front.cmc(3))
    for place, q in enumerate(found.query):
        others = distances[q, ~genuine[q] & ~ignored[q]]
        assert ties.tied[place] == np.isin(distances[q, genuine[q]], others).any()


def test_whatever_the_gallerys_order_figures_lie_between_the_bounds_that_are_told() -> None:
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(1, 16), 4)
    features = rng.integers(0, 2, (16, 6))[people] ^ (rng.random((60, 6)) < 0.15)
    cameras = np.tile([1, 2, 2, 2], 15)
    asks = cameras == 1

    def of(order: np.ndarray) -> dict[str, Any]:
        gallery = np.flatnonzero(~asks)[order]
        found = evaluate(
            features[asks], features[gallery], people[asks], people[gallery],
            cameras[asks], cameras[gallery], distance="euclidean",
        )  # fmt: skip
        (line,) = (line for line in found.table().splitlines() if line.startswith("ties"))
        told = found.to_dict()
        least, greatest = told["ties"]["map"]
        assert f"by the gallery's order mAP is from {least:.2%} to {greatest:.2%}" in line
        return told

    seen = [of(rng.permutation(45)) for _ in range(12)]
    assert len({told["map"] for told in seen}) > 1
    for told in seen:
        assert told["ties"] == seen[0]["ties"]
        for figure, (least, greatest) in (
            (told["map"], told["ties"]["map"]),
            (told["cmc"]["1"], told["ties"]["cmc"]["1"]),
        ):
            assert least <= figure <= greatest


def test_a_reranking_tells_its_ties_too() -> None:
    people = np.repeat(np.arange(1, 31), 30)
    base = np.random.default_rng(0).normal(size=(30, 16))
    found = evaluate(
        base, base[people - 1], np.arange(1, 31), people, np.ones(30, int), np.full(900, 2),
        rerank=Rerank(lambda_=0.0),
    )  # fmt: skip
    assert found.to_dict()["reranked"]["map"] == 1.0
    other = found.to_dict()["reranked"].get("ties")
    assert other is None or other["map"][0] <= 1.0


@pytest.mark.parametrize("copies", [1, 20, 21, 22, 40])
def test_each_feature_stands_among_its_own_neighbours_however_often_it_is_there(
    copies: int,
) -> None:
    base = np.random.default_rng(3).normal(size=(6, 12)).astype(np.float32)
    gallery = np.repeat(base, copies, axis=0)
    for kind in ("cosine", "euclidean"):
        found = np.concatenate([block for _, block in reranked(base, gallery, kind, Rerank())])
        assert np.isfinite(found).all()
        nearest = found.reshape(6, 6, copies).mean(axis=2).argmin(axis=1)
        assert nearest.tolist() == list(range(6))


@pytest.mark.parametrize("seed", range(8))
def test_equal_features_are_equal_when_they_are_expanded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rng.integers(40, 400), rng.integers(3, 300))).astype(np.float32)
    gallery = np.concatenate([features, features[:20]])
    _, found = expanded(features[:5], gallery, Expand())
    np.testing.assert_array_equal(found[:20], found[-20:])
