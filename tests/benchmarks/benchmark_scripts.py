"""Running a benchmark as a user does, and work for one."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np


def run(script: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, script, *words],
        cwd=folder,
        env={**os.environ, "DVC_ROOT": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def hundred_megabytes() -> Callable[[], dict[str, float]]:
    """A piece of work for a process of its own, which imports this module by name."""
    return lambda: {"sum": float(np.ones(100_000_000, np.uint8).sum())}
