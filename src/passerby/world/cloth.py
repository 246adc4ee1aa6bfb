"""The surface of clothes: where on the body a pattern's second colour shows.

A point of a garment is given by the angle around the body (0 at the front centre, positive towards
the person's left, radians) and the share of the way down. So a pattern stays on the body when the
body turns: a logo is on the chest and is not seen from behind.
"""

from collections.abc import Callable

import numpy as np

from passerby.world.looks import Cloth

Share = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def _steps(wave: np.ndarray) -> np.ndarray:
    """A sine made into soft stripes, 0..1."""
    return np.clip(0.5 + 2.5 * wave, 0.0, 1.0)


def _inside(value: np.ndarray, low: float, high: float, soft: float) -> np.ndarray:
    """1 where `low < value < high`, with soft edges."""
    return np.clip((value - low) / soft, 0.0, 1.0) * np.clip((high - value) / soft, 0.0, 1.0)


def _from_back(angle: np.ndarray) -> np.ndarray:
    """Angle from the middle of the back."""
    return np.abs(np.remainder(angle, 2 * np.pi) - np.pi)


def _from_front(angle: np.ndarray) -> np.ndarray:
    return np.pi - _from_back(angle)


SHARES: dict[str, Share] = {
    "hoops": lambda angle, v, pitch: _steps(np.sin(2 * np.pi * pitch * v)) + 0 * angle,
    "pinstripes": lambda angle, v, pitch: _steps(np.sin(round(1.6 * pitch) * angle)) + 0 * v,
    "checks": lambda angle, v, pitch: (
        0.5 * _steps(np.sin(round(1.2 * pitch) * angle))
        + 0.5 * _steps(np.sin(2 * np.pi * pitch * v))
    ),
    "logo": lambda angle, v, pitch: (
        _inside(-_from_front(angle), -0.62, 1.0, 0.1)
        * _inside(v, 0.2, 0.2 + 0.9 / pitch + 0.12, 0.05)
    ),
    "print": lambda angle, v, pitch: (
        _inside(-_from_back(angle), -0.85, 1.0, 0.1) * _inside(v, 0.2, 0.62, 0.05)
    ),
    "halves": lambda angle, v, pitch: np.clip((0.3 + 1.0 / pitch - v) / 0.04, 0.0, 1.0) + 0 * angle,
    "open": lambda angle, v, pitch: (
        _inside(-_from_front(angle), -0.16 - 1.3 / pitch, 1.0, 0.1) + 0 * v
    ),
    "band": lambda angle, v, pitch: _inside(v, 0.3, 0.3 + 1.0 / pitch, 0.04) + 0 * angle,
    "side stripe": lambda angle, v, pitch: (
        _inside(-np.abs(_from_front(angle) - np.pi / 2), -0.3, 1.0, 0.1) + 0 * v
    ),
}  # fmt: skip


def surface(
    cloth: Cloth, heading_rad: float, light: float, folds: float
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A shader for `Canvas.tube`: the garment's colours, lit from one side, with folds.

    Args:
        cloth: Colours and pattern.
        heading_rad: Where the body is turned to.
        light: -1: from the left, 1: from the right.
        folds: How strong the folds are; 0 gives flat cloth.
    """
    base = np.asarray(cloth.colour, np.float32)
    second = np.asarray(cloth.second, np.float32)
    share = SHARES.get(cloth.pattern)

    def shade(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        angle = np.arcsin(u) - np.float32(heading_rad)
        gain = 1.06 - 0.3 * (u - 0.45 * light) ** 2
        if folds:
            gain = gain * (1.0 + folds * np.sin(9.0 * v + 3.0 * angle + cloth.pitch))
        if share is None:
            return np.minimum(gain[..., None] * base, 255.0)
        mask = share(angle, v, cloth.pitch)[..., None]
        return np.minimum(gain[..., None] * (base + mask * (second - base)), 255.0)

    return shade
