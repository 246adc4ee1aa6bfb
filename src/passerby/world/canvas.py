"""A small RGBA canvas with the few shapes that people are made of.

Colours on the canvas are premultiplied by alpha, which is what OpenCV's antialiased drawing onto
four zeroed channels gives. Lengths are pixels, x to the right, y down.
"""

from collections.abc import Callable

import cv2
import numpy as np

from passerby.world.colours import Colour, scaled

SHIFT = 4  # fractional bits of OpenCV's fixed-point coordinates
ONE = 1 << SHIFT


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * ONE).astype(np.int32)


def _paint(colour: Colour) -> tuple[int, int, int, int]:
    red, green, blue = (round(channel) for channel in colour)
    return (red, green, blue, 255)


class Canvas:
    """A transparent picture of `height_px` x `width_px` to draw on."""

    def __init__(self, height_px: int, width_px: int) -> None:
        self.pixels = np.zeros((height_px, width_px, 4), np.uint8)

    def polygon(self, points: np.ndarray, colour: Colour) -> None:
        """Fill a polygon, points `(N, 2)` xy."""
        cv2.fillPoly(self.pixels, [_fixed(points)], _paint(colour), cv2.LINE_AA, SHIFT)

    def ellipse(
        self, centre: np.ndarray, half_width: float, half_height: float, colour: Colour,
        start_deg: float = 0.0, stop_deg: float = 360.0,
    ) -> None:  # fmt: skip
        """Fill an upright ellipse, or the sector between two angles (clockwise from the right)."""
        x, y = (round(float(part) * ONE) for part in centre)
        axes = (max(round(half_width * ONE), 1), max(round(half_height * ONE), 1))
        cv2.ellipse(
            self.pixels,
            (x, y),
            axes,
            0,
            start_deg,
            stop_deg,
            _paint(colour),
            -1,
            cv2.LINE_AA,
            SHIFT,
        )

    def capsule(
        self, start: np.ndarray, stop: np.ndarray, start_radius: float, stop_radius: float,
        colour: Colour,
    ) -> None:  # fmt: skip
        """Fill a tapered limb between two points, round at both ends."""
        along = stop - start
        length = float(np.hypot(*along))
        across = np.array([-along[1], along[0]]) / max(length, 1e-6)
        corners = np.stack(
            [
                start + across * start_radius, stop + across * stop_radius,
                stop - across * stop_radius, start - across * start_radius,
            ]
        )  # fmt: skip
        self.polygon(corners, colour)
        self.ellipse(start, start_radius, start_radius, colour)
        self.ellipse(stop, stop_radius, stop_radius, colour)

    def limb(
        self, start: np.ndarray, stop: np.ndarray, start_radius: float, stop_radius: float,
        colour: Colour, light: float,
    ) -> None:  # fmt: skip
        """A capsule that is lighter on the side the light (-1 left .. 1 right) comes from."""
        self.capsule(start, stop, start_radius, stop_radius, scaled(colour, 0.8))
        aside = np.array([0.36 * light, 0.0])
        self.capsule(
            start + aside * start_radius, stop + aside * stop_radius,
            start_radius * 0.62, stop_radius * 0.62, scaled(colour, 1.06),
        )  # fmt: skip

    def tube(
        self,
        tops_px: np.ndarray,
        centres_px: np.ndarray,
        halves_px: np.ndarray,
        shader: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> None:
        """Fill an upright body of rotation whose surface has a texture.

        Args:
            tops_px: `(K,)` rising y of the levels at which the outline is given.
            centres_px: `(K,)` x of the axis.
            halves_px: `(K,)` half the width.
            shader: gives RGB `(R, C, 3)` in 0..255 for `u` `(R, C)`, -1 at the left outline and 1
                at the right one, and `v` `(R, 1)`, 0 at the first level and 1 at the last.
        """
        height, width = self.pixels.shape[:2]
        top, bottom = max(int(tops_px[0]), 0), min(int(np.ceil(tops_px[-1])), height)
        left = max(int((centres_px - halves_px).min()) - 1, 0)
        right = min(int((centres_px + halves_px).max()) + 2, width)
        if top >= bottom or left >= right:
            return
        y = np.arange(top, bottom, dtype=np.float32) + 0.5
        half = np.interp(y, tops_px, halves_px).astype(np.float32)[:, None]
        offset = np.arange(left, right, dtype=np.float32) + 0.5 - (
            np.interp(y, tops_px, centres_px).astype(np.float32)[:, None]
        )  # fmt: skip
        alpha = np.clip(half - np.abs(offset) + 0.5, 0.0, 1.0)
        ends = np.minimum(y + 0.5 - tops_px[0], tops_px[-1] - y + 0.5)
        alpha *= np.clip(ends, 0.0, 1.0)[:, None].astype(np.float32)
        u = np.clip(offset / np.maximum(half, 0.5), -1.0, 1.0)
        v = ((y - tops_px[0]) / max(tops_px[-1] - tops_px[0], 1e-6))[:, None].astype(np.float32)
        part = self.pixels[top:bottom, left:right]
        paint = np.empty((*alpha.shape, 4), np.float32)
        paint[..., :3] = shader(u, v)
        paint[..., 3] = 255.0
        part[:] = part + alpha[..., None] * (paint - part) + 0.5
