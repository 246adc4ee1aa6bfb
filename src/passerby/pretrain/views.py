"""Views, second half: pictures and drawn parameters in, views out; whole batches, in floats.

This form runs on any device. The faster forms are compared with it: `views_triton` on a GPU where
Triton is installed, and `views_uint8`, which makes one picture at a time, on a CPU.

Cutting, shrinking, mirroring and blurring are linear in rows and in columns, so each is a pair of
matrices per picture: `rows @ picture @ columns`. The cut with its filter is PIL's bilinear one
(`Image.resize(box=...)`), which averages over all pixels that a pixel of the view covers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from passerby.pretrain import colours
from passerby.pretrain.draws import Draws, whole_pixels
from passerby.training.upload import uploaded

_BLUR_REACH = 8  # four deviations of the widest blur


def apply(
    pictures: Tensor,
    draws: Draws,
    size: tuple[int, int],
    mean: Sequence[float],
    deviation: Sequence[float],
) -> Tensor:
    """Make a view of each picture.

    Args:
        pictures: uint8 `(B, h, w, 3)` RGB, all stored at one size.
        draws: The parameters of the `B` views.
        size: Height and width of the views in pixels.
        mean: Of the channels, on the scale 0..1.
        deviation: Of the channels.

    Returns:
        float32 `(B, 3, H, W)`, normalised, channels last in memory; holes are 0.
    """
    ready = _ready(draws, pictures, mean, deviation)
    # Autocast would make the products half precision, which is coarser than a picture's levels.
    with torch.autocast(pictures.device.type, enabled=False):
        views = cut(pictures, ready.box, ready.flip, size)
        views[ready.jittered] = colours.jitter(views[ready.jittered], ready.factors, ready.due)
        views[ready.grey] = colours.luma(views[ready.grey]).expand(-1, 3, -1, -1)
        views[ready.blurred] = blur(views[ready.blurred], ready.sigma)
        views.sub_(ready.mean.view(1, 3, 1, 1)).div_(ready.deviation.view(1, 3, 1, 1))
        views.masked_fill_(_inside(ready.hole, size), 0)
        return views.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class _Ready:
    """What `apply` needs of the draws, as tensors on the device.

    Attributes:
        box: Left, top, width, height as fractions, with edges at whole pixels, float32 `(B, 4)`.
        flip: bool `(B,)`.
        hole: int64 `(B, 4)`.
        jittered: Rows of the views whose colours are jittered, `(J,)`.
        factors: Factors of the jitter of these views, float32 `(J, 4)`.
        grey: Rows of the views that lose their colours.
        blurred: Rows of the views that are blurred, `(K,)`.
        sigma: Standard deviations of their blurs, float32 `(K,)`.
        mean: float32 `(3,)`.
        deviation: float32 `(3,)`.
        due: What `colours.turns` returns for the jittered views.
    """

    box: Tensor
    flip: Tensor
    hole: Tensor
    jittered: Tensor
    factors: Tensor
    grey: Tensor
    blurred: Tensor
    sigma: Tensor
    mean: Tensor
    deviation: Tensor
    due: list[Tensor]


def _ready(
    draws: Draws, pictures: Tensor, mean: Sequence[float], deviation: Sequence[float]
) -> _Ready:
    """Send the draws to the device; rows are selected on the host, so that it need not wait."""
    jittered, blurred = np.flatnonzero(draws.jitter), np.flatnonzero(draws.blur > 0)
    arrays = {
        "box": _at_whole_pixels(draws.box, *pictures.shape[1:3]).astype(np.float32),
        "flip": draws.flip,
        "hole": draws.hole,
        "jittered": jittered,
        "factors": draws.factors[jittered].astype(np.float32),
        "grey": np.flatnonzero(draws.grey),
        "blurred": blurred,
        "sigma": draws.blur[blurred].astype(np.float32),
        "mean": np.asarray(mean, np.float32),
        "deviation": np.asarray(deviation, np.float32),
    }
    turns = colours.turns(draws.order[jittered])
    there = uploaded([*arrays.values(), *turns], pictures.device)
    named = dict(zip(arrays, there, strict=False))
    return _Ready(**named, due=there[len(arrays) :])


def _at_whole_pixels(box: np.ndarray, height: int, width: int) -> np.ndarray:
    """The boxes with their edges at whole pixels, again as fractions."""
    places = whole_pixels(box, height, width) / np.array([width, height, width, height])
    return np.concatenate([places[:, :2], places[:, 2:] - places[:, :2]], axis=1)


def cut(pictures: Tensor, box: Tensor, flip: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut `box` out of each picture, at `size`, mirrored where `flip` says so.

    Args:
        pictures: uint8 `(B, h, w, 3)`.
        box: Left, top, width, height as fractions, `(B, 4)`.
        flip: bool `(B,)`.
        size: Height and width of the result in pixels.

    Returns:
        float32 `(B, 3, H, W)` in 0..1.
    """
    count, height, width, _ = pictures.shape
    rows = resampling(box[:, 1], box[:, 3], height, size[0]) / 255
    columns = resampling(box[:, 0], box[:, 2], width, size[1])
    columns = torch.where(flip.view(-1, 1, 1), columns.flip(1), columns)
    # Colours ride along as columns of the matrices: two products a picture instead of six.
    narrowed = rows @ pictures.float().view(count, height, width * 3)
    lying = narrowed.view(count, size[0], width, 3).transpose(1, 2).reshape(count, width, -1)
    return (columns @ lying).view(count, size[1], size[0], 3).permute(0, 3, 2, 1)


