"""The script from the command line, on a tiny store."""

import json
import re
from pathlib import Path

import pytest
from benchmark_scripts import run
from pretrain_samples import write_crops

import pretraining
from passerby.errors import BadInput

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "pretraining.py"
TINY = ["--height", "32", "--width", "16", "--batch", "16", "--queue", "64"]
SHORT = ["--rounds", "1", "--seconds", "0.05", "--cores", "1"]
RIVALS = {"a", "a_same_precision", "b"}
RATIOS = {"end_to_end", "end_to_end_same_precision", "feed"}


@pytest.mark.slow
def test_a_quick_run_leaves_json_a_chart_and_its_ratios(tmp_path: Path) -> None:
    write_crops(tmp_path / "crops.lmdb")
    done = run(
        SCRIPT, tmp_path, "--quick", *TINY, *SHORT, "--crops", "crops.lmdb", "--images", "32"
    )
    assert done.returncode == 0, done.stderr
    out = tmp_path / "scratch" / "benchmarks" / "pretraining.json"
    found = json.loads(out.read_text(), parse_constant=pytest.fail)
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")

    assert set(found["ratios"]) == set(found["ratios_iqr"]) == RATIOS
    assert set(found["rates"]) == set(found["share_of_harmonic"]) == set(found["rivals"]) == RIVALS
    for rates in found["rates"].values():
        assert set(rates) == {"loader", "model", "joint"}
        assert all(set(rate) == {"median", "iqr"} for rate in rates.values())
        assert all(rate["median"] > 0 for rate in rates.values())
    joint = {name: rates["joint"]["median"] for name, rates in found["rates"].items()}
    assert found["ratios"]["end_to_end"] == pytest.approx(joint["b"] / joint["a"], rel=2e-3)
    assert {"what", "settings", "machine", "versions", "commit", "date", "gpu"} <= set(found)
    assert found["settings"]["pictures"] == "32 of the 64 crops of crops.lmdb"
    assert not found["settings"]["pretrain"]["compile"]

    last = [line.split() for line in done.stdout.splitlines()[-3:]]
    assert {what: float(value) for _, what, value in last} == found["ratios"]
    assert all(word == "ratio" for word, _, _ in last)

    table = run(SCRIPT, tmp_path, "--table", "--out", str(out))
    assert table.stdout == done.stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--views", "reid"], "--views reid: this list is not compared"),
        (["--views", "ori-xx"], "no list of augmentations is called 'ori-xx'"),
        (["--batch", "30"], "4 groups do not divide a batch of 30"),
    ],
)
def test_what_cannot_be_compared_is_refused(words: list[str], why: str) -> None:
    with pytest.raises(BadInput, match=re.escape(why)):
        pretraining.settings(pretraining.arguments(words))


def test_quick_changes_defaults_and_not_what_is_asked() -> None:
    asked = pretraining.arguments(["--quick", "--batch", "64"])
    assert (asked.batch, asked.height, asked.rounds) == (64, 64, 2)
    assert pretraining.arguments([]).out == pretraining._record.RESULTS / "pretraining.json"
