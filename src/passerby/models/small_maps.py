"""Convolutions over maps of few places, trained on a CPU: one matrix product each.

On person pictures the last stage of a ResNet has many channels and hardly any places (512 channels,
2x1 of them at 64x32). There the gradients of oneDNN's convolution, above all that of the weights,
take two to ten times as long as the same sums as a product of matrices, whose rows are the places
of the whole batch. Taps that nowhere meet the picture (on a map that is one place wide, two columns
of a 3x3 kernel) are left out: all that they would add is zero.

`benchmarks/README.md` has what it brings.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PLACES = 8
"""Up to so many places of its output a map is small: at 12 and 16 torch's was faster at times."""


class SmallMapConv2d(nn.Conv2d):
    """A convolution that is a matrix product where it is trained on a CPU and its map is small.

    Everywhere else, in eval mode too, it is torch's; under torch.compile as well, which would
    write out every tap. In bf16 it is a product in eval mode too: on processors with AMX torch
    2.13's own (oneDNN) then reads memory that is not the picture's where a stride of 2 makes a map
    one place wide, and gives another result each time.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve `(B, C, H, W)`."""
        if not self._is_worth_it(x):
            return super().forward(x)
        rows, columns = (_axis(self, axis, x.shape[2 + axis]) for axis in (0, 1))
        weight = self.weight
        if torch.is_autocast_enabled("cpu"):
            lowered = torch.get_autocast_dtype("cpu")
            x, weight = x.to(lowered), weight.to(lowered)
        out: Tensor = _Product.apply(x, weight, rows, columns)
        return out

    def _is_worth_it(self, x: Tensor) -> bool:
        if torch.compiler.is_compiling() or x.device.type != "cpu" or self.bias is not None:
            return False
        lowered = torch.is_autocast_enabled("cpu")
        if not (self.training or lowered):
            return False
        height, width = (_places(self, axis, x.shape[2 + axis]) for axis in (0, 1))
        return 0 < height * width <= PLACES or (lowered and height > 0 and width == 1)


def quick_on_small_maps(network: nn.Module) -> nn.Module:
    """Put a `SmallMapConv2d` in the place of every convolution that one can stand for, in place.

    Parameters and their names stay. Convolutions with a bias, groups, dilation or a padding other
    than zeros are left alone.
    """
    for name, child in network.named_children():
        if type(child) is nn.Conv2d and _is_plain(child):
            setattr(network, name, _taken_over(child))
        else:
            quick_on_small_maps(child)
    return network


def _is_plain(conv: nn.Conv2d) -> bool:
    return (
        conv.bias is None
        and conv.groups == 1
        and conv.dilation == (1, 1)
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    )


def _taken_over(conv: nn.Conv2d) -> SmallMapConv2d:
    # Without its initialisation, which would draw from the global generator.
    made = nn.utils.skip_init(
        SmallMapConv2d,
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        bias=False,
        device="meta",
    )
    made.weight = conv.weight
    made.train(conv.training)
    return made


@dataclass(frozen=True)
class _Axis:
    """How a kernel goes over one axis of a picture.

    Attributes:
        size: Of the picture.
        stride, padding: Of the convolution.
        places: Of the output.
        first, end: The taps `first <= tap < end` that somewhere meet the picture.
    """

    size: int
    stride: int
    padding: int
    places: int
    first: int
    end: int

    @property
    def taps(self) -> int:
        return self.end - self.first

    def under(self, tap: int) -> slice:
        """Where in the padded picture a tap is, over all places."""
        return slice(tap, tap + (self.places - 1) * self.stride + 1, self.stride)


def _geometry(conv: nn.Conv2d, axis: int) -> tuple[int, int, int]:
    """Kernel, stride and padding along an axis."""
    kernel, stride, padding = (
        int(each[axis]) for each in (conv.kernel_size, conv.stride, conv.padding)
    )
    return kernel, stride, padding


def _places(conv: nn.Conv2d, axis: int, size: int) -> int:
    """Of the output, along an axis."""
    kernel, stride, padding = _geometry(conv, axis)
    return (size + 2 * padding - kernel) // stride + 1


def _axis(conv: nn.Conv2d, axis: int, size: int) -> _Axis:
    kernel, stride, padding = _geometry(conv, axis)
    places = _places(conv, axis, size)
    meets = [
        tap
        for tap in range(kernel)
        if any(0 <= place * stride + tap - padding < size for place in range(places))
    ]
    return _Axis(size, stride, padding, places, meets[0], meets[-1] + 1)


class _Product(torch.autograd.Function):
    """`out = windows @ weight^T`, a row for each picture and place, a column for each channel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, rows: _Axis, columns: _Axis) -> Tensor:
        windows = _windows(x, rows, columns)
        met = weight[:, :, rows.first : rows.end, columns.first : columns.end]
        matrix = met.permute(0, 2, 3, 1).reshape(len(weight), -1)  # O x (taps, C)
        ctx.save_for_backward(windows, matrix)
        ctx.axes, ctx.x_shape, ctx.weight_shape = (rows, columns), x.shape, weight.shape
        return _as_map(windows @ matrix.t(), len(x), rows, columns)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        windows, matrix = ctx.saved_tensors
        rows, columns = ctx.axes
        flat = grad.permute(0, 2, 3, 1).reshape(len(windows), -1)  # (B, places) x O
        of_weight = _weight_gradient(flat.t() @ windows, ctx.weight_shape, rows, columns)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = _picture_gradient(flat @ matrix, ctx.x_shape, rows, columns)
        return of_x, of_weight, None, None


def _windows(x: Tensor, rows: _Axis, columns: _Axis) -> Tensor:
    """What the taps see at each place: `(B, places) x (taps, C)`."""
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, *[columns.padding] * 2, *[rows.padding] * 2))
    seen = [
        padded[:, rows.under(row), columns.under(column)]
        for row in range(rows.first, rows.end)
        for column in range(columns.first, columns.end)
    ]
    return torch.stack(seen, dim=3).flatten(3).flatten(0, 2)


def _as_map(product: Tensor, batch: int, rows: _Axis, columns: _Axis) -> Tensor:
    """`(B, places) x O` as `(B, O, H, W)`, channels last in memory."""
    return product.view(batch, rows.places, columns.places, -1).permute(0, 3, 1, 2)


def _weight_gradient(found: Tensor, shape: torch.Size, rows: _Axis, columns: _Axis) -> Tensor:
    """`O x (taps, C)` as `shape`, channels last; zero for the taps that meet nothing."""
    out, channels, height, width = shape
    met = found.view(out, rows.taps, columns.taps, channels)
    if met.shape[1:3] != (height, width):
        whole = found.new_zeros(out, height, width, channels)
        whole[:, rows.first : rows.end, columns.first : columns.end] = met
        met = whole
    return met.permute(0, 3, 1, 2)


def _picture_gradient(found: Tensor, shape: torch.Size, rows: _Axis, columns: _Axis) -> Tensor:
    """`(B, places) x (taps, C)`, added up where the taps were, as `shape`."""
    batch, channels, height, width = shape
    taps = found.view(batch, rows.places, columns.places, rows.taps, columns.taps, channels)
    padded = found.new_zeros(
        batch, height + 2 * rows.padding, width + 2 * columns.padding, channels
    )
    for row in range(rows.first, rows.end):
        for column in range(columns.first, columns.end):
            padded[:, rows.under(row), columns.under(column)] += taps[
                :, :, :, row - rows.first, column - columns.first
            ]
    inside = padded[:, rows.padding :, columns.padding :][:, :height, :width]
    return inside.permute(0, 3, 1, 2)
