"""Views, second half: pictures and drawn parameters in, views out; whole batches, in floats.

Runs on any device; a CPU is faster a picture at a time (`views_uint8`, which this is the twin of).

Cutting, shrinking, mirroring and blurring are linear in rows and in columns, so each is a pair of
matrices per picture: `rows @ picture @ columns`. The cut with its filter is PIL's bilinear one
(`Image.resize(box=...)`), which averages over all pixels that a pixel of the view covers.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from passerby.pretrain import colours
from passerby.pretrain.draws import Draws, whole_pixels

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
    device = pictures.device
    box = _at_whole_pixels(draws.box, *pictures.shape[1:3])
    views = cut(pictures, _tensor(box, device), _tensor(draws.flip, device), size)
    for chosen, change in (
        (draws.jitter, _jittered),
        (draws.grey, _greyed),
        (draws.blur > 0, _blurred),
    ):
        rows = np.flatnonzero(chosen)
        at = torch.from_numpy(rows).to(device)
        views[at] = change(views[at], draws.take(rows))
    views.sub_(_per_channel(mean, device)).div_(_per_channel(deviation, device))
    views.masked_fill_(_inside(_tensor(draws.hole, device), size), 0)
    return views.contiguous(memory_format=torch.channels_last)


def _at_whole_pixels(box: np.ndarray, height: int, width: int) -> np.ndarray:
    """The boxes with their edges at whole pixels, again as fractions."""
    places = whole_pixels(box, height, width) / np.array([width, height, width, height])
    return np.concatenate([places[:, :2], places[:, 2:] - places[:, :2]], axis=1)


def _jittered(views: Tensor, draws: Draws) -> Tensor:
    return colours.jitter(views, _tensor(draws.factors, views.device), draws.order)


def _greyed(views: Tensor, draws: Draws) -> Tensor:
    return colours.luma(views).expand_as(views)


def _blurred(views: Tensor, draws: Draws) -> Tensor:
    return blur(views, _tensor(draws.blur, views.device))


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    """Drawn numbers on the device, those with a fraction as float32."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return (tensor.float() if tensor.is_floating_point() else tensor).to(device)


def _per_channel(values: Sequence[float], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, 3, 1, 1)


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
    at = torch.arange(pixels, device=sigma.device).view(-1, 1)
    where = (at + reach).clamp(0, pixels - 1).expand(len(sigma), -1, -1)
    matrix = torch.zeros(len(sigma), pixels, pixels, device=sigma.device)
    return matrix.scatter_add_(2, where, kernel.unsqueeze(1).expand(-1, pixels, -1).contiguous())


def _inside(hole: Tensor, size: tuple[int, int]) -> Tensor:
    """Which pixels lie in the holes, bool `(B, 1, H, W)`."""
    top, left, height, width = hole.view(-1, 4, 1, 1).unbind(1)
    row = torch.arange(size[0], device=hole.device).view(1, -1, 1)
    column = torch.arange(size[1], device=hole.device).view(1, 1, -1)
    rows = (row >= top) & (row < top + height)
    return (rows & (column >= left) & (column < left + width)).unsqueeze(1)
