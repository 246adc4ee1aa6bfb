"""The plugin of pytest by which `gpu.py` learns the outcome of each test."""

import os
import subprocess
import sys
from pathlib import Path

import bare_environment

import _gpu_tests

BENCHMARKS = bare_environment.ROOT / "benchmarks"
TOLERANT = ("--continue-on-collection-errors", "--import-mode=importlib", "--rootdir", ".")


def test_the_outcome_of_each_test_is_counted(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 1 == 2\n"
        "def test_skipped(): pytest.skip('needs a card: none')\n"
        "@pytest.fixture\n"
        "def broken(): raise OSError('no disk')\n"
        "def test_unprepared(broken): pass\n"
    )
    (tmp_path / "test_other.py").write_text("import no_such_module_of_ours\n")
    outcomes = tmp_path / "outcomes.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "_gpu_outcomes", *TOLERANT, str(tmp_path)],
        cwd=tmp_path,
        env={
            **os.environ,
            "PASSERBY_OUTCOMES": str(outcomes),
            "PYTHONPATH": str(BENCHMARKS),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    found = _gpu_tests.counted(outcomes)
    assert [found[key] for key in ("passed", "failed", "skipped")] == [1, 3, 1]
    why = {row["name"].rpartition("::")[2]: row["why"] for row in found["failures"]}
    assert why["test_bad"].startswith("assert 1 == 2")
    assert why["test_unprepared"] == "OSError: no disk"
    assert "no_such_module_of_ours" in why["test_other.py"]
    assert found["skips"][0]["why"] == "Skipped: needs a card: none"


def test_of_processes_that_test_side_by_side_only_the_leading_one_writes(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text("def test_good(): pass\n")
    outcomes = tmp_path / "outcomes.jsonl"
    own = {"PASSERBY_OUTCOMES": str(outcomes), "PYTHONPATH": str(BENCHMARKS)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "_gpu_outcomes", *TOLERANT, "."]
    for worker, passed in ({"PYTEST_XDIST_WORKER": "gw0"}, 0), ({}, 1):
        subprocess.run(command, cwd=tmp_path, env={**os.environ, **own, **worker}, check=True)
        assert _gpu_tests.counted(outcomes)["passed"] == passed
