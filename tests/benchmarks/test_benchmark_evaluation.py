"""The script from the command line, small; and what its rivals are given."""

import json
from pathlib import Path
from typing import Any

import pytest
from benchmark_scripts import hundred_megabytes, run

import _alone
import _evaluators
from _evaluators import Size

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "evaluation.py"


@pytest.mark.slow
def test_a_quick_run_leaves_json_a_chart_and_its_ratios(tmp_path: Path) -> None:
    done = run(SCRIPT, tmp_path, "--quick", "--part", "60", "--python-queries", "2")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "scratch" / "benchmarks" / "evaluation.json"
    found = json.loads(out.read_text(), parse_constant=pytest.fail)
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert set(found["ratios"]) >= {"ranking_vs_python", "rerank_vs_numpy", "rerank_vs_faiss"}
    seconds = found["seconds"]
    wanted = seconds["reranked_numpy"]["median"] / seconds["reranked"]["median"]
    assert found["ratios"]["rerank_vs_numpy"] == pytest.approx(wanted, rel=2e-3)
    assert {"what", "settings", "machine", "versions", "commit", "date"} <= set(found)

    last = [line.split() for line in done.stdout.splitlines()[-len(found["ratios"]) :]]
    assert {what: float(value) for _, what, value in last} == found["ratios"]
    assert run(SCRIPT, tmp_path, "--table", "--out", str(out)).stdout == done.stdout


def test_all_rivals_find_the_same() -> None:
    size = Size(60, 300, 20, 4, 32)
    ours = _evaluators.ranked(size)()
    theirs: Any = _evaluators.ranked_by_fastreid(size)()
    assert ours == pytest.approx(theirs[0][0], abs=1e-6)
    given = _evaluators.reranked(size)()
    assert given == pytest.approx(_evaluators.reranked_by_fastreid(size)(), abs=1e-5)


@pytest.mark.slow
def test_the_memory_of_a_piece_of_work_is_told() -> None:
    found = _alone.timed(hundred_megabytes)
    assert found["sum"] == 1e8
    assert found["peak_mb"] == pytest.approx(100, rel=0.1)