def resampling(start: Tensor, length: Tensor, pixels: int, wanted: int) -> Tensor:
    """Matrices that take `wanted` pixels out of a stretch of a line of `pixels`.

    PIL's bilinear filter: a triangle about each wanted pixel's centre, as wide as two of them, or
    as two pixels of the line where the stretch is enlarged.

    Args:
        start: Of the stretch, as a fraction of the line, `(B,)`.
        length: Of the stretch, likewise.
        pixels: Of the line.
        wanted: Of the result.

    Returns:
        Weights that sum to 1 over the line, `(B, wanted, pixels)`.
    """
    step = (length * pixels / wanted).view(-1, 1, 1)
    index = torch.arange(wanted, device=start.device).view(1, -1, 1)
    centre = (start * pixels).view(-1, 1, 1) + (index + 0.5) * step
    place = torch.arange(pixels, device=start.device).view(1, 1, -1) + 0.5
    weights = (1 - (place - centre).abs() / step.clamp(min=1)).clamp_(min=0)
    return weights / weights.sum(dim=2, keepdim=True)


def blur(views: Tensor, sigma: Tensor) -> Tensor:
    """A Gaussian blur of deviation `sigma` pixels, `(B,)`; the edge pixels go on outside."""
    rows, columns = (_smoothing(sigma, pixels).unsqueeze(1) for pixels in views.shape[2:])
    return rows @ views @ columns.transpose(2, 3)


def _smoothing(sigma: Tensor, pixels: int) -> Tensor:
    """Blurring matrices, `(B, pixels, pixels)`; weight that falls outside goes to the edge."""
    reach = torch.arange(-_BLUR_REACH, _BLUR_REACH + 1, device=sigma.device)
    kernel = torch.exp(-0.5 * (reach / sigma.view(-1, 1)) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    at = torch.arange(pixels, device=sigma.device)
    reached = (reach.view(-1, 1) + at).clamp(0, pixels - 1)
    # A product with zeros and ones, since `scatter_add_` adds in no fixed order on a GPU.
    taps = (reached.unsqueeze(2) == at).float().view(len(reach), pixels * pixels)
    return (kernel @ taps).view(len(sigma), pixels, pixels)


def _inside(hole: Tensor, size: tuple[int, int]) -> Tensor:
    """Which pixels lie in the holes, bool `(B, 1, H, W)`."""
    top, left, height, width = hole.view(-1, 4, 1, 1).unbind(1)
    row = torch.arange(size[0], device=hole.device).view(1, -1, 1)
    column = torch.arange(size[1], device=hole.device).view(1, 1, -1)
    rows = (row >= top) & (row < top + height)
    return (rows & (column >= left) & (column < left + width)).unsqueeze(1)
