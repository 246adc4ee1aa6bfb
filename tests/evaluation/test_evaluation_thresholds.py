"""The threshold table says where it was chosen, what it gave there, and what it is for."""

from typing import Any

import numpy as np
import pytest

from passerby.evaluation import Result, evaluate, thresholds
from passerby.evaluation.distance import pairwise
from passerby.evaluation.result import SEARCHES

PEOPLE, CAMERAS = np.repeat(np.arange(1, 61), 4), np.tile([1, 2, 3, 4], 60)


def features(noise: float = 0.5, scale: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    return scale * (rng.normal(size=(61, 16))[PEOPLE] + noise * rng.normal(size=(240, 16)))


def found(**asked: Any) -> Result:
    given = features(asked.pop("noise", 0.5), asked.pop("scale", 1.0))
    asked = {"fars": (1e-5, 1e-4, 1e-2, 0.1), "draws": 50} | asked
    return evaluate(given, given, PEOPLE, PEOPLE, CAMERAS, CAMERAS, **asked)


def impostors(result: Result, **made: Any) -> np.ndarray:
    """Each query's distances from pictures of other people, `(Q, I)`."""
    given = features(**made)
    apart = pairwise(given, given, result.distance)  # type: ignore[arg-type]
    return np.stack([row[person != PEOPLE] for row, person in zip(apart, PEOPLE, strict=True)])


def test_the_table_has_the_measurable_rates_and_who_they_were_chosen_on() -> None:
    table = thresholds.table(found(), "sixty people")
    assert table["chosen_on"] == "sixty people"
    assert (table["queries"], table["impostor_pairs"]) == (240, 240 * 236)
    assert list(table["at_far"]) == ["0.0001", "0.01", "0.1"]  # 1e-5 is less than one pair
    assert list(table["at_fpir"]) == ["100", "240"]
    # Of 240 searches a thousandth is less than one.
    assert all(list(rows) == ["0.01", "0.1"] for rows in table["at_fpir"].values())


@pytest.mark.parametrize(("distance", "scale"), [("cosine", 1.0), ("euclidean", 1e-7)])
def test_a_row_of_pairs_gives_its_rates_at_the_stored_distance(distance: str, scale: float) -> None:
    result = found(distance=distance, scale=scale)
    others = impostors(result, scale=scale).astype(float)
    for far, row in thresholds.table(result, "who")["at_far"].items():
        at = row["distance"]
        assert row["impostor_errors"] == (others <= at).sum()
        assert row["far"] == pytest.approx((others <= at).mean(), rel=1e-5)
        assert row["far"] <= float(far)
        assert row["fpir"] == pytest.approx((others <= at).any(axis=1).mean(), abs=1e-6)
        genuine = result.verification.genuine.astype(float)
        assert row["tar"] == pytest.approx((genuine <= at).mean(), abs=1e-6)
        assert row["tar_95"][0] <= row["tar"] <= row["tar_95"][1]
        assert row["far_95"][0] <= row["far"] <= row["far_95"][1]


def test_a_row_of_searches_gives_its_rates_at_the_stored_distance() -> None:
    result = found(noise=1.2)
    others = impostors(result, noise=1.2).astype(float)
    rows = thresholds.table(result, "who")["at_fpir"]
    for fpir, row in rows["240"].items():
        accepted = (others <= row["distance"]).any(axis=1)
        assert row["impostor_errors"] == accepted.sum()
        assert row["fpir"] == pytest.approx(accepted.mean(), rel=1e-5)
        point = result.identification_rate(float(fpir))
        assert point is not None
        assert row["tpir"] == pytest.approx(point[0], abs=1e-6)
        assert row["tpir_95"][0] <= row["tpir"] <= row["tpir_95"][1]
        assert row["fpir_95"][0] <= row["fpir"] <= row["fpir_95"][1]
    rng = np.random.default_rng(1)
    for fpir, row in rows["100"].items():
        drawn = [
            (rng.permuted(others, axis=1)[:, :100] <= row["distance"]).any(axis=1).mean()
            for _ in range(60)
        ]
        assert row["fpir"] == pytest.approx(np.mean(drawn), abs=0.01)
        assert row["distance"] >= rows["240"][fpir]["distance"]
        assert row["tpir"] >= rows["240"][fpir]["tpir"]


def test_rows_from_fewer_than_thirty_errors_are_marked() -> None:
    table = thresholds.table(found(noise=1.2), "who")
    rows = [
        *table["at_far"].values(),
        *(r for rows in table["at_fpir"].values() for r in rows.values()),
    ]
    few = [row.get("few_errors", False) for row in rows]
    assert few == [row["impostor_errors"] < 30 for row in rows]
    assert any(few)
    assert not all(few)


def test_without_draws_there_are_no_intervals() -> None:
    table = thresholds.table(found(draws=0), "who")
    assert "tar_95" not in table["at_far"]["0.01"]
    assert "tpir_95" not in table["at_fpir"]["240"]["0.1"]


def test_the_lines_say_that_a_far_is_of_pairs_and_which_rows_are_not_sure() -> None:
    table = thresholds.table(found(noise=1.2), "who")
    told = thresholds.lines(table)
    row = table["at_far"]["0.01"]
    assert told[1] == (
        f"FAR 0.01: accept at {row['distance']} and below; TAR {row['tar']:.2%} there, and "
        f"{row['fpir']:.2%} of strangers in a search of 240"
    )
    assert told[0].endswith(" *")
    assert any(line.startswith("FPIR 0.1 in a search of 100: accept at ") for line in told)
    assert told[-2] == "* from fewer than 30 errors of impostors: not sure"
    assert told[-1] == SEARCHES


def test_a_table_that_was_stored_before_can_still_be_told() -> None:
    stored = {"at_far": {"0.01": {"distance": 0.3125, "tar": 0.5}}}
    assert thresholds.lines(stored) == [
        "FAR 0.01: accept at 0.3125 and below; TAR 50.00% there",
        SEARCHES,
    ]


def test_where_no_match_can_be_accepted_the_lines_name_no_distance() -> None:
    people = np.arange(1, 61)
    given = np.random.default_rng(1).normal(size=(60, 8))
    cameras = np.ones(60, int)
    opposite = evaluate(given, -given, people, people, cameras, cameras + 1)
    lines = thresholds.lines(thresholds.table(opposite, "who"))
    assert (
        "FAR 0.01: no distance, for no match is accepted at this rate; TAR 0.00% there" in lines[1]
    )
    assert "search of 60: no distance, for no match is accepted at this rate; TPIR" in lines[2]
    assert not any("-1.0" in line for line in [*lines, *opposite.table().splitlines()])


def test_a_set_that_is_too_small_for_any_rate_says_so() -> None:
    three = np.arange(1, 4), np.arange(1, 4), [1, 1, 1], [2, 2, 2]
    lines = thresholds.lines(thresholds.table(evaluate(np.eye(3), np.eye(3), *three), "three"))
    assert lines == [
        "no FAR can be measured: too few impostor pairs (6)",
        "no FPIR can be measured: too few queries (3)",
        SEARCHES,
    ]


def test_thresholds_of_features_that_are_nearly_all_alike_say_so() -> None:
    given = 1 + 1e-5 * features()
    alike = evaluate(given, given, PEOPLE, PEOPLE, CAMERAS, CAMERAS)
    table = thresholds.table(alike, "who")
    assert table["collapsed"] is True
    assert any(line.startswith("collapsed: ") for line in thresholds.lines(table))
    assert "collapsed" not in thresholds.table(found(), "who")
