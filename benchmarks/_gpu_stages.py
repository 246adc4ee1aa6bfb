"""Runs stages as scripts; what they print is shown and kept."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from _gpu_context import Failed
from passerby import parallel

ROOT = Path(__file__).resolve().parent.parent
LAST_LINES = 3


class Stage:
    """A running stage: `python stages/NAME.py WORDS...`.

    Args:
        folder: Where it runs; it holds `params.yaml` and `data`.
        name: Name of the script.
        words: Arguments of the script.
    """

    def __init__(self, folder: Path, name: str, *words: str) -> None:
        self.title = " ".join([name, *words])
        print(f"$ python stages/{name}.py {' '.join(words)}", flush=True)
        self._begin_s = time.monotonic()
        self._child = subprocess.Popen(
            [sys.executable, str(ROOT / "stages" / f"{name}.py"), *words],
            cwd=folder,
            env=environment(os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=parallel.die_with_parent,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._child.stdout or ():
            self._lines.append(line)
            print(line, end="", flush=True)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._child.poll() is None

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return "".join(self._lines)

    def stop_when(self, done: Callable[[], bool], period_s: float = 0.1) -> None:
        """Send SIGTERM as soon as `done` returns true; return at once if the stage ends before."""
        while self.runs and not done():
            time.sleep(period_s)
        if self.runs:
            self._child.send_signal(signal.SIGTERM)

    def ended(self, *wanted: int) -> float:
        """Wait until it ends, and return the seconds that it took.

        Args:
            wanted: Exit codes that it may end with; by default 0.

        Raises:
            Failed: it ended with another exit code.
        """
        code = self._child.wait()
        self._reader.join()
        if code not in (wanted or (0,)):
            last = " / ".join(self.text.strip().splitlines()[-LAST_LINES:])
            raise Failed(f"stage {self.title} ended with {code}: {last}")
        return time.monotonic() - self._begin_s

    @property
    def code(self) -> int:
        """Its exit code, once it has ended."""
        return self._child.wait()


def run(folder: Path, name: str, *words: str) -> Stage:
    """Run a stage to its end.

    Raises:
        Failed: its exit code is not 0.
    """
    stage = Stage(folder, name, *words)
    stage.ended()
    return stage


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a stage: its scratch lies where it runs, and its output comes at once."""
    kept = {name: value for name, value in given.items() if name != "DVC_ROOT"}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def last_number(pattern: str, text: str) -> float | None:
    """The last number in a text that a pattern with one group finds; `None` if there is none.

    Example:
        >>> last_number(r"([\\d.,]+) pairs/s", "8 pairs/s\\n1,204 pairs/s  data 3%")
        1204.0
    """
    found = re.findall(pattern, text)
    return float(found[-1].replace(",", "")) if found else None
