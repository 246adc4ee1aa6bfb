"""Features of extreme scale, and collapsed ones: distances as in exact arithmetic."""

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score

from passerby.errors import BadInput
from passerby.evaluation import evaluate
from passerby.evaluation.distance import Kind, pairwise
from passerby.evaluation.expansion import Expand
from passerby.evaluation.reranking import Rerank, reranked, reranked_distances
from passerby.evaluation.scale import collapsed
from passerby.evaluation.verification import UNRESOLVED

PEOPLE = np.repeat(np.arange(30), 4)


def drawn(seed: int = 0, dimensions: int = 24) -> np.ndarray:
    """Features of thirty people, four pictures of each, in float64."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(30, dimensions))[PEOPLE] + rng.normal(size=(120, dimensions))


def sides(features: np.ndarray) -> dict[str, Any]:
    """The first picture of each person asks, by another camera."""
    asks = np.arange(120) % 4 == 0
    return {
        "query_features": features[asks],
        "gallery_features": features[~asks],
        "query_people": PEOPLE[asks] + 1,
        "gallery_people": PEOPLE[~asks] + 1,
        "query_cameras": np.ones(30, int),
        "gallery_cameras": np.full(90, 2),
    }


def figures(features: np.ndarray, kind: Kind = "cosine") -> dict[str, Any]:
    more = {"rerank": Rerank(k1=5, k2=2), "expand": Expand(k=3)}
    return evaluate(**sides(features), distance=kind, fars=(0.01,), draws=20, **more).to_dict()


def area(features: np.ndarray, kind: Kind) -> float:
    """AUC by scikit-learn, of distances in float64."""
    arrays = sides(features)
    genuine = arrays["query_people"][:, None] == arrays["gallery_people"]
    apart = cdist(arrays["query_features"], arrays["gallery_features"], kind)
    return float(roc_auc_score(genuine.ravel(), -apart.ravel()))


@pytest.mark.parametrize("number", [np.float32, np.float64])
@pytest.mark.parametrize("power", [-100, -45, 45, 100])
def test_a_power_of_two_changes_no_bit_of_a_cosine(power: int, number: type) -> None:
    features = drawn().astype(number)
    scaled = np.ldexp(features, power)
    assert pairwise(scaled[:9], scaled[9:], "cosine").tolist() == (
        pairwise(features[:9], features[9:], "cosine").tolist()
    )
    assert figures(scaled) == figures(features)


@pytest.mark.parametrize("factor", [1e-300, 1e-25, 1e19, 1e300])
def test_a_cosine_does_not_depend_on_length(factor: float) -> None:
    features = drawn(1)
    lengths = np.where(np.arange(120) % 3 == 0, factor, 1.0)[:, None]
    for scaled in (features * factor, features * lengths):
        found = pairwise(scaled[:40], scaled[40:], "cosine")
        assert found == pytest.approx(cdist(features[:40], features[40:], "cosine"), abs=1e-6)
        wanted, ours = figures(features), figures(scaled)
        for name in ("map", "minp", "auc", "eer"):
            assert ours[name] == pytest.approx(wanted[name], abs=1e-6)
        for name in ("cmc", "tar_at_far", "reranked"):
            assert ours[name] == wanted[name]


@pytest.mark.parametrize("factor", [1e-25, 1e-5, 1e5, 1e19, 1e30])
def test_euclidean_distances_grow_with_the_features_and_the_figures_stay(factor: float) -> None:
    features = drawn(2)
    found = pairwise(features[:40] * factor, features[40:] * factor, "euclidean")
    assert found / factor == pytest.approx(cdist(features[:40], features[40:]), rel=1e-5)
    wanted, ours = figures(features, "euclidean"), figures(features * factor, "euclidean")
    for name in ("map", "minp", "cmc", "tar_at_far", "reranked", "expanded"):
        assert ours[name] == wanted[name]
    for name in ("auc", "eer"):  # other bins, since a factor is no power of two
        assert ours[name] == pytest.approx(wanted[name], abs=1e-3)
    assert ours["auc"] == pytest.approx(area(features, "euclidean"), abs=1e-4)
    threshold = ours["threshold_at_far"]["0.01"]
    assert threshold / factor == pytest.approx(wanted["threshold_at_far"]["0.01"], rel=1e-5)


@pytest.mark.parametrize("factor", [1e-40, 1e40, 1e300])
def test_euclidean_distances_that_float32_cannot_hold_are_refused(factor: float) -> None:
    with pytest.raises(BadInput, match=r"features of numbers up to 2\^-?\d+: their Euclidean"):
        evaluate(**sides(drawn() * factor), distance="euclidean")


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
@pytest.mark.parametrize("spread", [1e-3, 1e-5, 1e-8])
def test_collapsed_features_have_the_figures_of_exact_arithmetic_and_are_called_so(
    spread: float, kind: Kind
) -> None:
    direction = np.random.default_rng(9).normal(size=24)
    features = direction + spread * drawn(3)
    found = evaluate(**sides(features), distance=kind, rerank=Rerank(k1=5, k2=2))
    # Where all features are alike the cosine distance is half the squared difference across them.
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    exact = cdist(units, units) ** 2 / 2 if kind == "cosine" else cdist(features, features)
    asks = np.arange(120) % 4 == 0
    genuine = (PEOPLE[asks][:, None] == PEOPLE[~asks]).ravel()
    wanted = roc_auc_score(genuine, -exact[asks][:, ~asks].ravel())
    assert found.verification.area_under_curve() == pytest.approx(wanted, abs=1e-4)
    assert wanted > 0.6
    assert found.collapsed
    told = found.to_dict()
    assert told["collapsed"] is True
    assert told["reranked"]["map"] == pytest.approx(told["map"], abs=0.2)
    assert "\ncollapsed  the features are nearly all alike" in found.table()


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
def test_features_that_are_all_equal_end_with_their_figures(kind: Kind) -> None:
    # Of one direction, but of no length that a float32 holds exactly.
    features = np.tile(np.random.default_rng(4).normal(size=(1, 24)), (120, 1))
    found = evaluate(**sides(features), distance=kind, rerank=Rerank(), expand=Expand(), draws=10)
    told = found.to_dict()
    assert told["collapsed"] is True
    assert (told["auc"], told["eer"]) == (0.5, 0.5)
    assert np.isfinite(told["reranked"]["map"])
    assert told["ties"]["queries"] == 30
    assert told["ties"]["cmc"]["1"] == [0.0, 1.0]


def test_ordinary_features_are_not_called_collapsed() -> None:
    for offset in (0.0, 1.0, 10.0):
        features = drawn(5) + offset
        found = evaluate(**sides(features))
        assert not found.collapsed
        assert "collapsed" not in found.to_dict()
        assert "collapsed" not in found.table()
    assert not collapsed(np.eye(3), np.eye(3), "euclidean")


def test_a_feature_without_direction_is_refused_whatever_its_neighbours_scale() -> None:
    features = drawn(6) * 1e-30
    features[1] = 0
    with pytest.raises(BadInput, match="gallery: features 0 are all zero"):
        evaluate(**sides(features))


def test_long_doubles_are_taken_where_they_fit_and_refused_where_not() -> None:
    features = drawn(7).astype(np.longdouble)
    assert figures(features) == figures(drawn(7))
    features[0, 0] = np.finfo(np.longdouble).max
    if np.finfo(np.longdouble).max > np.finfo(np.float64).max:
        with pytest.raises(BadInput, match="query_features: 1 of 30 rows hold NaN or infinity"):
            figures(features)


def exact_ranking(features: np.ndarray, kind: Kind) -> float:
    """mAP, query by query, of distances in float64."""
    arrays = sides(features)
    found = []
    for row, person in zip(
        cdist(arrays["query_features"], arrays["gallery_features"], kind),
        arrays["query_people"],
        strict=True,
    ):
        hits = arrays["gallery_people"][np.argsort(row, kind="stable")] == person
        found.append((np.cumsum(hits)[hits] / (np.flatnonzero(hits) + 1)).mean())
    return float(np.mean(found))


@pytest.mark.parametrize("factor", [1e4, 1e8, 1e12, 1e25])
@pytest.mark.parametrize("place", [0, 1], ids=["a query", "in the gallery"])
def test_one_feature_that_is_far_too_long_leaves_the_others_their_distances(
    place: int, factor: float
) -> None:
    features = drawn(8)
    features[place] *= factor
    arrays = sides(features)
    found = pairwise(arrays["query_features"], arrays["gallery_features"], "euclidean")
    wanted = cdist(arrays["query_features"], arrays["gallery_features"])
    assert found == pytest.approx(wanted, rel=1e-5)
    if place:  # to a query that is far away all are equally far in float32
        told = evaluate(**arrays, distance="euclidean").to_dict()
        assert told["map"] == pytest.approx(exact_ranking(features, "euclidean"), abs=1e-6)


@pytest.mark.parametrize("spread", [1e-4, 1e-5])
def test_cosines_within_groups_that_are_each_collapsed_are_those_of_exact_arithmetic(
    spread: float,
) -> None:
    groups = np.eye(24)[PEOPLE % 2]  # half of the people are all alike, and so are the others
    features = (groups + spread * drawn(10)).astype(np.float32)
    arrays = sides(features)
    found = pairwise(arrays["query_features"], arrays["gallery_features"], "cosine")
    units = features.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    asks = np.arange(120) % 4 == 0
    # Half the squared difference of directions, which loses no digits where it is small.
    wanted = cdist(units[asks], units[~asks]) ** 2 / 2
    near = wanted < 0.5
    assert found[near] == pytest.approx(wanted[near], rel=1e-3)
    assert found[~near] == pytest.approx(wanted[~near], abs=1e-6)
    result = evaluate(**arrays, rerank=Rerank(k1=5, k2=2))
    assert not result.collapsed
    assert result.map == pytest.approx(exact_ranking(units, "cosine"), abs=1e-3)
    apart = [cdist(units[one], units[other]) for one, other in ((asks, ~asks), (asks, asks))]
    apart.append(cdist(units[~asks], units[~asks]))
    wanted = np.concatenate([part for _, part in reranked_distances(*apart, Rerank(k1=5, k2=2))])
    given = units[asks], units[~asks], "cosine", Rerank(k1=5, k2=2)
    found = np.concatenate([part for _, part in reranked(*given)])
    assert found == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize(("kind", "apart"), [("cosine", 2e4), ("euclidean", 300.0)])
def test_queries_that_a_network_puts_far_from_the_gallery_have_their_area(
    kind: Kind, apart: float
) -> None:
    # Another kind of camera: one number is large in all queries, and in no picture of the gallery.
    asks = np.arange(120) % 4 == 0
    features = np.c_[drawn(11), np.where(asks, apart, 0.0)]
    result = evaluate(**sides(features), distance=kind)
    wanted = area(features, kind)
    assert wanted > 0.75
    assert result.verification.unresolved > UNRESOLVED
    assert result.verification.area_under_curve() == pytest.approx(wanted, abs=1e-3)
    assert "auc_is_off_by_at_most" not in result.to_dict()
    assert "not sure: most distances" not in result.table()
