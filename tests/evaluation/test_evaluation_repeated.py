"""Figures over trials: hand-made ones, a loop from the definitions, `evaluate` trial by trial."""

import statistics
from collections.abc import Callable
from typing import Any

import evaluation_samples as plain
import numpy as np
import pytest

from passerby.errors import BadInput
from passerby.evaluation import (
    TrialsResult,
    classic_cuhk03,
    cuhk01,
    draw_test_sets,
    evaluate,
    evaluate_trials,
)
from passerby.evaluation.distance import Kind, pairwise
from passerby.evaluation.trials import Trial, Trials

Arrays = dict[str, Any]


def line(first: list[float], second: list[float]) -> Arrays:
    """Pictures on a line: of each person one place in view 1 and one in view 2."""
    people = np.arange(1, len(first) + 1)
    return {
        "features": np.array([*first, *second])[:, None],
        "people": np.concatenate([people, people]),
        "cameras": np.repeat([1, 2], len(first)),
    }


THREE = line([0.1, 0.2, 0.3], [0.0, 1.0, 2.0])
"""From view 1 to view 2 the matches stand at ranks 1, 2 and 3, and back at 1, 2 and 1."""


def three() -> tuple[Arrays, Trials]:
    return THREE, cuhk01(THREE["people"], THREE["cameras"], [(1, 2, 3)])


def drawn(seed: int, levels: int | None = None) -> Arrays:
    """Twenty people, three pictures in each view; without ties, or with many."""
    rng = np.random.default_rng(seed)
    people, cameras = np.repeat(np.arange(1, 21), 6), np.tile([1, 1, 1, 2, 2, 2], 20)
    features = rng.normal(size=(21, 6))[people] + 1.5 * rng.normal(size=(120, 6))
    if levels:
        features = np.round(features * levels) / levels + 0.5 / levels
    return {"features": features, "people": people, "cameras": cameras}


def trials_of(arrays: Arrays, name: str) -> Trials:
    people, cameras = arrays["people"], arrays["cameras"]
    test_sets = draw_test_sets(people, cameras, splits=3, size=8)
    if name == "classic":
        return classic_cuhk03(people, cameras, test_sets, repeats=4)
    return cuhk01(people, cameras, test_sets, "single" if name == "single" else "multi")


def by_loops(
    arrays: Arrays, trials: Trials, kind: Kind, ranks: tuple[int, ...]
) -> tuple[list[list[float]], list[float]]:
    """CMC at each rank and mAP of each trial, from the definitions."""
    curves, precisions = [], []
    for trial in trials.trials:
        distances = pairwise(
            arrays["features"][trial.query], arrays["features"][trial.gallery], kind
        )
        first, average = [], []
        for row, query in zip(distances, trial.query, strict=True):
            of_person = arrays["people"][trial.gallery] == arrays["people"][query]
            of_camera = arrays["cameras"][trial.gallery] == arrays["cameras"][query]
            hits = plain.hits_in_order(row, of_person & ~of_camera, of_person & of_camera)
            if hits.any():
                first.append(plain.first_rank(hits))
                average.append(plain.average_precision(hits))
        curves.append([sum(rank <= k for rank in first) / len(first) for k in ranks])
        precisions.append(statistics.mean(average))
    return curves, precisions


def test_ranks_that_are_known_give_known_means_and_deviations() -> None:
    arrays, trials = three()
    found = evaluate_trials(**arrays, trials=trials, distance="euclidean", ranks=(1, 2, 3))
    assert found.cmc_of_trial == pytest.approx(np.array([[1, 2, 3], [2, 3, 3]]) / 3)
    assert (found.cmc(1).mean, found.cmc(2).mean, found.cmc(3).mean) == pytest.approx(
        (1 / 2, 5 / 6, 1)
    )
    assert found.cmc(1).deviation == pytest.approx(statistics.stdev([1 / 3, 2 / 3]))
    assert found.cmc(3).deviation == 0
    assert found.trials == 2


