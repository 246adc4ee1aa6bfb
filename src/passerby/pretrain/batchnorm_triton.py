"""BatchNorm in groups, with ReLU and the residual sum, as six fused kernels for a GPU.

The same function as `batchnorm.by_chunks`, which is its slow twin. A training pass of torch's own
operations would read and write the map once for each group's statistics, normalisation, sum and
ReLU; here the forward pass reads the input twice and writes once, whatever the number of groups.

The two operations are registered with torch (`passerby::grouped_norm` and its backward), so that
they also run on torch's fake tensors. Each counts as one operation and launches three kernels.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from passerby.pretrain import kernels

_TILE = 2048
"""Values that a program works on at a time: 16 for each of its 128 threads."""
_TILES = 4
"""Tiles that a program normalises one after the other, with the same statistics."""
_MOST_COLUMNS = 128
_SUM_TILE = 1024
"""Values of a tile of the kernels that add up: 8 for each of a program's 128 threads."""
_MOMENT_TILES = 8
"""Tiles that a program loads at once, to have enough memory accesses under way."""
_GRADIENT_TILES = 4
"""The same for gradients, where a tile is one of two or three maps."""
_SUM_PROGRAMS = 512
"""Programs that add up. All begin at once on an H100, where 512 were faster than 1,024 and 2,048,
and these numbers of tiles faster than half as many."""
_FINISH = {"COLUMNS": 8, "num_warps": 8}

_library = torch.library.Library("passerby", "FRAGMENT")
_library.define(
    "grouped_norm(Tensor x, Tensor? residual, Tensor weight, Tensor bias, Tensor(a!) running_mean,"
    " Tensor(b!) running_var, int groups, float momentum, float eps, bool relu)"
    " -> (Tensor, Tensor, Tensor)"
)
_library.define(
    "grouped_norm_backward(Tensor gradient, Tensor x, Tensor y, Tensor mean, Tensor inverse_std,"
    " Tensor weight, bool residual, bool relu) -> (Tensor, Tensor?, Tensor, Tensor)"
)


def fits(x: Tensor) -> bool:
    """Whether the kernels can work on a map: float32 or bfloat16, channels last in memory."""
    order = torch.channels_last if x.ndim == 4 else torch.contiguous_format
    known = x.ndim in (2, 4) and x.dtype in (torch.float32, torch.bfloat16)
    return known and x.is_contiguous(memory_format=order)


