"""One piece of work in a process of its own: how long it took, how much memory at most."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

Work = Callable[[], object]
_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def timed(prepare: Callable[..., Work], *given: Any) -> dict[str, float]:
    """Prepare and do a piece of work in a new process.

    Args:
        prepare: A function of a module: makes the data, imports, and returns the work.
        given: What it is given.

    Returns:
        `seconds` of the work, after `prepare`; `peak_mb`, the most memory it had above what the
        process had before it (Linux; elsewhere not there); what the work returned, if a dict of
        figures.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_do, prepare, given).result()


def _do(prepare: Callable[..., Work], given: tuple[Any, ...]) -> dict[str, float]:
    work = prepare(*given)
    np.ones((512, 512), np.float32) @ np.ones((512, 512), np.float32)  # threads are there
    before = _memory_mb("VmRSS")
    if before is not None:
        _CLEAR.write_text("5")  # the high-water mark falls to what is held now
    begin = time.perf_counter()
    told = work()
    found = {"seconds": time.perf_counter() - begin}
    if before is not None:
        found["peak_mb"] = (_memory_mb("VmHWM") or 0.0) - before
    return found | (told if isinstance(told, dict) else {})


def _memory_mb(name: str) -> float | None:
    """A line of this process's status, in MB; `None` where there is none."""
    if not _CLEAR.exists():
        return None
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e6
