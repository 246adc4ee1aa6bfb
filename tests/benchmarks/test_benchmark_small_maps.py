"""The script from the command line, small."""

import json
from pathlib import Path

import pytest
from benchmark_scripts import run

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "small_maps.py"
CASES = {"64x32_stride_2", "64x32_stride_1", "128x64_stride_2", "128x64_stride_1"}


def test_a_quick_run_leaves_json_a_chart_and_its_ratios(tmp_path: Path) -> None:
    done = run(SCRIPT, tmp_path, "--quick", "--batch", "2", "--rounds", "1", "--seconds", "0.01")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "scratch" / "benchmarks" / "small_maps.json"
    found = json.loads(out.read_text(), parse_constant=pytest.fail)
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")

    assert set(found["ratios"]) == set(found["ratios_iqr"]) == set(found["rates"]) == CASES
    for name, rates in found["rates"].items():
        ours, theirs = (rates[rival]["median"] for rival in ("passerby", "torch"))
        assert found["ratios"][name] == pytest.approx(ours / theirs, rel=2e-3)
    assert {"what", "settings", "machine", "versions", "commit", "date"} <= set(found)

    last = [line.split() for line in done.stdout.splitlines()[-4:]]
    assert {what: float(value) for _, what, value in last} == found["ratios"]
    assert all(word == "ratio" for word, _, _ in last)
    assert run(SCRIPT, tmp_path, "--table", "--out", str(out)).stdout == done.stdout