def test_figures_are_told_to_programs_and_to_people() -> None:
    arrays, trials = three()
    found = evaluate_trials(**arrays, trials=trials, distance="euclidean", ranks=(1, 2))
    assert found.to_dict() == {
        "protocol": "cuhk01-multi-shot",
        "distance": "euclidean",
        "trials": 2,
        "counts": {"queries": [3, 3], "queries_without_match": [0, 0], "gallery": [3, 3]},
        "cmc": {
            "1": {"mean": 0.5, "deviation": 0.235702},
            "2": {"mean": 0.833333, "deviation": 0.235702},
        },
        "map": None,
    }
    assert found.table().splitlines() == [
        "protocol   cuhk01-multi-shot: 1 splits; queries of one view, gallery of the other, both "
        "ways; all are of the same 3 people: the deviation is of the two ways only",
        "distance   euclidean",
        "trials     2 of 3 queries (0 without a match left out), gallery 3",
        "rank-1     50.00% ± 23.57",
        "rank-2     83.33% ± 23.57",
        "[mean ± standard deviation over the trials]",
    ]


def test_one_trial_has_no_deviation() -> None:
    arrays, trials = three()
    alone = Trials(trials.protocol, trials.rules, trials.trials[:1])
    found = evaluate_trials(**arrays, trials=alone, distance="euclidean", ranks=(1,))
    assert found.to_dict()["cmc"] == {"1": {"mean": 0.333333, "deviation": None}}
    assert found.table().splitlines()[-1] == "rank-1     33.33%"


def test_several_matches_have_a_mean_average_precision() -> None:
    """Of person 1 two pictures of view 2, at ranks 1 and 3; of person 2 one, at rank 2."""
    arrays = {
        "features": np.array([[0.0], [0.1], [0.1], [5.0], [1.0]]),
        "people": np.array([1, 2, 1, 1, 2]),
        "cameras": np.array([1, 1, 2, 2, 2]),
    }
    there = Trial(np.array([0, 1]), np.array([2, 3, 4]))
    found = evaluate_trials(
        **arrays, trials=Trials("mine", "", (there,)), distance="euclidean", ranks=(1,)
    )
    assert found.map is not None
    assert found.map.mean == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)
    assert found.to_dict()["map"] == {"mean": 0.666667, "deviation": None}
    assert "mAP        66.67%" in found.table()


@pytest.mark.parametrize("levels", [None, 1], ids=["no ties", "ties"])
@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
@pytest.mark.parametrize("name", ["classic", "multi", "single"])
def test_figures_are_those_of_a_loop_from_the_definitions(
    name: str, kind: Kind, levels: int | None
) -> None:
    arrays = drawn(0, levels)
    trials, ranks = trials_of(arrays, name), (1, 2, 5)
    found = evaluate_trials(**arrays, trials=trials, distance=kind, ranks=ranks)
    curves, precisions = by_loops(arrays, trials, kind, ranks)
    assert found.cmc_of_trial == pytest.approx(np.array(curves), abs=1e-12)
    assert found.cmc(2).mean == pytest.approx(statistics.mean(curve[1] for curve in curves))
    assert found.cmc(2).deviation == pytest.approx(statistics.stdev(curve[1] for curve in curves))
    if name == "multi":
        assert found.map_of_trial == pytest.approx(precisions, abs=1e-12)
    else:
        assert found.map is None


@pytest.mark.parametrize("name", ["classic", "multi", "single"])
def test_a_trial_has_the_figures_of_evaluate(name: str) -> None:
    arrays = drawn(1)
    trials = trials_of(arrays, name)
    found = evaluate_trials(**arrays, trials=trials, ranks=(1, 5))
    for number, trial in enumerate(trials.trials):
        one = evaluate(
            arrays["features"][trial.query],
            arrays["features"][trial.gallery],
            arrays["people"][trial.query],
            arrays["people"][trial.gallery],
            arrays["cameras"][trial.query],
            arrays["cameras"][trial.gallery],
            protocol="cuhk01",
        )
        assert found.cmc_of_trial[number].tolist() == [one.ranking.cmc(1), one.ranking.cmc(5)]
        if found.map_of_trial is not None:
            assert found.map_of_trial[number] == one.map


def test_features_that_know_nothing_are_right_by_chance() -> None:
    rng = np.random.default_rng(5)
    people, cameras = np.repeat(np.arange(1, 101), 10), np.tile(np.repeat([1, 2], 5), 100)
    trials = classic_cuhk03(people, cameras, [tuple(range(1, 101))], repeats=20)
    found = evaluate_trials(rng.normal(size=(1_000, 32)), people, cameras, trials)
    assert [found.cmc(k).mean for k in (1, 5, 10, 20)] == pytest.approx(
        [0.01, 0.05, 0.1, 0.2], abs=0.02
    )


