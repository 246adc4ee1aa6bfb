"""The kernels of max pooling without a GPU: a program of `triton_samples`."""

from itertools import product

import torch
import torch.nn.functional as F
import triton_samples
from pool_samples import KINDS, drawn, places_of
from torch import Tensor

from passerby.pretrain import maxpool_triton

SHAPES = [
    *((2, 5, 7, 6), (1, 64, 8, 8), (1, 130, 9, 5), (1, 16, 2, 140), (1, 3, 1, 1), (2, 64, 4, 1)),
    *((1, 5, 1, 4), (1, 1, 17, 3)),
]
"""Some are larger than a tile in one of their dimensions, and some have a single row or column."""


def passed(x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Output, places and gradient of the kernels."""
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    assert maxpool_triton.fits(x)
    y = maxpool_triton.pool(x)
    (places,) = y.grad_fn.saved_tensors
    (gradient,) = torch.autograd.grad(y, x, upstream)
    for made, like in ((y, x), (gradient, x)):
        assert made.dtype == like.dtype
        assert made.is_contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert bits(maxpool_triton.pool(x)) == bits(y)
    return y, places, gradient


def bits(values: Tensor) -> bytes:
    return values.detach().reshape(-1).view(torch.uint8).numpy().tobytes()


def interpreted() -> dict[str, dict[str, object]]:
    """How far each result is from torch's pooling in float32 on a map that is not channels last."""
    found: dict[str, dict[str, object]] = {}
    for shape, dtype, kind in product(SHAPES, (torch.float32, torch.bfloat16), KINDS):
        x = drawn(shape, kind).to(dtype)
        exact = x.float().contiguous().requires_grad_()
        wanted, positions = F.max_pool2d(exact, 3, 2, 1, return_indices=True)
        upstream = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
        (slope,) = torch.autograd.grad(wanted, exact, upstream.float())
        y, places, gradient = passed(x, upstream)
        found[f"{shape} {dtype} {kind}"] = {
            "output": bits(y.float()) == bits(wanted),  # also those of NaN
            "places": torch.equal(places, places_of(positions, shape[3])),
            # relative to each value: the interpreter cuts bfloat16 off
            "gradient": float(((gradient.float() - slope).abs() / slope.abs().clamp(1e-20)).max()),
        }
    return found


def compiled() -> dict[str, dict[str, int]]:
    """What each kernel uses, for maps in bfloat16."""
    from passerby.pretrain.kernels import maxpool as kernels

    tile = {"EVEN": True, "POSITIONS": 16, "COLUMNS": 64}
    of_kernel = {
        "maximum": (kernels.maximum, {"HAS_PLACES": True, "ROWS": 4, **tile}),
        "maximum alone": (kernels.maximum, {"HAS_PLACES": False, "ROWS": 4, **tile}),
        "gather": (kernels.gather, tile),
    }
    types = dict.fromkeys(("x", "y", "gradient", "of_x"), "*bf16") | {"places": "*u8"}
    sizes = ("height", "width", "channels", "out_height", "out_width")
    return triton_samples.needs(of_kernel, types | dict.fromkeys(sizes, "i32"), warps=4)


if __name__ == "__main__":
    triton_samples.main(interpreted, compiled)
