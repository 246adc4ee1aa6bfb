"""Maps on which max pooling can go wrong, and places of maxima by their definition."""

import torch
from torch import Tensor

KINDS = ("ordinary", "ties", "special")


def drawn(shape: tuple[int, ...], kind: str) -> Tensor:
    """A map in float32 whose values bfloat16 can hold.

    Args:
        shape: `(B, C, H, W)`.
        kind: "ordinary" has normal values. "ties" has mostly zeros, of both signs, as after ReLU.
            "special" also has NaN, and so many -inf that whole windows hold nothing else.
    """
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(shape, generator=generator)
    if kind == "ties":
        values = values.round().clamp(min=0) * torch.randn(shape, generator=generator).sign()
    if kind == "special":
        dice = torch.rand(shape, generator=generator)
        values = values.masked_fill(dice < 0.8, -torch.inf).masked_fill(dice > 0.95, torch.nan)
        values[:, 0] = -torch.inf
    return values.bfloat16().float()


def places_of(positions: Tensor, width: int) -> Tensor:
    """Places within windows, uint8 0 to 8, of torch's positions `row * width + column`.

    Args:
        positions: int64 `(B, C, ceil(H / 2), ceil(W / 2))`.
        width: Of the map that was pooled.
    """
    top = 2 * torch.arange(positions.shape[2]).view(-1, 1) - 1
    left = 2 * torch.arange(positions.shape[3]) - 1
    return (3 * (positions // width - top) + positions % width - left).to(torch.uint8)
