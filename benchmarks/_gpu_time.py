"""Measures what the device does while some work runs, by torch's profiler."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

MOST_CHARACTERS = 90


@dataclass(frozen=True)
class Seen:
    """What the profiler saw during a piece of work, as a mean over several runs of it.

    Attributes:
        busy_ms: Time in which the device did something; overlaps count once.
        launches: Number of kernels and copies that the device was given; on a CPU of operations.
        kernels: Milliseconds, and number of launches, of each kernel by its name.
    """

    busy_ms: float
    launches: float
    kernels: dict[str, tuple[float, float]]

    def top(self, count: int) -> list[dict[str, object]]:
        """The kernels that took the most time."""
        total_ms = sum(ms for ms, _ in self.kernels.values()) or 1.0
        rows = sorted(self.kernels.items(), key=lambda item: -item[1][0])[:count]
        return [
            {
                "name": name[:MOST_CHARACTERS],
                "ms": ms,
                "share_of_kernels": ms / total_ms,
                "launches": launches,
            }
            for name, (ms, launches) in rows
        ]


def seen(
    work: Callable[[], object], times: int, kind: str, wait: Callable[[], object]
) -> Seen | None:
    """Watch the device while `work` is called `times` times.

    Args:
        work: It is called once more before that.
        times: Number of calls over which the mean is taken.
        kind: `cuda` or `cpu`.
        wait: Waits for the device.

    Returns:
        What was seen; `None` where the profiler sees nothing of the device.
    """
    gpu = kind == "cuda"
    work()
    wait()
    activity = ProfilerActivity.CUDA if gpu else ProfilerActivity.CPU
    with profile(activities=[activity]) as watched:
        for _ in range(times):
            work()
        wait()
    wanted = DeviceType.CUDA if gpu else DeviceType.CPU
    events = [
        event
        for event in watched.events()
        if event.device_type == wanted and not getattr(event, "is_user_annotation", False)
    ]
    if not events:
        return None
    milliseconds: Counter[str] = Counter()
    launches: Counter[str] = Counter()
    for event in events:
        # On a CPU an operation contains others, so that only its own time counts.
        took_us = event.time_range.elapsed_us() if gpu else event.self_cpu_time_total
        milliseconds[event.name] += took_us / 1e3
        launches[event.name] += 1
    spans = ((event.time_range.start, event.time_range.end) for event in events)
    return Seen(
        busy_ms=covered(spans) / 1e3 / times,
        launches=launches.total() / times,
        kernels={name: (ms / times, launches[name] / times) for name, ms in milliseconds.items()},
    )


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of some spans.

    Example:
        >>> covered([(0, 4), (2, 5), (7, 8)])
        6.0
    """
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(end - max(start, reached), 0)
        reached = max(reached, end)
    return total


def peak_memory_mb(before: int) -> float | None:
    """Most memory of the GPU since the last reset above what was in use `before`, in MB."""
    if not torch.cuda.is_available():
        return None
    return (torch.cuda.max_memory_allocated() - before) / 1e6
