"""Files of figures that a report reads: as they stand, or refused by what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from passerby.errors import BadInput
from passerby.report import told

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "data" / "results" / "random-0-0-city-cuhk03" / "metrics.json"


def changed(path: Path, key: str, value: Any) -> Path:
    """The figures of a result with one of them, at a dotted key, replaced."""
    whole = json.loads(RESULT.read_text())
    *outer, last = key.split("/")
    inner = whole
    for name in outer:
        inner = inner[name]
    inner[last] = value
    path.write_text(json.dumps(whole))
    return path


def test_figures_of_the_city_are_read_as_they_stand() -> None:
    assert told.metrics(RESULT) == json.loads(RESULT.read_text())
    counts = ROOT / "data" / "crops_counts.json"
    assert told.crops(counts) == json.loads(counts.read_text())


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("map", "0.5", "map: Input should be a valid number"),
        ("map", 1.5, "map: Input should be less than or equal to 1"),
        ("eer", None, "eer: Input should be a valid number"),
        ("auc", float("nan"), "found NaN, wanted a finite number"),
        ("cmc", [0.5], "cmc: Input should be a valid dictionary"),
        ("cmc/first", 0.5, "cmc.first"),
        ("tar_at_far/0.001", "a", r"tar_at_far.0\.001: Input should be a valid number"),
        ("threshold_at_far", {"0.01": "a"}, "Input should be a valid number"),
        ("counts/queries", -1, "counts.queries: Input should be greater than or equal to 0"),
        ("intervals/map", [0.1], "intervals: two numbers wanted for 'map'"),
        ("trials/cuhk03-classic/cmc/1", 0.5, r"trials.cuhk03-classic.cmc.1: Input should be"),
        ("protocol", 3, "protocol: Input should be a valid string"),
    ],
)
def test_a_figure_that_is_none_is_named(key: str, value: Any, said: str, tmp_path: Path) -> None:
    path = changed(tmp_path / "metrics.json", key, value)
    with pytest.raises(BadInput, match=said) as refused:
        told.metrics(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert str(refused.value).endswith("; run the stage 'evaluate' again")


@pytest.mark.parametrize("text", ["[]", "3", "null", '"a"'])
def test_what_is_no_table_of_figures_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(BadInput, match=r"metrics\.json: found a \w+, wanted figures by name"):
        told.metrics(tmp_path / "metrics.json")
