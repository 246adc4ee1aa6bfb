"""Timing in turn, and what is kept of it."""

import doctest
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import _measure
import _record


class Clock:
    """A clock that only work moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def takes(self, seconds: float) -> Callable[[], None]:
        def work() -> None:
            self.now_s += seconds

        return work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(_measure.time, "perf_counter", lambda: made.now_s)
    return made


@pytest.mark.parametrize(
    ("values", "median", "iqr"),
    [
        ([5.0], 5.0, 0.0),
        ([3.0, 1.0], 2.0, 1.0),
        ([9.0, 1.0, 2.0], 2.0, 4.0),
        ([4.0, 1.0, 2.0, 3.0, 100.0], 3.0, 2.0),
    ],
)
def test_spread_is_the_median_and_the_quartiles_distance(
    values: list[float], median: float, iqr: float
) -> None:
    assert _measure.spread(values) == {"median": median, "iqr": iqr}


def test_tasks_alternate_and_warm_ups_are_thrown_away() -> None:
    order: list[str] = []
    tasks = {name: lambda name=name: order.append(name) or len(order) for name in "abc"}
    found = _measure.alternate(tasks, rounds=2, warm_ups=2)
    assert "".join(order) == "abc" * 4
    assert found == {"a": [7, 10], "b": [8, 11], "c": [9, 12]}


def test_a_rate_begins_nothing_after_its_time_and_counts_the_waiting(clock: Clock) -> None:
    waits = iter([5.0, 1.0])  # what was given before the clock starts, and what is left at its end
    found = _measure.rate(clock.takes(0.75), 6, 2.0, lambda: clock.takes(next(waits))())
    assert found == 3 * 6 / (3 * 0.75 + 1.0)


def test_a_rate_does_at_least_one_piece_of_work(clock: Clock) -> None:
    assert _measure.rate(clock.takes(4.0), 2, 0.0, lambda: None) == 0.5


def test_a_ratio_is_taken_in_each_round() -> None:
    # The third round was slow for both: the medians alone would give 20 / 10.
    assert _measure.ratio([20.0, 30.0, 3.0], [10.0, 10.0, 1.0])["median"] == 3.0


@pytest.mark.parametrize("module", [_measure, _record])
def test_the_examples_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module).attempted > 0
    assert doctest.testmod(module).failed == 0


def test_rest_returns_where_no_worker_lives() -> None:
    _measure.rest()


def test_a_result_is_strict_json_or_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "results" / "x.json"
    _record.write(path, {"ratios": {"end_to_end": 1.23456}, "gpu": None, "each": (1, 2.0)})
    assert json.loads(path.read_text()) == {
        "ratios": {"end_to_end": 1.235},
        "gpu": None,
        "each": [1, 2.0],
    }
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            _record.write(path, {"rates": [{"median": value}]})
    assert json.loads(path.read_text())["ratios"] == {"end_to_end": 1.235}
    assert [file.name for file in path.parent.iterdir()] == ["x.json"]


def test_circumstances_name_machine_versions_and_commit_but_no_folder() -> None:
    found = _record.circumstances(["numpy", "no-such-package-of-ours"])
    assert set(found) == {"machine", "versions", "commit", "date"}
    assert found["machine"]["cores"] >= 1
    assert found["versions"]["no-such-package-of-ours"] is None
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", found["commit"])
    assert str(Path.home()) not in json.dumps(found)


def test_a_quick_result_never_takes_the_place_of_a_kept_one() -> None:
    assert _record.place("x", quick=False) == _record.RESULTS / "x.json"
    assert _record.RESULTS not in _record.place("x", quick=True).resolve().parents
