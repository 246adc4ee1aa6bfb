"""Stages run as scripts, their output shown and kept."""

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
    """A stage that runs: `python stages/NAME.py WORDS...`.

    Args:
        folder: In which it runs: it holds `params.yaml` and `data`.
        name: Of the script.
        words: Its arguments.
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
        """What it has said."""
        return "".join(self._lines)

    def stop_when(self, done: Callable[[], bool], period_s: float = 0.1) -> None:
        """Ask it to stop, by SIGTERM, as soon as `done` says so; return at once if it ends."""
        while self.runs and not done():
            time.sleep(period_s)
        if self.runs:
            self._child.send_signal(signal.SIGTERM)

    def ended(self, *wanted: int) -> float:
        """Wait until it ends; the seconds that it took.

        Args:
            wanted: Exit codes that it may end with; 0 where none is given.

        Raises:
            Failed: it ended with another one.
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
        Failed: it ended with another code than 0.
    """
    stage = Stage(folder, name, *words)
    stage.ended()
    return stage


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a stage: scratch in its own folder, output at once, nothing of DVC."""
    kept = {name: value for name, value in given.items() if name != "DVC_ROOT"}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def last_number(pattern: str, text: str) -> float | None:
    """The last number that a pattern with one group finds; `None` if there is none.

    Example:
        >>> last_number(r"([\\d.,]+) pairs/s", "8 pairs/s\\n1,204 pairs/s  data 3%")
        1204.0
    """
    found = re.findall(pattern, text)
    return float(found[-1].replace(",", "")) if found else None
