"""A plugin of pytest that writes a line of JSON as soon as a test is over.

So the outcomes are known even if the run is killed. `PASSERBY_OUTCOMES` names the file.
"""

import json
import os

import pytest

FILE = "PASSERBY_OUTCOMES"
MOST_CHARACTERS = 300


def _write(name: str, outcome: str, why: str = "", took_s: float = 0.0) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:  # the process that leads hears of everything, too
        return
    line = {"name": name, "outcome": outcome, "why": why, "took_s": round(took_s, 2)}
    with open(os.environ[FILE], "a") as file:
        file.write(json.dumps(line) + "\n")


def _why(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The beginning of the message of a failure or a skip."""
    told = report.longrepr
    crash = getattr(told, "reprcrash", None)
    text = crash.message if crash else told[2] if isinstance(told, tuple) else str(told)
    return text.strip()[:MOST_CHARACTERS]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write the outcome of a test; a failure in its setup or teardown counts as a failure."""
    if report.when == "call" or not report.passed:
        why = "" if report.passed else _why(report)
        _write(report.nodeid, report.outcome, why, report.duration)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Write a failure for a file that could not be imported."""
    if report.failed:
        _write(report.nodeid, "failed", _why(report))
