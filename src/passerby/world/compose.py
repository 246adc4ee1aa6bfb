"""Putting sprites into a picture, the far ones first, and knowing what is seen of each."""

from dataclasses import dataclass

import cv2
import numpy as np

from passerby.world.figure import Sprite

SHADOW = 0.62
"""Light that is left under a person."""


@dataclass(frozen=True)
class Placed:
    """A sprite, where its foot stands, and how large it is drawn."""

    sprite: Sprite
    x_px: float
    y_px: float
    scale: float = 1.0

    @property
    def box(self) -> np.ndarray:
        """The drawn part, xyxy in pixels of the picture, unclipped, `(4,)`."""
        left, top = self._corner()
        edges = np.array(self.sprite.box_px) * self.scale
        return edges + np.array([left, top, left, top], dtype=float)

    def pixels(self) -> tuple[np.ndarray, int, int]:
        """Premultiplied RGBA at its scale, and its left and top in the picture."""
        left, top = self._corner()
        pixels = self.sprite.pixels
        if self.scale != 1.0:
            size = [max(round(side * self.scale), 1) for side in pixels.shape[1::-1]]
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        return pixels, left, top

    def _corner(self) -> tuple[int, int]:
        foot_x, foot_y = self.sprite.foot_px
        return round(self.x_px - foot_x * self.scale), round(self.y_px - foot_y * self.scale)


@dataclass(frozen=True)
class Seen:
    """What is seen of one person: shares of all drawn pixels."""

    inside: float
    """That lie in the picture."""
    visible: float
    """That lie in it and are covered by nobody."""


def compose(image: np.ndarray, people: list[Placed]) -> list[Seen]:
    """Draw people into `image` in place, in the order of their feet; what is seen of each."""
    owner = np.full(image.shape[:2], -1, np.int16)
    drawn = np.zeros(len(people), np.int64)
    inside = np.zeros(len(people), np.int64)
    for i in sorted(range(len(people)), key=lambda i: (people[i].y_px, i)):
        pixels, left, top = people[i].pixels()
        _shade(image, people[i])
        drawn[i] = np.count_nonzero(pixels[..., 3] > 127)
        cut = _clip(pixels, left, top, image.shape)
        if cut is None:
            continue
        part, rows, columns = cut
        solid = part[..., 3] > 127
        inside[i] = np.count_nonzero(solid)
        owner[rows, columns][solid] = i
        under = image[rows, columns]
        through = 255 - part[..., 3:].astype(np.uint16)
        under[:] = np.minimum(part[..., :3] + (under * through + 127) // 255, 255)
    visible = np.bincount(owner[owner >= 0], minlength=len(people))
    total = np.maximum(drawn, 1)
    return [
        Seen(a, b)
        for a, b in zip((inside / total).tolist(), (visible / total).tolist(), strict=True)
    ]


def _clip(
    pixels: np.ndarray, left: int, top: int, shape: tuple[int, ...]
) -> tuple[np.ndarray, slice, slice] | None:
    """The part of a sprite that lies in the picture, and where; None if there is none."""
    rows = slice(max(top, 0), min(top + pixels.shape[0], shape[0]))
    columns = slice(max(left, 0), min(left + pixels.shape[1], shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    part = pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return part, rows, columns


def _shade(image: np.ndarray, person: Placed) -> None:
    """A soft shadow on the ground under the feet."""
    left, _, right, bottom = person.box
    half, flat = (right - left) * 0.42, max((right - left) * 0.1, 2.0)
    y, x = round(bottom - flat * 0.6), round((left + right) / 2)
    rows = slice(max(round(y - flat), 0), min(round(y + flat) + 1, image.shape[0]))
    columns = slice(max(round(x - half), 0), min(round(x + half) + 1, image.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    down = ((np.arange(rows.start, rows.stop) - y) / flat)[:, None]
    across = ((np.arange(columns.start, columns.stop) - x) / half)[None]
    light = 1 - (1 - SHADOW) * np.clip(1 - down**2 - across**2, 0, 1)
    under = image[rows, columns]
    under[:] = (under * light[..., None]).astype(np.uint8)
