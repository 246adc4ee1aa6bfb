"""Augmentation of training pictures: a mirror image, a small rotation, a rectangle erased.

What is drawn and what is done with it are two functions, so that a draw can be looked at and
applied again.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from passerby.training.upload import sent

ERASED_AREA = (0.02, 0.33)
"""Least and greatest share of the picture, as torchvision's RandomErasing."""
ERASED_ASPECT = (0.3, 3.3)
"""Least and greatest height over width."""


@dataclass(frozen=True)
class Draws:
    """What was drawn for a batch of `B` pictures."""

    flipped: np.ndarray
    """`bool (B,)`."""
    angle_deg: np.ndarray
    """`float (B,)`."""
    erased: np.ndarray
    """`int64 (B, 4)`: top, bottom, left, right in pixels; all 0 where nothing is erased."""


def draw(
    rng: np.random.Generator,
    count: int,
    size: tuple[int, int],
    max_rotation_deg: float,
    erase_share: float,
) -> Draws:
    """Draw for a batch.

    Args:
        rng: The batch's own stream.
        count: Pictures in the batch.
        size: Their height and width in pixels.
        max_rotation_deg: Angles are uniform up to it, each way.
        erase_share: Share of pictures that lose a rectangle.
    """
    flipped = rng.random(count) < 0.5
    angle_deg = rng.uniform(-max_rotation_deg, max_rotation_deg, count)
    area = rng.uniform(*ERASED_AREA, count) * size[0] * size[1]
    aspect = np.exp(rng.uniform(np.log(ERASED_ASPECT[0]), np.log(ERASED_ASPECT[1]), count))
    extent = np.sqrt(np.stack([area * aspect, area / aspect], axis=1))
    extent = np.clip(np.rint(extent), 1, size).astype(np.int64)
    begin = (rng.random((count, 2)) * (np.array(size) - extent + 1)).astype(np.int64)
    chosen = rng.random((count, 1)) < erase_share
    sides = np.stack([begin, begin + extent], axis=2).reshape(count, 4)
    return Draws(flipped, angle_deg, sides * chosen)


def apply(images: Tensor, draws: Draws) -> Tensor:
    """Turn, mirror and erase; what comes in from outside the picture is its reflection.

    Args:
        images: Normalised, `float (B, 3, H, W)`: what is erased becomes 0, the mean.
        draws: Of this batch.
    """
    turned = F.grid_sample(
        images, _grid(images, draws), padding_mode="reflection", align_corners=False
    )
    return turned.masked_fill(_inside(turned, draws.erased)[:, None], 0.0)


def _grid(images: Tensor, draws: Draws) -> Tensor:
    """Where each pixel comes from, `(B, H, W, 2)`; coordinates run from -1 to 1 on both axes."""
    high, wide = images.shape[-2:]
    angle = np.deg2rad(draws.angle_deg)
    side = np.where(draws.flipped, -1.0, 1.0)
    rows = [
        [np.cos(angle) * side, -np.sin(angle) * high / wide, 0 * angle],
        [np.sin(angle) * side * wide / high, np.cos(angle), 0 * angle],
    ]
    theta = torch.as_tensor(np.moveaxis(np.array(rows), 2, 0), dtype=images.dtype)
    return F.affine_grid(sent(theta, images.device), list(images.shape), align_corners=False)


def _inside(images: Tensor, erased: np.ndarray) -> Tensor:
    """Which pixels lie in a picture's rectangle, `bool (B, H, W)`."""
    high, wide = images.shape[-2:]
    top, bottom, left, right = sent(torch.as_tensor(erased), images.device).T[:, :, None]
    y, x = (torch.arange(length, device=images.device) for length in (high, wide))
    return ((y >= top) & (y < bottom))[:, :, None] & ((x >= left) & (x < right))[:, None, :]
