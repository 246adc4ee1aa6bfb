"""The learning rate of a step."""

import math


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
