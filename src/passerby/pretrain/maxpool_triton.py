"""Max pooling over windows of 3x3 with stride 2 and padding 1, as two kernels for a GPU.

The same function as `maxpool.plain`, which is its slow twin. Where a gradient is needed, the
forward pass keeps one byte for each window: where in the window the maximum is. The backward pass
adds up, for each position of the map, the gradients of the windows that have their maximum there.
It writes each position once and in a fixed order, so equal inputs give equal bytes.

The two operations are registered with torch (`passerby::maxpool` and its backward), so that they
also run on torch's fake tensors. Each launches one kernel.
"""

from typing import Any

import torch
from torch import Tensor

from passerby.pretrain import kernels

_TILE = 1024
"""Values that a program works on at a time: 8 for each of its 128 threads."""
_ROWS = 4
"""Rows of windows that a program of the forward pass works on."""
_MOST_COLUMNS = 64
_MOST_PICTURES = 2**16
_MOST_VALUES = 2**31

_library = torch.library.Library("passerby", "FRAGMENT")
_library.define("maxpool(Tensor x, bool places) -> (Tensor, Tensor?)")
_library.define("maxpool_backward(Tensor gradient, Tensor places, int height, int width) -> Tensor")


def fits(x: Tensor) -> bool:
    """Whether the kernels can work on a map.

    It must be float32 or bfloat16, have four dimensions and be channels last in memory. It must
    have fewer than 2^16 pictures, the most that a GPU's grid has, and fewer than 2^31 values in
    each.
    """
    if x.ndim != 4 or x.dtype not in (torch.float32, torch.bfloat16):
        return False
    small = len(x) < _MOST_PICTURES and x.shape[1:].numel() < _MOST_VALUES
    return small and x.is_contiguous(memory_format=torch.channels_last)


def pool(x: Tensor) -> Tensor:
    """Take the maximum of each window.

    Padding counts as -inf. NaN is larger than every number. Of equal values the first is the
    maximum, row by row: it gets the window's gradient.

    Args:
        x: `(B, C, H, W)`, channels last in memory; float32 or bfloat16.

    Returns:
        `(B, C, ceil(H / 2), ceil(W / 2))`, of `x`'s type and memory order.
    """
    made: Tensor
    if torch.is_grad_enabled() and x.requires_grad:
        made = _Pool.apply(x)
    else:
        made, _ = torch.ops.passerby.maxpool(x, False)
    return made


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y: Tensor
        y, places = torch.ops.passerby.maxpool(x, True)
        ctx.height, ctx.width = x.shape[2:]
        ctx.save_for_backward(places)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (places,) = ctx.saved_tensors
        of_x: Tensor = torch.ops.passerby.maxpool_backward(gradient, places, ctx.height, ctx.width)
        return of_x


def _forward(x: Tensor, places: bool) -> tuple[Tensor, Tensor | None]:
    triton = kernels.load("maxpool")
    y, chosen = _forward_outputs(x, places)
    tile, blocks = _cut(y)
    grid = blocks, _blocks(y.shape[2], _ROWS), len(x)
    with kernels.on(x):
        triton.maximum[grid](
            x, y, y if chosen is None else chosen, *x.shape[2:], x.shape[1], *y.shape[2:],
            HAS_PLACES=places, ROWS=_ROWS, **tile,
        )  # fmt: skip
    return y, chosen


def _backward(gradient: Tensor, places: Tensor, height: int, width: int) -> Tensor:
    triton = kernels.load("maxpool")
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    of_x = _backward_output(gradient, places, height, width)
    tile, blocks = _cut(places)
    grid = blocks, places.shape[2], len(places)
    with kernels.on(gradient):
        triton.gather[grid](
            gradient, places, of_x, height, width, places.shape[1], *places.shape[2:], **tile
        )
    return of_x


def _forward_outputs(x: Tensor, places: bool) -> tuple[Tensor, Tensor | None]:
    pooled = *x.shape[:2], _blocks(x.shape[2], 2), _blocks(x.shape[3], 2)
    return _map(x, pooled, x.dtype), _map(x, pooled, torch.uint8) if places else None


def _backward_output(gradient: Tensor, places: Tensor, height: int, width: int) -> Tensor:
    return _map(gradient, (*gradient.shape[:2], height, width), gradient.dtype)


def _map(like: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A map on the device of another, channels last in memory, that holds no values yet."""
    order = torch.channels_last
    return torch.empty(shape, dtype=dtype, device=like.device, memory_format=order)


for _device in ("CUDA", "CPU"):  # on a CPU they run only in Triton's interpreter
    _library.impl("maxpool", _forward, _device)
    _library.impl("maxpool_backward", _backward, _device)
torch.library.register_fake("passerby::maxpool", _forward_outputs, lib=_library)
torch.library.register_fake("passerby::maxpool_backward", _backward_output, lib=_library)


def _cut(pooled: Tensor) -> tuple[dict[str, Any], int]:
    """How the columns and channels of a pooled map are divided between programs.

    Returns:
        Constants of the kernels, and the number of tiles beside each other.

    Example:
        >>> _cut(torch.empty(256, 64, 64, 32))
        ({'EVEN': True, 'POSITIONS': 16, 'COLUMNS': 64}, 2)
    """
    channels, width = pooled.shape[1], pooled.shape[3]
    columns = min(_MOST_COLUMNS, 1 << (channels - 1).bit_length())
    positions = _TILE // columns
    blocks = _blocks(width, positions) * _blocks(channels, columns)
    return {"EVEN": channels % columns == 0, "POSITIONS": positions, "COLUMNS": columns}, blocks


def _blocks(count: int, each: int) -> int:
    return -(-count // each)
