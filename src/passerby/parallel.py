"""Work on several items at once, on this machine; how many decides no bytes."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from passerby.errors import BadInput

Item = TypeVar("Item")
Done = TypeVar("Done")
_PR_SET_PDEATHSIG = 1


def workers() -> int:
    """How many items are in work at a time: `PASSERBY_WORKERS`, else one a core.

    Raises:
        BadInput: the variable is no number from 1.
    """
    given = os.environ.get("PASSERBY_WORKERS", "")
    if not given:
        return len(os.sched_getaffinity(0))
    if not given.isdecimal() or int(given) < 1:
        raise BadInput(f"PASSERBY_WORKERS: found '{given}', wanted a number from 1")
    return int(given)


def each(work: Callable[[Item], Done], items: Sequence[Item]) -> Iterator[Done]:
    """`work` of each item, in their order, in `workers()` processes that die with this one.

    Args:
        work: A function of a module, or a partial of one.
        items: What it is given, one at a time.
    """
    with ProcessPoolExecutor(workers(), get_context("fork"), die_with_parent) as pool:
        yield from pool.map(work, items)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
