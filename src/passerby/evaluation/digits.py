"""How figures are rounded: shares to decimals, distances and error rates to significant digits."""

import math

DECIMALS = 6
SIGNIFICANT = 9
"""Digits that tell every float32 from the next."""


def share(value: float) -> float:
    """A share, a rate or a mean, to six decimals."""
    return round(float(value), DECIMALS)


def rate(value: float) -> float:
    """A rate of errors, which may be very small: to six significant digits."""
    return float(f"{value:.{DECIMALS}g}")


def threshold(distance: float) -> float:
    """A float32 distance to nine significant digits, never below it.

    What is as far as the threshold is accepted, so it must not become nearer by rounding. The next
    float32 is farther than the ninth digit: nothing else is accepted.

    Example:
        >>> threshold(0.10000000149011612), threshold(1.5), threshold(0.0), threshold(-1.0)
        (0.100000002, 1.5, 0.0, -1.0)
    """
    rounded = float(f"{distance:.{SIGNIFICANT}g}")
    if rounded >= distance:
        return rounded
    unit = 10.0 ** (math.floor(math.log10(abs(distance))) - SIGNIFICANT + 1)
    return float(f"{distance + unit / 2:.{SIGNIFICANT}g}")
