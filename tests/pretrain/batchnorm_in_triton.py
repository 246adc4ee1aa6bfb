"""The kernels of BatchNorm in groups without a GPU: a program of `triton_samples`."""

from itertools import product

import torch
import triton_samples
from torch import Tensor

from passerby.pretrain import batchnorm, batchnorm_triton
from passerby.pretrain.batchnorm_triton import Norm

UNEVEN = [(12, 5), (32, 130), (16, 40, 4, 3), (8, 130, 7, 5), (16, 40, 8, 8)]
"""Their groups are not whole numbers of tiles, so the kernels use masks."""
EVEN = [(16, 64, 8, 8), (16, 256, 4, 4)]
PROGRAMS = 8
"""Programs that add up: so few that in the larger maps each takes several steps."""


def passed(form, dtype: torch.dtype, shape: tuple[int, ...], groups: int, residual, relu):
    """Output, gradients and running statistics of a form of the function."""
    generator = torch.Generator().manual_seed(0)
    channels = shape[1]
    wide = (1, channels, *[1] * (len(shape) - 2))

    def ordered(values: Tensor) -> Tensor:
        values = values.to(torch.bfloat16 if dtype == torch.bfloat16 else torch.float32).to(dtype)
        if len(shape) == 4:
            values = values.contiguous(memory_format=torch.channels_last)
        return values

    def drawn(*size: int) -> Tensor:
        return torch.randn(size, generator=generator)

    far = torch.linspace(-50, 50, channels).view(wide)  # means of many deviations
    x = ordered(drawn(*shape) * torch.linspace(0.5, 3, channels).view(wide) + far).requires_grad_()
    added = ordered(drawn(*shape)).requires_grad_() if residual else None
    kind = torch.promote_types(dtype, torch.float32)
    weight, bias = (drawn(channels).to(kind).requires_grad_() for _ in range(2))
    mean, variance = drawn(channels).to(kind), drawn(channels).to(kind).abs()
    y = form(x, added, Norm(weight, bias, mean, variance, groups, 0.1, 1e-5, relu))
    wanted = [tensor for tensor in (x, added, weight, bias) if tensor is not None]
    gradients = torch.autograd.grad(y, wanted, ordered(drawn(*shape)))
    assert y.dtype == dtype
    assert y.stride() == x.stride()
    return [y.detach(), *gradients, mean, variance]


def off(found: list[Tensor], wanted: list[Tensor]) -> float:
    """The largest difference, each relative to the largest value of its tensor."""
    return max(
        float((a.double() - b.double()).abs().max() / b.double().abs().max())
        for a, b in zip(found, wanted, strict=True)
    )


def interpreted() -> dict[str, float]:
    """Differences from BatchNorm in float64, chunk by chunk.

    There is no ReLU in bfloat16: where rounding changes the sign of a value, its gradient changes
    in every form of the function.
    """
    batchnorm_triton._SUM_PROGRAMS = PROGRAMS
    found = {}
    choices = (1, 4), (False, True), (False, True)
    for shape, groups, residual, relu in product(UNEVEN + EVEN, *choices):
        given = shape, groups, residual, relu
        wanted = passed(batchnorm.by_chunks, torch.float64, *given)
        ours = passed(batchnorm_triton.normalise, torch.float32, *given)
        found[f"float32 {given}"] = off(ours, wanted)
        if not relu:
            ours = passed(batchnorm_triton.normalise, torch.bfloat16, *given)
            # In the interpreter bfloat16 is cut off, on a GPU it is rounded: two units or one.
            wanted = passed(batchnorm.by_view, torch.bfloat16, *given)
            found[f"bfloat16 {given}"] = off(ours, wanted) / 2**8
    return found


def compiled() -> dict[str, dict[str, int]]:
    """What each kernel uses, for maps in bfloat16."""
    from passerby.pretrain.kernels import batchnorm as kernels

    tile = {"ROWS": 16, "COLUMNS": 128}
    whole = {"HAS_RESIDUAL": True, "RELU": True, "TILES": 4, **tile}
    maps = ("x", "y", "gradient", "residual", "of_x", "of_residual")
    vectors = ("sums", "mean", "inverse_std", "running_mean", "running_var", "weight", "bias")
    types = dict.fromkeys(maps, "*bf16")
    types |= dict.fromkeys((*vectors, "totals", "of_weight", "of_bias"), "*fp32")
    types |= dict.fromkeys(("rows", "channels", "groups", "steps"), "i32")
    types |= dict.fromkeys(("eps", "momentum"), "fp32")
    of_kernel = {
        "normalise": (kernels.normalise, whole),
        "propagate": (kernels.propagate, whole),
    }
    for rows in (65536, 65535):
        _, moments, _ = batchnorm_triton._slices(rows, 256, 8, batchnorm_triton._MOMENT_TILES)
        _, gradients, _ = batchnorm_triton._slices(rows, 256, 8, batchnorm_triton._GRADIENT_TILES)
        of_kernel[f"sum_moments, {rows} rows"] = kernels.sum_moments, moments
        gradients = {"RELU": True, **gradients}
        of_kernel[f"sum_gradients, {rows} rows"] = kernels.sum_gradients, gradients
    of_finish = dict(batchnorm_triton._FINISH)
    warps = of_finish.pop("num_warps")
    finish = {"GROUPS": 8, "SLICES": batchnorm_triton._SUM_PROGRAMS // 8, **of_finish}
    finishing = {
        "finish_moments": (kernels.finish_moments, finish),
        "finish_gradients": (kernels.finish_gradients, finish),
    }
    others = triton_samples.needs(of_kernel, types, warps=4)
    return others | triton_samples.needs(finishing, types, warps)


if __name__ == "__main__":
    triton_samples.main(interpreted, compiled)