class Norm(NamedTuple):
    """A BatchNorm in groups, and what follows it.

    Attributes:
        weight: float32 `(C,)`.
        bias: float32 `(C,)`.
        running_mean: float32 `(C,)`; each forward pass updates it in place.
        running_var: float32 `(C,)`, likewise.
        groups: Number of groups, which divides the batch.
        momentum: Weight of a batch in the running statistics.
        eps: Added to the variances.
        relu: Whether ReLU comes last.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    groups: int
    momentum: float
    eps: float
    relu: bool


def normalise(x: Tensor, residual: Tensor | None, norm: Norm) -> Tensor:
    """Normalise each group of the batch by its own statistics.

    Args:
        x: `(B, C)`, or `(B, C, H, W)` channels last in memory; float32 or bfloat16.
        residual: Added to the normalised map, of `x`'s shape; `None` adds nothing.
        norm: The layer.

    Returns:
        The normalised map, of `x`'s shape, type and memory order.
    """
    made: Tensor = _Normalise.apply(x, residual, *norm)
    return made


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        x, residual, weight = given[:3]
        y, mean, inverse_std = torch.ops.passerby.grouped_norm(*given)
        ctx.has_residual, ctx.relu = residual is not None, given[-1]
        # The backward pass needs the output only for ReLU; without ReLU it is not kept.
        ctx.save_for_backward(x, y if ctx.relu else x, mean, inverse_std, weight)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, y, mean, inverse_std, weight = ctx.saved_tensors
        of_x, of_residual, of_weight, of_bias = torch.ops.passerby.grouped_norm_backward(
            gradient, x, y, mean, inverse_std, weight, ctx.has_residual, ctx.relu
        )
        return of_x, of_residual, of_weight, of_bias, *[None] * 6


def _forward(x: Tensor, residual: Tensor | None, *layer: Any) -> tuple[Tensor, Tensor, Tensor]:
    norm = Norm(*layer)
    groups = norm.groups
    triton = kernels.load("batchnorm")
    rows, channels = _rows(x, groups), x.shape[1]
    residual = None if residual is None else _laid_out(residual, x)
    y, mean, inverse_std = _forward_outputs(x, groups)
    tile, grid = _tiles(rows, channels, groups)
    steps, sum_tile, sum_grid = _slices(rows, channels, groups, _MOMENT_TILES)
    sums = x.new_empty((2, groups, sum_grid[0], channels), dtype=torch.float32)
    with kernels.on(x):
        triton.sum_moments[sum_grid](x, sums, rows, channels, steps, **sum_tile)
        triton.finish_moments[_blocks(channels, _FINISH["COLUMNS"]),](
            x, sums, mean, inverse_std, norm.running_mean, norm.running_var, rows, channels,
            groups, norm.eps, norm.momentum, GROUPS=_power_of_2(groups), SLICES=sum_grid[0],
            **_FINISH,
        )  # fmt: skip
        triton.normalise[grid](
            x, x if residual is None else residual, mean, inverse_std, norm.weight, norm.bias, y,
            rows, channels, HAS_RESIDUAL=residual is not None, RELU=norm.relu, TILES=_TILES, **tile,
        )  # fmt: skip
    return y, mean, inverse_std


def _backward(
    gradient: Tensor,
    x: Tensor,
    y: Tensor,
    mean: Tensor,
    inverse_std: Tensor,
    weight: Tensor,
    residual: bool,
    relu: bool,
) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    triton = kernels.load("batchnorm")
    groups, channels = mean.shape
    rows = _rows(x, groups)
    gradient = _laid_out(gradient, x)
    of_x, of_residual, of_weight, of_bias = _backward_outputs(
        gradient, x, y, mean, inverse_std, weight, residual, relu
    )
    tile, grid = _tiles(rows, channels, groups)
    steps, sum_tile, sum_grid = _slices(rows, channels, groups, _GRADIENT_TILES)
    sums = x.new_empty((2, groups, sum_grid[0], channels), dtype=torch.float32)
    totals = x.new_empty((2, groups, channels), dtype=torch.float32)
    with kernels.on(x):
        triton.sum_gradients[sum_grid](
            gradient, x, y, mean, inverse_std, sums, rows, channels, steps, RELU=relu, **sum_tile
        )
        triton.finish_gradients[_blocks(channels, _FINISH["COLUMNS"]),](
            sums, totals, of_weight, of_bias, channels, groups,
            GROUPS=_power_of_2(groups), SLICES=sum_grid[0], **_FINISH,
        )  # fmt: skip
        triton.propagate[grid](
            gradient, x, y, mean, inverse_std, weight, totals, of_x,
            of_x if of_residual is None else of_residual, rows, channels,
            HAS_RESIDUAL=residual, RELU=relu, TILES=_TILES, **tile,
        )  # fmt: skip
    return of_x, of_residual, of_weight, of_bias


def _forward_outputs(x: Tensor, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    shape = groups, x.shape[1]
    mean, inverse_std = (x.new_empty(shape, dtype=torch.float32) for _ in range(2))
    return torch.empty_like(x), mean, inverse_std


def _backward_outputs(
    gradient: Tensor,
    x: Tensor,
    y: Tensor,
    mean: Tensor,
    inverse_std: Tensor,
    weight: Tensor,
    residual: bool,
    relu: bool,
) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    of_residual = torch.empty_like(x) if residual else None
    return torch.empty_like(x), of_residual, torch.empty_like(weight), torch.empty_like(weight)


for _device in ("CUDA", "CPU"):  # on a CPU they run only in Triton's interpreter
    _library.impl("grouped_norm", _forward, _device)
    _library.impl("grouped_norm_backward", _backward, _device)
torch.library.register_fake(
    "passerby::grouped_norm", lambda x, *given: _forward_outputs(x, given[5]), lib=_library
)
torch.library.register_fake("passerby::grouped_norm_backward", _backward_outputs, lib=_library)


def _rows(x: Tensor, groups: int) -> int:
    """Number of places in a group, over its pictures, height and width."""
    return x.numel() // x.shape[1] // groups


def _laid_out(values: Tensor, like: Tensor) -> Tensor:
    """The values in the memory order and type of another map; copied only if they differ."""
    order = torch.channels_last if like.ndim == 4 else torch.contiguous_format
    return values.to(like.dtype).contiguous(memory_format=order)


def _tiles(rows: int, channels: int, groups: int) -> tuple[dict[str, int], tuple[int, int, int]]:
    """Size of a tile of the kernels that work on each value, and the grid that covers the map.

    Example:
        >>> _tiles(rows=65536, channels=256, groups=8)
        ({'ROWS': 16, 'COLUMNS': 128}, (1024, 8, 2))
    """
    columns = min(_MOST_COLUMNS, _power_of_2(channels))
    tile_rows = _TILE // columns
    grid = _blocks(rows, tile_rows * _TILES), groups, _blocks(channels, columns)
    return {"ROWS": tile_rows, "COLUMNS": columns}, grid


def _slices(
    rows: int, channels: int, groups: int, tiles: int
) -> tuple[int, dict[str, int], tuple[int, int, int]]:
    """How the matrix of a group is divided between the programs that add it up.

    Args:
        rows: Of a group.
        channels: Of the map.
        groups: Number of groups.
        tiles: Number of tiles that a program loads in a step.

    Returns:
        Number of steps of a program; constants of the kernel; and its grid: slices of a group, a
        power of 2, by groups by blocks of columns.

    Example:
        >>> _slices(rows=65536, channels=256, groups=8, tiles=8)
        (32, {'ROWS': 8, 'COLUMNS': 128, 'TILES': 8, 'EVEN': True}, (32, 8, 2))
    """
    columns = min(_MOST_COLUMNS, _power_of_2(channels))
    tile_rows, across = _SUM_TILE // columns, _blocks(channels, columns)
    chunks = _blocks(rows, tiles * tile_rows)
    wanted = max(min(chunks, _SUM_PROGRAMS // (groups * across)), 1)
    slices = 1 << (wanted.bit_length() - 1)
    steps = _blocks(chunks, slices)
    even = steps * slices * tiles * tile_rows == rows and across * columns == channels
    constants = {"ROWS": tile_rows, "COLUMNS": columns, "TILES": tiles, "EVEN": even}
    return steps, constants, (slices, groups, across)


def _blocks(count: int, each: int) -> int:
    return -(-count // each)


def _power_of_2(least: int) -> int:
    """The smallest power of 2 that is not below a number."""
    return 1 << (least - 1).bit_length()
