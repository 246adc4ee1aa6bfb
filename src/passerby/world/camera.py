"""A camera: where it looks from, what it does to colours, how sharp and how noisy it is."""

from dataclasses import dataclass

import cv2
import numpy as np

from passerby.world import background
from passerby.world.figure import Light
from passerby.world.style import Range, Style

_NOISE_MARGIN = 64


@dataclass(frozen=True)
class Camera:
    """One camera and the empty place that it sees."""

    scene: np.ndarray
    """`uint8 (H, W, 3)` RGB, before the camera's response."""
    horizon_px: float
    near_height_px: float
    """Height of a grown person who stands at the lower edge."""
    tilt_rad: float
    light: Light
    matrix: np.ndarray
    """`float32 (3, 3)`: saturation and gains."""
    curve: np.ndarray
    """`uint8 (256,)`: gamma."""
    blur_px: float
    noise: np.ndarray
    """`int16`, larger than the scene; each picture takes a piece of it."""

    def height_px(self, ground_px: float) -> float:
        """Height of a grown person who stands at row `ground_px`."""
        depth = (ground_px - self.horizon_px) / (self.scene.shape[0] - self.horizon_px)
        return self.near_height_px * depth

    def expose(self, light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What the camera makes of a drawn picture, `uint8 (h, w, 3)`, or of a piece of one."""
        image = cv2.LUT(cv2.transform(light, self.matrix), self.curve)
        image = cv2.GaussianBlur(image, (0, 0), self.blur_px)
        top, left = (int(n) for n in rng.integers(0, _NOISE_MARGIN, 2))
        grain = self.noise[top : top + image.shape[0], left : left + image.shape[1]]
        return cv2.add(image, grain, dtype=cv2.CV_8U)


def draw_camera(style: Style, rng: np.random.Generator, height_px: int, width_px: int) -> Camera:
    """Draw a camera of a kind of place, with pictures of `height_px` x `width_px`."""

    def between(limits: Range) -> float:
        return float(rng.uniform(*limits))

    horizon_px = between(style.horizon) * height_px
    base = round(horizon_px + 0.22 * (height_px - horizon_px))
    noise = rng.normal(
        0, between(style.noise), (height_px + _NOISE_MARGIN, width_px + _NOISE_MARGIN, 3)
    )
    return Camera(
        scene=background.draw(style.ground, rng, height_px, width_px, base),
        horizon_px=horizon_px,
        near_height_px=between(style.near_height) * height_px,
        tilt_rad=between(style.tilt_rad),
        light=Light(side=between((-0.5, 0.5)), folds=between(style.folds)),
        matrix=_response(between(style.saturation), [between(style.gain) for _ in range(3)]),
        curve=_curve(between(style.gamma)),
        blur_px=between(style.blur_px),
        noise=noise.astype(np.int16),
    )


def _response(saturation: float, gains: list[float]) -> np.ndarray:
    """Towards grey by `saturation`, then each channel by its gain."""
    grey = np.tile(np.array([0.299, 0.587, 0.114]), (3, 1))
    mixed = saturation * np.eye(3) + (1 - saturation) * grey
    # Exposure varies less than colour: a camera sets it by itself.
    balanced = np.array(gains) / np.mean(gains) * (0.6 + 0.4 * np.mean(gains))
    return (balanced[:, None] * mixed).astype(np.float32)


def _curve(gamma: float) -> np.ndarray:
    return np.round(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