def one_sided() -> TrialsResult:
    """Person 1 is not in view 2, person 3 not in view 1."""
    people, views = [1, 2, 2, 3, 4, 4], [1, 1, 2, 2, 1, 2]
    trials = classic_cuhk03(people, views, [(1, 2, 3), (4, 2)], repeats=1)
    return evaluate_trials(np.eye(5)[people], people, views, trials, ranks=(1,))


def test_a_query_without_a_picture_in_the_gallery_is_counted_and_left_out() -> None:
    found = one_sided()
    assert found.counts == {"queries": (2, 2), "queries_without_match": (0, 1), "gallery": (2, 2)}
    assert found.cmc(1).mean == 1
    assert "2 queries (0 to 1 without a match left out), gallery 2" in found.table()


def no_trial(arrays: Arrays) -> None:
    arrays["trials"] = Trials("mine", "", ())


def with_other_trial(query: list[int], gallery: list[int]) -> Callable[[Arrays], None]:
    def spoil(arrays: Arrays) -> None:
        made = Trial(np.array(query, int), np.array(gallery, int))
        arrays["trials"] = Trials("mine", "", (Trial(np.array([0]), np.array([3, 4])), made))

    return spoil


def with_nan(arrays: Arrays) -> None:
    arrays["features"] = np.where(np.arange(6)[:, None] == 4, np.nan, arrays["features"])


def with_fewer_people(arrays: Arrays) -> None:
    arrays["people"] = arrays["people"][:-1]


def with_nobody(arrays: Arrays) -> None:
    arrays["people"] = np.where(arrays["people"] == 2, 0, arrays["people"])


def with_rank_zero(arrays: Arrays) -> None:
    arrays["ranks"] = (0, 1)


def with_other_distance(arrays: Arrays) -> None:
    arrays["distance"] = "cosin"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_trial, "mine: no trials; one wanted at least"),
        (with_other_trial([], [3]), "trial 2 of 2: no queries; pictures of both views are wanted"),
        (with_other_trial([0], []), "trial 2 of 2: no gallery; pictures of both views are wanted"),
        (with_other_trial([0], [6, 3]), "trial 2 of 2: gallery 6, but there are features of 6 pic"),
        (with_other_trial([-1], [3]), "trial 2 of 2: queries -1, but there are features of 6"),
        (with_other_trial([0, 1], [5]), "trial 2 of 2: none of the 2 queries has a match"),
        (with_nan, "features: 1 of 6 rows hold NaN or infinity: 4"),
        (with_fewer_people, "6 features, 5 people and 6 cameras; one of each wanted"),
        (with_nobody, "query_people: queries 1 are of nobody"),
        (with_rank_zero, "ranks: 0, 1 found; they count from 1"),
        (with_other_distance, "distance: 'cosin' found, one of cosine, euclidean wanted"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_cannot_be_evaluated_is_refused_by_place(
    spoil: Callable[[Arrays], None], message: str
) -> None:
    arrays, trials = three()
    arrays = {**arrays, "trials": trials, "distance": "euclidean"}
    spoil(arrays)
    with pytest.raises(BadInput, match=message):
        evaluate_trials(**arrays)


@pytest.mark.parametrize("name", ["classic", "single", "multi"])
def test_it_is_said_how_far_ties_leave_the_figures_to_the_gallerys_order(name: str) -> None:
    arrays = drawn(3)
    arrays["features"] = (arrays["features"] > 0).astype(float)  # many pairs are equally far
    trials = trials_of(arrays, name)
    of_trial = []
    for trial in trials.trials:
        query, gallery = arrays["features"][trial.query], arrays["features"][trial.gallery]
        same = arrays["people"][trial.query][:, None] == arrays["people"][trial.gallery]
        hits = []
        for row, own in zip(pairwise(query, gallery, "euclidean"), same, strict=True):
            match, others = row[own].min(), row[~own].min()
            hits.append((match < others, match <= others))
        of_trial.append(np.mean(hits, axis=0))
    least, greatest = np.mean(of_trial, axis=0)
    found = evaluate_trials(**arrays, trials=trials, distance="euclidean")
    assert least < found.cmc(1).mean < greatest
    assert found.to_dict()["ties"]["cmc"]["1"] == pytest.approx([least, greatest], abs=1e-6)
    assert f"rank-1 is from {least:.2%} to {greatest:.2%}" in found.table()


def test_nothing_is_said_of_ties_where_there_are_none() -> None:
    arrays = drawn(3)
    found = evaluate_trials(**arrays, trials=trials_of(arrays, "classic"))
    assert "ties" not in found.to_dict()
    assert "ties" not in found.table()
