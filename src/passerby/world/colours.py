"""Named families of colours, and drawing one shade of a family.

The families bear the names of Market-1501's attributes, so that a look says its own annotation.
"""

import colorsys
from typing import NamedTuple

import numpy as np

Colour = tuple[float, float, float]
"""RGB, each in 0..255."""


class Family(NamedTuple):
    """Ranges of hue (degrees), saturation and value (0..1) that bear one name."""

    hue_deg: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]


FAMILIES = {
    "black": Family((0, 360), (0.0, 0.2), (0.07, 0.18)),
    "white": Family((0, 360), (0.0, 0.07), (0.84, 0.97)),
    "gray": Family((0, 360), (0.0, 0.1), (0.36, 0.66)),
    "red": Family((348, 368), (0.65, 0.9), (0.45, 0.8)),
    "purple": Family((268, 300), (0.35, 0.6), (0.35, 0.6)),
    "yellow": Family((40, 55), (0.5, 0.85), (0.72, 0.92)),
    "blue": Family((205, 235), (0.4, 0.8), (0.28, 0.7)),
    "green": Family((85, 160), (0.3, 0.65), (0.28, 0.6)),
    "pink": Family((322, 345), (0.28, 0.5), (0.72, 0.92)),
    "brown": Family((18, 35), (0.35, 0.6), (0.28, 0.52)),
}

SKINS: tuple[Colour, ...] = (
    (241, 206, 180), (228, 186, 152), (209, 162, 124), (180, 132, 96), (134, 92, 66), (92, 62, 46),
)  # fmt: skip

HAIRS: dict[str, Colour] = {
    "black": (28, 24, 24), "dark brown": (58, 40, 28), "brown": (98, 66, 42),
    "blond": (196, 160, 100), "red": (142, 70, 36), "gray": (168, 166, 164),
}  # fmt: skip


def hsv(hue_deg: float, saturation: float, value: float) -> Colour:
    """RGB of a hue (degrees), a saturation and a value (0..1).

    Example:
        >>> hsv(0, 1, 1)
        (255.0, 0.0, 0.0)
    """
    red, green, blue = colorsys.hsv_to_rgb(hue_deg % 360 / 360, min(saturation, 1.0), min(value, 1))
    return (red * 255.0, green * 255.0, blue * 255.0)


def shade_of(family: str, rng: np.random.Generator, saturation: float = 1.0) -> Colour:
    """Draw a colour of one family; `saturation` multiplies its saturation."""
    ranges = FAMILIES[family]
    hue_deg, drawn_saturation, value = (float(rng.uniform(*pair)) for pair in ranges)
    return hsv(hue_deg, drawn_saturation * saturation, value)


def scaled(colour: Colour, gain: float) -> Colour:
    """A colour, darker or lighter, kept in 0..255.

    Example:
        >>> scaled((100.0, 200.0, 50.0), 1.5)
        (150.0, 255.0, 75.0)
    """
    red, green, blue = (min(max(channel * gain, 0.0), 255.0) for channel in colour)
    return (red, green, blue)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of `other` in `one`.

    Example:
        >>> mixed((0.0, 0.0, 0.0), (100.0, 50.0, 200.0), 0.5)
        (50.0, 25.0, 100.0)
    """
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return (red, green, blue)


def choose(weights: dict[str, float], rng: np.random.Generator) -> str:
    """Draw a key with a chance in proportion to its weight."""
    shares = np.array(list(weights.values()), dtype=float)
    return list(weights)[int(rng.choice(len(shares), p=shares / shares.sum()))]
