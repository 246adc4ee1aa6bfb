"""The fuzz command: nothing that reads was forgotten, and it notices what it looks for."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cases
import numpy as np
import options
import pytest
import targets
from cases import Case, Outcome, Target
from worker import Worker

from passerby import cli
from passerby.errors import BadInput

RUN = Path(__file__).with_name("run.py")
DEADLINE_S = 3.0


def test_every_option_of_every_verb_is_tried() -> None:
    unknown = [
        f"{verb} {options.name_of(action)}"
        for verb, parser in options.leaves(cli.parser())
        for action in options.actions(parser)
        if not options.is_known(verb, action)
    ]
    assert not unknown, "name what these are in VERBS of tests/fuzz/options.py"


def test_every_module_that_reads_a_file_is_tried_or_reads_our_own() -> None:
    tried = {module for target in targets.every() for module in target.covers}
    unknown = targets.reading_modules() - tried - targets.OURS.keys()
    assert not unknown, "give these a target in tests/fuzz/reader_targets.py, or a reason in OURS"


def test_no_reason_is_left_of_a_module_that_reads_nothing() -> None:
    assert targets.OURS.keys() <= targets.reading_modules()


@pytest.mark.slow
def test_two_minutes_of_damaged_input_touch_every_target_and_none_fails() -> None:
    done = subprocess.run(
        [sys.executable, RUN, "--seconds", "120"], capture_output=True, text=True, check=False
    )
    counts = re.findall(r"^ +([\d,]+) .*  ((?:reader|option) .+)$", done.stdout, re.MULTILINE)
    assert {name for _, name in counts} == {target.name for target in targets.every()}
    assert min(int(count.replace(",", "")) for count, _ in counts) >= 2
    assert done.returncode == 0, done.stdout[done.stdout.index("FAILED") :]


def outcome(tmp_path: Path, act: Callable[[], Any], **case: Any) -> Outcome:
    """What the command makes of one case."""
    target = Target(
        "x", (), lambda folder: None, lambda folder, rng: Case("it", act, **case),
        lambda folder: Case("it", act, **case),
    )  # fmt: skip
    worker = Worker({"x": target}, tmp_path, DEADLINE_S)
    try:
        return worker.run("x", 0, 1)
    finally:
        worker.stop()


def refuse(message: str) -> None:
    refused = BadInput("")
    refused.args = (message,)
    raise refused


def make_a_device_a_file() -> None:
    Path("../out/name").unlink()
    Path("../out/name").write_text("x")


NAMED = {
    "traceback ZeroDivisionError": lambda: 1 / 0,
    "hang": lambda: time.sleep(60),
    "died: SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "traceback MemoryError": lambda: bytearray(1 << 40),
    "outside": lambda: Path("../outside/new.txt").write_text("x"),
    "differs": lambda: time.monotonic(),
    "unprintable message": lambda: refuse("\x1b[31m"),
    "unprintable output": lambda: print("\x1b[31m"),
    "no message": lambda: refuse(""),
    "exit": lambda: sys.exit(3),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", NAMED)
def test_a_failure_is_noticed_and_named(kind: str, tmp_path: Path) -> None:
    found = outcome(tmp_path, NAMED[kind])
    assert (found.state, found.kind[: len(kind)]) == ("failed", kind)
    assert found.what == "it"


def test_what_was_written_by_a_library_outside_is_noticed(tmp_path: Path) -> None:
    # No call of Python's opens it.
    found = outcome(tmp_path, lambda: subprocess.run(["touch", "../in/new"], check=True))
    assert (found.state, found.kind, found.details) == ("failed", "outside", "changed 'in/new'")


def test_a_link_that_became_a_file_is_noticed(tmp_path: Path) -> None:
    held: list[Path] = []
    target = Target(
        "x", (), lambda folder: None, lambda folder, rng: _of_link(folder, held),
        lambda folder: Case("it", lambda: None),
    )  # fmt: skip
    worker = Worker({"x": target}, tmp_path, DEADLINE_S)
    found = worker.run("x", 0, 1)
    worker.stop()
    assert (found.state, found.kind) == ("failed", "replaced")


def _of_link(folder: Path, held: list[Path]) -> Case:
    link = folder / "out" / "name"
    return Case(
        "it", make_a_device_a_file, reset=lambda: link.symlink_to("../outside/secret.txt"),
        kept=(link,),
    )  # fmt: skip


def test_figures_that_are_not_finite_are_noticed(tmp_path: Path) -> None:
    import readers

    found = outcome(tmp_path, lambda: np.array([np.nan]), check=readers.finite)
    assert (found.state, found.kind) == ("failed", "not finite")


def test_a_success_and_a_refusal_are_no_failures(tmp_path: Path) -> None:
    assert outcome(tmp_path, lambda: Path("../out/a").write_text("x")) == Outcome("ok", what="it")
    found = outcome(tmp_path, lambda: refuse("a.txt: empty"))
    assert found == Outcome("refused", what="it", details="a.txt: empty")


def test_whole_input_that_is_refused_is_a_failure(tmp_path: Path) -> None:
    whole = Target(
        "x", (), lambda folder: None, None, lambda folder: Case("it", lambda: refuse("x"))
    )  # type: ignore[arg-type]
    worker = Worker({"x": whole}, tmp_path, DEADLINE_S)
    found = worker.run("x", 0, 0)
    worker.stop()
    assert (found.state, found.kind) == ("failed", "whole input refused")


def test_a_case_is_the_same_whenever_it_is_run() -> None:
    draws = [cases.stream(0, "reader x", 17).integers(1 << 60) for _ in range(2)]
    assert draws[0] == draws[1] != cases.stream(0, "reader x", 18).integers(1 << 60)
