"""Repeated trials on the labels of CUHK01 and of the part of CUHK03 that is at hand."""

from pathlib import Path

import numpy as np
import pytest

from passerby.datasets import cuhk01 as cuhk01_set
from passerby.datasets import cuhk03_np
from passerby.datasets.rows import Row
from passerby.evaluation import classic_cuhk03, cuhk01, draw_test_sets, evaluate_trials

pytestmark = [pytest.mark.real, pytest.mark.slow]


def labels(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    """People and views."""
    return np.array([row.person for row in rows]), np.array([row.camera for row in rows])


def noise(people: np.ndarray) -> np.ndarray:
    """Features that know nothing, so that rank k is right by chance."""
    return np.random.default_rng(0).normal(size=(len(people), 16))


def test_cuhk01_is_ten_splits_of_486_people_both_ways(realdata: Path) -> None:
    people, views = labels(cuhk01_set.read(realdata / "CUHK01" / "campus"))
    splits = cuhk01_set.splits(people.tolist())
    multi = evaluate_trials(noise(people), people, views, cuhk01(people, views, splits))
    assert multi.trials == 20
    assert multi.counts == {
        "queries": (972, 972),
        "queries_without_match": (0, 0),
        "gallery": (972, 972),
    }
    assert multi.map is not None
    single = evaluate_trials(noise(people), people, views, cuhk01(people, views, splits, "single"))
    assert single.counts["gallery"] == (486, 486)
    assert single.map is None
    assert single.cmc(20).mean == pytest.approx(20 / 486, abs=0.005)


def test_the_classic_protocol_takes_a_hundred_people_of_the_part(realdata: Path) -> None:
    rows = cuhk03_np.read(realdata / "cuhk03-np-pair1-60x160" / "detected")
    people, views = labels(rows)
    test_sets = draw_test_sets(people, views)
    found = evaluate_trials(
        noise(people), people, views, classic_cuhk03(people, views, test_sets, repeats=2)
    )
    assert found.trials == 40
    assert found.counts["gallery"] == (100, 100)
    assert found.counts["queries_without_match"] == (0, 0)
    assert found.cmc(10).mean == pytest.approx(0.1, abs=0.02)
