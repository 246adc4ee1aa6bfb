"""A process that runs cases one by one, with a deadline each; killed and replaced if it is late."""

import contextlib
import multiprocessing
import os
import resource
import signal
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import cases
import cv2
import psutil
import torch
from cases import Outcome, Target

MOST_MEMORY_BYTES = 16 << 30
"""Of addresses: a claim of more fails at once instead of taking the machine down."""
MOST_FILE_BYTES = 1 << 30
MOST_CASES = 5000
"""Of one process: crop stores stay mapped as long as the process that opened them lives."""


BEGINNING_S = 300.0
"""For whole input to be made, once a target."""
PERIOD_S = 0.25


def _family(pid: int) -> list[psutil.Process]:
    """A process and all that it started, those first."""
    try:
        top = psutil.Process(pid)
        return [*top.children(recursive=True), top]
    except psutil.NoSuchProcess:
        return []


class _Clock:
    """Tells when a process has worked for so long, or has done nothing for so long.

    Working time counts, since a busy machine makes everything slow and no program wrong.
    """

    def __init__(self, pid: int, most_s: float) -> None:
        self.pid, self.most_s = pid, most_s
        self._first_s = self._last_s = self._worked_s()
        self._moved = time.monotonic()

    def is_over(self) -> bool:
        """Whether it is time to give up."""
        now, worked_s = time.monotonic(), self._worked_s()
        if worked_s > self._last_s:
            self._last_s, self._moved = worked_s, now
        return worked_s - self._first_s > self.most_s or now - self._moved > self.most_s

    def _worked_s(self) -> float:
        total = 0.0
        for process in _family(self.pid):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                times = process.cpu_times()
                total += times.user + times.system
        return total


class Worker:
    """Runs cases in a child process.

    Args:
        targets: All of them, by name.
        base: A folder for cases; the child leaves nothing in it that a killed case has not left.
        deadline_s: Of a case: so long it may work, or do nothing.
    """

    def __init__(self, targets: dict[str, Target], base: Path, deadline_s: float) -> None:
        self.targets, self.base, self.deadline_s = targets, base, deadline_s
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._cases = 0

    def run(self, name: str, seed: int, number: int) -> Outcome:
        """Run one case; a hang and a death of the process are outcomes too."""
        self._cases += 1
        if self._cases % MOST_CASES == 0:
            self.stop()
        if self._process is None or self._connection is None:
            self._start()
        assert self._process is not None
        assert self._connection is not None
        self._connection.send((name, seed, number))
        what, clock = "its beginning", _Clock(self._process.pid or 0, BEGINNING_S)
        try:
            while not clock.is_over():
                if not self._connection.poll(PERIOD_S):
                    continue
                found: Outcome | str = self._connection.recv()
                if isinstance(found, Outcome):
                    return found
                what, clock = found, _Clock(self._process.pid or 0, self.deadline_s)
        except (EOFError, ConnectionError):
            self._process.join(5)
            code = self._process.exitcode or 0
            told = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            self.stop()
            return Outcome("failed", f"died: {told}", what, "the process ended")
        self.stop()
        return Outcome("failed", "hang", what, f"no end within {self.deadline_s:g} s")

    def stop(self) -> None:
        """End the child, if there is one."""
        if self._process is not None and self._connection is not None:
            self._connection.close()
            for process in _family(self._process.pid or 0):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process.join()
        self._process = self._connection = None

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")  # what was imported need not be again
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, self._connection, self.targets, self.base)
        )
        with _alone():
            self._process.start()
        theirs.close()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """OpenCV without threads of its own: in a fork, it would wait for ever for those it has."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _serve(
    connection: Connection, other: Connection, targets: dict[str, Target], base: Path
) -> None:
    other.close()
    _limit(base)
    cases.watch()
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            name, seed, number = connection.recv()
            try:
                connection.send(cases.run(targets[name], seed, number, base, connection.send))
            except Exception:  # a mistake in the case itself
                told = traceback.format_exc()[-3000:]
                connection.send(Outcome("failed", "a broken case", details=told))


def _limit(base: Path) -> None:
    """Limits of this process, and its standard streams into a log."""
    for what, most in (
        (resource.RLIMIT_AS, MOST_MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, MOST_FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard < 0 else min(most, hard), hard))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    log = os.open(base / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for stream in (1, 2):
        os.dup2(log, stream)

    torch.set_num_threads(1)
