"""Step `tests`: the tests that need a GPU; on a CPU the variants of them that run there."""

import json
import os
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from _gpu_context import Context, Failed
from _gpu_outcomes import FILE
from passerby import parallel

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "gpu"
ABSENT = "there are no tests for a GPU: no folder tests/gpu"
MARK = "@pytest.mark.gpu"
NOTHING_SELECTED = 5
"""pytest's exit code where no test is selected."""
SLOWEST = 5
BESIDE = 6
"""Files of tests that run side by side on a GPU: most of their time is the host's, which compiles
kernels, starts programs and imports."""


def tests(context: Context) -> None:
    """Run the tests, and keep how many passed and why the others did not.

    Raises:
        Failed: tests failed, there are none, or on a GPU all were skipped.
    """
    paths = files(context.kind)
    if not paths:
        raise Failed(ABSENT)
    outcomes = context.work / "outcomes.jsonl"
    outcomes.unlink(missing_ok=True)
    child = subprocess.Popen(
        command(context, paths),
        cwd=ROOT,
        env={
            **os.environ,
            FILE: str(outcomes),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "benchmarks"), os.environ["PYTHONPATH"]]),
        },
        preexec_fn=parallel.die_with_parent,
    )
    while True:
        try:
            code = child.wait(timeout=2)
            break
        except subprocess.TimeoutExpired:
            context.keep(**counted(outcomes))
    context.keep(exit_code=code, **counted(outcomes))
    if code == NOTHING_SELECTED and context.quick:
        context.keep(note="every test here takes more than a second or needs a GPU: none was run")
    elif code == 0 and context.kind == "cuda" and not context.found["passed"]:
        raise Failed("no test passed: all were skipped, though there is a GPU")
    elif code:
        names = [each["name"] for each in context.found["failures"]]
        raise Failed(f"pytest ended with {code}; failed: {', '.join(names) or 'nothing'}")


def files(kind: str) -> list[Path]:
    """Files with such tests; others are not read, since they may need packages that are absent."""
    folder = [FOLDER] if FOLDER.is_dir() else []
    if kind == "cpu":
        return folder
    marked = [p for p in sorted(ROOT.glob("tests/**/test_*.py")) if MARK in p.read_text()]
    return [*folder, *(path for path in marked if FOLDER not in path.parents)]


def command(context: Context, paths: list[Path]) -> list[str]:
    """The command line of pytest."""
    marks = "gpu"
    if context.kind == "cpu":
        marks = "not gpu and not slow" if context.quick else "not gpu"
    options = ["-q", "-p", "_gpu_outcomes", "-p", "no:cacheprovider"]
    if context.kind == "cuda" and find_spec("xdist"):
        options += ["-n", str(BESIDE), "--dist", "loadfile"]
    return [sys.executable, "-m", "pytest", "-m", marks, *options, *map(str, paths)]


def counted(path: Path) -> dict[str, Any]:
    """Count the outcomes of the tests, and list those that did not pass, with the reasons."""
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    counts = Counter(row["outcome"] for row in rows)
    slowest = sorted(rows, key=lambda row: -row["took_s"])[:SLOWEST]
    return {
        **{outcome: counts[outcome] for outcome in ("passed", "failed", "skipped")},
        "failures": [_short(row) for row in rows if row["outcome"] == "failed"],
        "skips": [_short(row) for row in rows if row["outcome"] == "skipped"],
        "slowest": [{"name": row["name"], "took_s": row["took_s"]} for row in slowest],
    }


def _short(row: dict[str, Any]) -> dict[str, str]:
    return {"name": row["name"], "why": row["why"]}
