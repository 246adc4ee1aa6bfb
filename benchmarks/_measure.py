"""Timing that compares: rivals in turn within one run, warm-up thrown away, median and spread.

Knows nothing of what is timed. A rate is items per second; the ratio of two rates is taken round by
round, of figures that were measured close to each other, and the median of the rounds is kept.
"""

import multiprocessing
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

Key = TypeVar("Key", bound=Hashable)

REST_S = 0.25
"""Child processes that used no processor for so long are idle."""
REST_LIMIT_S = 60.0


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median, and the distance between the quartiles (linear between two values).

    Example:
        >>> spread([4.0, 1.0, 2.0, 3.0, 10.0])
        {'median': 3.0, 'iqr': 2.0}
    """
    low, middle, high = np.percentile(values, [25, 50, 75]).tolist()
    return {"median": middle, "iqr": high - low}


def rate(
    work: Callable[[], object], items: int, seconds: float, wait: Callable[[], object]
) -> float:
    """Items per second of `work`, done again and again for at least `seconds`.

    Args:
        work: Does `items` items.
        items: See `work`.
        seconds: After which nothing new is begun.
        wait: Returns when the device has done what it was given; part of the time.
    """
    wait()
    done, begin_s = 0, time.perf_counter()
    while time.perf_counter() - begin_s < seconds or not done:
        work()
        done += items
    wait()
    return done / (time.perf_counter() - begin_s)


def alternate(
    tasks: Mapping[Key, Callable[[], float]], rounds: int, warm_ups: int = 1
) -> dict[Key, list[float]]:
    """Measure all tasks in their order, then all again, so that a slow minute hits all of them.

    Args:
        tasks: Each returns a figure.
        rounds: That are kept.
        warm_ups: Rounds before those, thrown away.

    Returns:
        `rounds` figures of each task.

    Example:
        >>> counter = iter(range(6))
        >>> alternate({"a": lambda: next(counter), "b": lambda: next(counter)}, rounds=2)
        {'a': [2, 4], 'b': [3, 5]}
    """
    found: dict[Key, list[float]] = {key: [] for key in tasks}
    for _ in range(warm_ups + rounds):
        for key, task in tasks.items():
            found[key].append(task())
    return {key: values[warm_ups:] for key, values in found.items()}


def ratio(ours: Sequence[float], rivals: Sequence[float]) -> dict[str, float]:
    """Spread over the rounds of our rate by the rival's: its cost over ours, above 1 we win.

    Example:
        >>> ratio([20.0, 30.0, 40.0], [10.0, 10.0, 10.0])
        {'median': 3.0, 'iqr': 1.0}
    """
    return spread([mine / other for mine, other in zip(ours, rivals, strict=True)])


def harmonic(first: float, second: float) -> float:
    """The rate of two kinds of work done one after the other.

    Example:
        >>> harmonic(30.0, 60.0)
        20.0
    """
    return 1 / (1 / first + 1 / second)


def rest() -> None:
    """Return when no worker process is busy, so that it takes nothing from what is timed next.

    Workers go on after a rival was timed until what they prepare ahead is full. Where the system
    does not tell what processes use (it is no Linux), this does not wait.
    """
    workers = [child.pid for child in multiprocessing.active_children() if child.pid]
    end_s, before = time.monotonic() + REST_LIMIT_S, -1
    while workers and time.monotonic() < end_s:
        used = _used_ticks(workers)
        if used == before:
            return
        before = used
        time.sleep(REST_S)


def _used_ticks(processes: Iterable[int]) -> int:
    """Processor time that processes have used, in the kernel's hundredths of a second."""
    total = 0
    for process in processes:
        path = Path(f"/proc/{process}/stat")
        if path.exists():
            # Behind the name, which may hold anything; places 14 and 15 of the line.
            words = path.read_text().rpartition(")")[2].split()
            total += int(words[11]) + int(words[12])
    return total
