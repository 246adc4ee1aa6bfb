"""Views made a picture at a time, in whole levels of 0..255: the second half of views on a CPU.

The same draws as in `views`, which makes whole batches in floats and is what a GPU wants. A picture
fits in a core's cache, eight bits are a quarter of a float's, and OpenCV and torch's resize work on
them with vector instructions: about six times as fast on a core. Results are those of torchvision's
functions on PIL pictures, within a few levels.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from passerby.pretrain.draws import Draws, whole_pixels

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_LEVELS = np.arange(256, dtype=np.float32)


def apply(
    pictures: Tensor,
    draws: Draws,
    size: tuple[int, int],
    mean: Sequence[float],
    deviation: Sequence[float],
    pool: ThreadPoolExecutor,
    threads: int,
) -> Tensor:
    """Make a view of each picture.

    Args:
        pictures: uint8 `(B, h, w, 3)` RGB, all stored at one size.
        draws: The parameters of the `B` views.
        size: Height and width of the views in pixels.
        mean: Of the channels, on the scale 0..1.
        deviation: Of the channels.
        pool: Threads that share the work; what each makes does not depend on how many there are.
        threads: Parts that the work is cut into.

    Returns:
        float32 `(B, 3, H, W)`, normalised, channels last in memory; holes are 0.
    """
    count = len(pictures)
    out = np.empty((count, *size, 3), np.float32)
    normalised = _table(mean, deviation)
    places = whole_pixels(draws.box, *pictures.shape[1:3]).tolist()
    holes = draws.hole.tolist()

    def work(part: range) -> None:
        for i in part:
            cv2.LUT(view(pictures[i], places[i], draws, i, size), normalised, dst=out[i])
            top, left, height, width = holes[i]
            out[i, top : top + height, left : left + width] = 0

    ends = np.linspace(0, count, threads + 1).astype(int).tolist()
    list(pool.map(work, [range(a, b) for a, b in pairwise(ends)]))
    return torch.from_numpy(out).permute(0, 3, 1, 2)


def _table(mean: Sequence[float], deviation: Sequence[float]) -> np.ndarray:
    """What each level of each channel becomes, float32 `(256, 1, 3)`."""
    levels = _LEVELS.reshape(-1, 1, 1) / 255
    return (levels - np.asarray(mean, np.float32)) / np.asarray(deviation, np.float32)


def view(
    picture: Tensor, place: Sequence[int], draws: Draws, i: int, size: tuple[int, int]
) -> np.ndarray:
    """One view before it is normalised, uint8 `(H, W, 3)`.

    Args:
        picture: uint8 `(h, w, 3)`.
        place: Left, top, right and bottom of the cut in whole pixels.
        draws: Its other parameters are those at `i`.
        i: See `draws`.
        size: Height and width of the view in pixels.
    """
    image = cut(picture, place, size)
    if draws.flip[i]:
        image = cv2.flip(image, 1)
    if draws.jitter[i]:
        image = jitter(image, draws.factors[i].tolist(), draws.order[i].tolist())
    if draws.grey[i]:
        image = cv2.cvtColor(luma(image), cv2.COLOR_GRAY2RGB)
    if draws.blur[i] > 0:
        image = blur(image, float(draws.blur[i]))
    return image


def cut(picture: Tensor, place: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """Cut a rectangle and bring it to `size` by PIL's bilinear filter."""
    left, top, right, bottom = place
    part = picture[top:bottom, left:right].permute(2, 0, 1).unsqueeze(0)
    part = F.interpolate(part, size=size, mode="bilinear", antialias=True)
    return part[0].permute(1, 2, 0).contiguous().numpy()


def luma(image: np.ndarray) -> np.ndarray:
    """Brightness, uint8 `(H, W)`."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Towards black (0), or away from it (above 1)."""
    return cv2.convertScaleAbs(image, alpha=factor)


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Towards the picture's mean brightness, or away from it."""
    mean = round(cv2.mean(luma(image))[0])
    # `convertScaleAbs` would turn what falls below 0 into its opposite.
    return cv2.addWeighted(image, factor, image, 0, mean * (1 - factor))


def saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Towards grey, or away from it."""
    towards = np.tile((1 - factor) * _LUMA, (3, 1)) + factor * np.eye(3, dtype=np.float32)
    return cv2.transform(image, towards)


def hue(image: np.ndarray, turn: float) -> np.ndarray:
    """Turn the hue by `turn` of a full circle."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(int(turn * 255) % 256)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


OPERATIONS = (brightness, contrast, saturation, hue)
"""In the order of `Draws.factors`."""


def jitter(image: np.ndarray, factors: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The four operations in the order drawn."""
    for which in order:
        image = OPERATIONS[which](image, float(factors[which]))
    return image


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur of deviation `sigma` pixels; the edge pixels go on outside."""
    reach = max(round(4 * sigma), 1)
    kernel = cv2.getGaussianKernel(2 * reach + 1, sigma)
    return cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
