"""The whole evaluation: rules of the protocols, figures, and every refusal."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from passerby.errors import BadInput
from passerby.evaluation import evaluate, result
from passerby.evaluation.distance import pairwise
from passerby.evaluation.expansion import Expand
from passerby.evaluation.reranking import Rerank

Arrays = dict[str, Any]


def drawn(seed: int = 0, queries: int = 30, gallery: int = 120) -> Arrays:
    """Features of ten people by three cameras, with distractors and junk."""
    rng = np.random.default_rng(seed)
    query_people, gallery_people = rng.integers(1, 11, queries), rng.integers(-1, 11, gallery)
    centres = rng.normal(size=(12, 8))
    return {
        "query_features": centres[query_people] + rng.normal(size=(queries, 8)),
        "gallery_features": centres[gallery_people] + rng.normal(size=(gallery, 8)),
        "query_people": query_people,
        "gallery_people": gallery_people,
        "query_cameras": rng.integers(1, 4, queries),
        "gallery_cameras": rng.integers(1, 4, gallery),
    }


def all_pairs(arrays: Arrays) -> tuple[list[float], list[float]]:
    """Genuine and impostor distances, by a loop from the rules."""
    distances = pairwise(arrays["query_features"], arrays["gallery_features"], "cosine")
    genuine, impostor = [], []
    for q, (person, camera) in enumerate(
        zip(arrays["query_people"], arrays["query_cameras"], strict=True)
    ):
        for g, (other, place) in enumerate(
            zip(arrays["gallery_people"], arrays["gallery_cameras"], strict=True)
        ):
            if other == -1 or (other == person and place == camera):
                continue
            (genuine if other == person else impostor).append(float(distances[q, g]))
    return genuine, impostor


def test_verification_takes_all_counting_pairs_and_no_other() -> None:
    arrays = drawn()
    found = evaluate(**arrays, fars=(0.01,))
    genuine, impostor = all_pairs(arrays)
    assert found.counts["genuine_pairs"] == len(genuine)
    assert found.counts["impostor_pairs"] == len(impostor)
    assert found.verification.genuine == pytest.approx(sorted(genuine), abs=1e-6)
    assert found.verification.nearest == pytest.approx(sorted(impostor), abs=1e-6)


def test_counts_account_for_every_image() -> None:
    arrays = drawn(1)
    counts = evaluate(**arrays).counts
    people = arrays["gallery_people"]
    assert counts["gallery"] + counts["junk"] == 120
    assert counts["junk"] == (people == -1).sum()
    assert counts["distractors"] == (people == 0).sum()
    assert counts["queries"] == 30


def test_junk_in_the_gallery_changes_no_figure() -> None:
    arrays = drawn(2)
    kept = arrays["gallery_people"] != -1
    without = {
        key: value[kept] if key.startswith("gallery") else value for key, value in arrays.items()
    }
    left, right = evaluate(**arrays).to_dict(), evaluate(**without).to_dict()
    assert left.pop("counts")["junk"] == (~kept).sum()
    assert right.pop("counts")["junk"] == 0
    assert left == right


def test_figures_do_not_depend_on_the_order_of_the_gallery() -> None:
    arrays = drawn(3)
    order = np.random.default_rng(0).permutation(120)
    moved = {
        key: value[order] if key.startswith("gallery") else value for key, value in arrays.items()
    }
    assert evaluate(**arrays).to_dict() == evaluate(**moved).to_dict()


def test_a_query_without_a_match_is_counted_and_left_out() -> None:
    arrays = drawn(4)
    arrays["query_people"] = arrays["query_people"].copy()
    arrays["query_people"][0] = 99
    found = evaluate(**arrays)
    assert found.counts["queries_without_match"] == 1
    assert 0 not in found.ranking.query


def test_one_query_and_one_match_among_two() -> None:
    found = evaluate([[1.0, 0.0]], [[1.0, 0.1], [0.0, 1.0]], [1], [1, 2], [1], [2, 1], fars=(0.5,))
    figures = found.to_dict()
    assert figures["map"] == figures["map_trapezoid"] == figures["minp"] == 1.0
    assert figures["cmc"] == {"1": 1.0, "5": 1.0, "10": 1.0}
    assert figures["tar_at_far"] == {"0.5": None}
    assert figures["tpir_at_fpir"] == {"0.5": None}
    assert "ties" not in figures
    assert "collapsed" not in figures
    assert figures["auc"] == 1.0
    assert figures["eer"] == 0.0


def test_figures_are_named_by_ranks_and_rates() -> None:
    figures = evaluate(**drawn(5), ranks=(1, 20), fars=(1e-5, 0.05)).to_dict()
    assert list(figures["cmc"]) == ["1", "20"]
    for name in ("tar_at_far", "threshold_at_far", "impostor_errors_at_far", "far_at_threshold"):
        assert list(figures[name]) == ["1e-05", "0.05"]
        assert figures[name]["1e-05"] is None
    for name in ("tpir_at_fpir", "threshold_at_fpir", "impostor_errors_at_fpir"):
        assert list(figures[name]) == ["1e-05", "0.05"]
        assert figures[name]["1e-05"] is None
        assert figures[name]["0.05"] is not None
    assert figures["threshold_at_far"]["0.05"] > 0
    assert 0 < figures["far_at_threshold"]["0.05"] <= 0.05
    assert figures["fpir_at_threshold"]["0.05"] > figures["far_at_threshold"]["0.05"]
    assert figures["protocol"] == "market1501"
    assert figures["distance"] == "cosine"


def test_table_says_what_was_left_out() -> None:
    text = evaluate(**drawn(6), fars=(1e-5,)).table()
    assert "junk left out" in text
    assert "TAR at FAR 1e-05: too few pairs" in text
    assert "TPIR at FPIR 1e-05: too few queries" in text


def test_table_says_what_a_threshold_of_pairs_does_in_a_search_and_which_rates_are_not_sure() -> (
    None
):
    found = evaluate(**drawn(6), fars=(0.05, 0.001), draws=20)
    lines = found.table().splitlines()
    far, few = (
        next(line for line in lines if f"TAR at FAR {far}:" in line) for far in (0.05, 0.001)
    )
    strangers = found.to_dict()["fpir_at_threshold"]["0.05"]
    assert f"{strangers:.2%} of strangers accepted in a search of" in far
    assert "]* (distance" in few
    assert "]* (distance" not in far
    assert "* from fewer than 30 errors of impostors: not sure" in lines
    assert result.SEARCHES in lines
    spans = found.to_dict()["intervals"]["tpir_at_fpir"]["0.05"]
    line = next(line for line in lines if "TPIR at FPIR 0.05:" in line)
    assert f"[{spans[0]:.2%}, {spans[1]:.2%}]" in line
    assert "DIR" not in found.table().replace("TPIR", "")


def test_cmc_curve_has_fifty_ranks_and_never_falls() -> None:
    found = evaluate(**drawn(7))
    curve = found.cmc_curve()
    assert len(curve) == 50
    assert np.all(np.diff(curve) >= 0)
    assert curve[0] == found.ranking.cmc(1)


def with_nan(arrays: Arrays) -> None:
    arrays["gallery_features"][3, 2] = np.nan


def with_other_dimension(arrays: Arrays) -> None:
    arrays["gallery_features"] = arrays["gallery_features"][:, :5]


def with_empty_gallery(arrays: Arrays) -> None:
    for key in ("gallery_features", "gallery_people", "gallery_cameras"):
        arrays[key] = arrays[key][:0]


def with_junk_only(arrays: Arrays) -> None:
    arrays["gallery_people"] = np.full(120, -1)


def with_one_camera(arrays: Arrays) -> None:
    arrays["query_cameras"] = np.ones(30, int)
    arrays["gallery_cameras"] = np.ones(120, int)


def with_one_person(arrays: Arrays) -> None:
    arrays["query_people"], arrays["gallery_people"] = np.ones(30, int), np.ones(120, int)


def with_unsigned_junk(arrays: Arrays) -> None:
    arrays["gallery_people"] = arrays["gallery_people"].astype(np.uint16)


def with_a_camera_not_known(arrays: Arrays) -> None:
    arrays["query_cameras"] = np.where(np.arange(30) == 2, -1, arrays["query_cameras"])


def with_fewer_labels(arrays: Arrays) -> None:
    arrays["query_people"] = arrays["query_people"][:-1]


def with_fewer_features(arrays: Arrays) -> None:
    arrays["query_features"] = arrays["query_features"][:-1]


def with_nobody_asked(arrays: Arrays) -> None:
    arrays["query_people"] = np.where(np.arange(30) == 4, 0, arrays["query_people"])


def with_fractional_people(arrays: Arrays) -> None:
    arrays["gallery_people"] = arrays["gallery_people"] + 0.5


def with_names_for_people(arrays: Arrays) -> None:
    arrays["query_people"] = np.array(["anna"] * 30)


def with_flat_features(arrays: Arrays) -> None:
    arrays["query_features"] = arrays["query_features"][:, 0]


def with_unknown_person(arrays: Arrays) -> None:
    arrays["gallery_people"] = np.where(np.arange(120) == 8, -2, arrays["gallery_people"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (with_nan, "gallery_features: 1 of 120 rows hold NaN or infinity: 3"),
        (with_other_dimension, "query_features have 8 dimensions, gallery_features 5"),
        (with_empty_gallery, r"gallery_features: empty, of shape \(0, 8\)"),
        (with_junk_only, "gallery_features: empty once junk"),
        (with_one_camera, "none of the 30 queries has a match by another camera"),
        (with_one_person, "gallery_people: every item is of the query's own person"),
        (with_fewer_labels, "query: 29 people, but 30 cameras"),
        (with_fewer_features, "query: 29 features, but 30 labels"),
        (with_unsigned_junk, "items .* are 65535, which is what junk .-1. becomes in uint16"),
        (
            with_a_camera_not_known,
            r"cameras known of 1\d\d of 1\d\d pictures in query and gallery, -1",
        ),
        (with_nobody_asked, "query_people: queries 4 are of nobody"),
        (with_fractional_people, "gallery_people: float64 of shape .* whole numbers"),
        (with_names_for_people, r"query_people: <U4 of shape \(30,\) found, whole numbers"),
        (with_flat_features, r"query_features: float64 of shape \(30,\) found"),
        (with_unknown_person, "gallery_people: items 8 are -2"),
    ],
)
def test_bad_input_is_refused_by_place(spoil: Callable[[Arrays], None], message: str) -> None:
    arrays = drawn()
    spoil(arrays)
    with pytest.raises(BadInput, match=message):
        evaluate(**arrays)


def test_labels_are_the_same_with_a_sign_and_without() -> None:
    arrays = drawn()
    arrays["gallery_people"] = np.maximum(arrays["gallery_people"], 0)
    wanted = evaluate(**arrays).to_dict()
    hashes = {1: 2**62 + 1, 2: 2**62 + 2, 3: 2**62 + 3}  # which float64 could not tell apart
    arrays["query_cameras"] = np.array([*map(hashes.get, arrays["query_cameras"])], np.uint64)
    arrays["gallery_cameras"] = np.array([*map(hashes.get, arrays["gallery_cameras"])], np.int64)
    arrays["query_people"] = arrays["query_people"].astype(np.uint8)
    assert evaluate(**arrays).to_dict() == wanted


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"ranks": (0, 1)}, "ranks: 0, 1 found; they count from 1"),
        ({"fars": (1.0,)}, "fars: 1.0 found; rates above 0 and below 1"),
        ({"protocol": "market"}, r"no 'market' \(did you mean 'market1501'\?\); known: market1501"),
    ],
)
def test_unfit_questions_are_refused(asked: Arrays, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        evaluate(**drawn(), **asked)


@pytest.mark.parametrize("name", ["cuhk03-np", "msmt17", "folder", "csv"])
def test_most_sets_know_no_distractors(name: str) -> None:
    arrays = drawn()
    with pytest.raises(BadInput, match=f"{name} knows people from 1 only"):
        evaluate(**arrays, protocol=name)


def test_cuhk03_ignores_matches_by_the_same_camera() -> None:
    features = [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]
    found = evaluate(
        [[1.0, 0.0]], features, [1], [1, 2, 1], [1], [1, 2, 2], protocol="cuhk03-np", fars=()
    )
    assert found.counts["genuine_pairs"] == 1
    assert found.ranking.first_rank.tolist() == [1]


def test_cuhk01_wants_two_views() -> None:
    arrays = drawn()
    arrays["gallery_people"] = np.maximum(arrays["gallery_people"], 1)
    with pytest.raises(BadInput, match="cameras 1, 2, 3 are among the queries and in the gallery"):
        evaluate(**arrays, protocol="cuhk01")
    arrays["query_cameras"] = np.full(30, 1)
    arrays["gallery_cameras"] = np.full(120, 2)
    assert evaluate(**arrays, protocol="cuhk01").counts["queries"] == 30


def test_transductive_rankings_stand_apart_and_change_no_other_figure() -> None:
    arrays = drawn(8)
    plain_figures = evaluate(**arrays).to_dict()
    found = evaluate(**arrays, rerank=Rerank(k1=5, k2=2), expand=Expand(k=3))
    figures = found.to_dict()
    for name in ("reranked", "expanded"):
        told = figures.pop(name)
        assert list(told) == ["map", "minp", "cmc"]
        assert told["map"] == round(found.transductive[name].average_precision.mean(), 6)
        assert f"{name} (transductive: uses all queries at once): mAP" in found.table()
    assert figures == plain_figures


def test_figures_have_intervals_where_people_are_drawn_anew() -> None:
    found = evaluate(**drawn(9), fars=(0.05,), draws=50)
    spans = found.to_dict()["intervals"]
    assert spans["draws"] == 50
    assert spans["map"][0] < found.map < spans["map"][1]
    assert list(spans["cmc"]) == ["1", "5", "10"]
    assert found.intervals is not None
    span = found.intervals.tar[0.05]
    assert span is not None
    assert spans["far_at_threshold"]["0.05"] == [
        float(f"{end:.6g}") for end in found.intervals.far_at_threshold[0.05] or ()
    ]
    assert spans["tar_at_far"]["0.05"] == [round(end, 6) for end in span]
    assert f"[{span[0]:.2%}, {span[1]:.2%}]" in found.table()
    assert "intervals" not in evaluate(**drawn(9)).to_dict()


def test_what_multiplies_features_can_be_given() -> None:
    seen = []

    def multiplier(gallery: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        seen.append(len(gallery))
        return lambda query: (query.astype(float) @ gallery.T).astype(np.float32)

    arrays = drawn(10)
    found = evaluate(**arrays, multiplier=multiplier)
    assert seen == [(arrays["gallery_people"] != -1).sum()]
    assert found.map == pytest.approx(evaluate(**arrays).map, abs=1e-6)


@pytest.mark.slow
def test_a_set_of_markets_size_fits_into_a_third_of_a_gigabyte() -> None:
    rng = np.random.default_rng(0)
    tracemalloc.start()
    found = evaluate(
        rng.normal(size=(3_368, 64)),
        rng.normal(size=(15_913, 64)),
        rng.integers(1, 751, 3_368),
        rng.integers(0, 751, 15_913),
        rng.integers(1, 7, 3_368),
        rng.integers(1, 7, 15_913),
    )
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 1e9 / 3
    assert found.verification.area_under_curve() == pytest.approx(0.5, abs=0.01)
    pairs = found.counts["genuine_pairs"] + found.counts["impostor_pairs"]
    assert 53_000_000 < pairs < 3_368 * 15_913
