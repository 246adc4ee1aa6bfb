"""Colour operations on batches, each with a parameter of its own for every picture.

Pictures are float `(B, 3, H, W)` in 0..1. The results are those of torchvision's functions on PIL
pictures, but for PIL's rounding to 8 bits after each of them.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)


def luma(images: Tensor) -> Tensor:
    """Brightness as ITU-R 601-2 weighs it, `(B, 1, H, W)`."""
    red, green, blue = images.unbind(1)
    return (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue).unsqueeze(1)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Towards black (0), or away from it (above 1); `factor` is `(B,)`."""
    return (images * factor.view(-1, 1, 1, 1)).clamp_(0, 1)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Towards the picture's mean brightness, or away from it."""
    mean = luma(images).mean(dim=(2, 3), keepdim=True)
    return torch.lerp(mean, images, factor.view(-1, 1, 1, 1)).clamp_(0, 1)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Towards grey, or away from it."""
    return torch.lerp(luma(images), images, factor.view(-1, 1, 1, 1)).clamp_(0, 1)


def hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of the HSV cone by `turn` of a full circle, `(B,)`."""
    value, which = images.max(dim=1)
    chroma = value - images.amin(dim=1)
    red, green, blue = images.unbind(1)
    # Place on the hexagon, in sixths of a circle, from the channel that is the largest.
    ahead = torch.stack([green - blue, blue - red, red - green], dim=1)
    ahead = ahead.gather(1, which.unsqueeze(1)).squeeze(1)
    sixth = ahead / chroma.clamp(min=1e-8) + 2 * which + 6 * turn.view(-1, 1, 1)
    # 5, 3 and 1 for red, green and blue, made on the device: nothing is copied from the host.
    offsets = torch.arange(5.0, 0.0, -2.0, dtype=images.dtype, device=images.device)
    k = torch.remainder(sixth.unsqueeze(1) + offsets.view(1, 3, 1, 1), 6)
    ramp = torch.minimum(k, 4 - k).clamp_(0, 1)
    return value.unsqueeze(1) - chroma.unsqueeze(1) * ramp


OPERATIONS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (brightness, contrast, saturation, hue)
"""In the order of `Draws.factors`."""


def turns(order: np.ndarray) -> list[np.ndarray]:
    """Which pictures each operation changes, at each place of the order.

    Args:
        order: Permutations of 0..3, `(B, 4)`.

    Returns:
        Rows of pictures: those whose first operation is brightness, whose first operation is
        contrast, and so on to those whose fourth operation is hue; 16 arrays.
    """
    return [
        np.flatnonzero(order[:, place] == which)
        for place in range(len(OPERATIONS))
        for which in range(len(OPERATIONS))
    ]


def jitter(images: Tensor, factors: Tensor, due: Sequence[Tensor]) -> Tensor:
    """The four operations, for each picture in an order of its own.

    Args:
        images: `(B, 3, H, W)`.
        factors: `(B, 4)`.
        due: The 16 lists of rows that `turns` finds, on the device of the images.
    """
    for place in range(len(OPERATIONS)):
        now = torch.empty_like(images)
        for which, operation in enumerate(OPERATIONS):
            rows = due[place * len(OPERATIONS) + which]
            now[rows] = operation(images[rows], factors[rows, which])
        images = now
    return images
