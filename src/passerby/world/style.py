"""How a place looks: the manner of its people, and the ranges that its cameras are drawn from.

The street of the videos and of the Market-1501 layout is one style; the campus of the CUHK layouts
another, so that a model of the one meets a real gap in the other.
"""

from dataclasses import dataclass

from passerby.world.looks import CAMPUS, STREET, Manner

Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """Ranges for the cameras of one kind of place."""

    manner: Manner
    ground: str
    """What is drawn behind people: `street` or `campus`."""
    horizon: Range
    """Height of the horizon, as a share of the picture's height from its top."""
    near_height: Range
    """Height of a grown person at the lower edge, as a share of the picture's height."""
    tilt_rad: Range
    gain: Range
    """Of each colour channel: white balance and exposure."""
    gamma: Range
    saturation: Range
    blur_px: Range
    noise: Range
    """Deviation of the noise, in grey levels."""
    folds: Range
    crowd: float
    """Chance that somebody else stands in the way or behind in a portrait."""
    jitter: float
    """Deviation of a detector's box, as a share of its size."""


STREETS = Style(
    manner=STREET,
    ground="street",
    horizon=(0.16, 0.3),
    near_height=(0.5, 0.66),
    tilt_rad=(0.06, 0.3),
    gain=(0.82, 1.17),
    gamma=(0.8, 1.35),
    saturation=(0.55, 1.1),
    blur_px=(0.4, 1.2),
    noise=(2.0, 6.0),
    folds=(0.03, 0.08),
    crowd=0.25,
    jitter=0.035,
)
CAMPUSES = Style(
    manner=CAMPUS,
    ground="campus",
    horizon=(0.02, 0.12),
    near_height=(0.6, 0.78),
    tilt_rad=(0.3, 0.55),
    gain=(0.88, 1.1),
    gamma=(1.1, 1.7),
    saturation=(0.35, 0.7),
    blur_px=(0.8, 1.8),
    noise=(4.0, 9.0),
    folds=(0.0, 0.03),
    crowd=0.12,
    jitter=0.06,
)
