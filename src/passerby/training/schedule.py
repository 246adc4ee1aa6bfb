"""The learning rate of a step, and other numbers that follow from how far a run is."""

import math
from collections.abc import Sequence


def cosine(step: int, steps: int, peak: float, warmup_steps: int = 0) -> float:
    """A straight rise to `peak`, then half a cosine down to 0.

    Args:
        step: From 0.
        steps: Of the whole run.
        peak: The highest rate.
        warmup_steps: Steps of the rise; the last of them has the rate `peak`.

    Example:
        >>> [round(cosine(step, 8, 1.0, warmup_steps=4), 3) for step in range(8)]
        [0.25, 0.5, 0.75, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(steps - warmup_steps, 1)
    return peak * 0.5 * (1 + math.cos(math.pi * done))


def stepped(
    step: int, steps: int, peak: float, shares: Sequence[float], warmup_steps: int = 0
) -> float:
    """A straight rise to `peak`, which falls to a tenth at each of `shares` of the run.

    Args:
        step: From 0.
        steps: Of the whole run.
        peak: The highest rate.
        shares: Of the run, each in [0, 1]; MoCo v1 has 0.6 and 0.8.
        warmup_steps: Steps of the rise; the last of them has the rate `peak`.

    Example:
        >>> [round(stepped(step, 5, 1.0, (0.6, 0.8)), 3) for step in range(5)]
        [1.0, 1.0, 1.0, 0.1, 0.01]
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * 0.1 ** sum(step >= round(share * steps) for share in shares)


def ramp(step: int, steps: int, first: float, last: float) -> float:
    """From `first` to `last` along half a cosine (MoCo v3, `adjust_moco_momentum`).

    Example:
        >>> [round(ramp(step, 4, 0.9, 1.0), 4) for step in range(5)]
        [0.9, 0.9146, 0.95, 0.9854, 1.0]
    """
    return last - (last - first) * 0.5 * (1 + math.cos(math.pi * step / steps))
