"""BatchNorm in groups on a device, in the number formats of training, against float64.

On a CPU the forms in torch's own operations run; on a GPU the fused kernels do, where Triton is
installed, and the form as a view.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
from gpu_samples import on_gpu
from torch import Tensor

from passerby.pretrain import batchnorm, batchnorm_triton, kernels
from passerby.pretrain.batchnorm_triton import Norm

# The third has channels that fill no power of 2; the fourth so many places that a group is cut into
# slices.
SHAPES = [(32, 512), (64, 64, 16, 8), (8, 130, 7, 5), (16, 64, 32, 16)]
GROUPS = (1, 4, 8)
FLAGS = list(product((False, True), (False, True)))
Form = Callable[[Tensor, Tensor | None, Norm], Tensor]


@pytest.fixture(params=["chosen", "by_view"])
def form(request: pytest.FixtureRequest) -> Form:
    """The form that the device uses, and the one that every device can use."""
    if request.param == "by_view":
        return batchnorm.by_view
    return lambda x, residual, norm: batchnorm._form(x)(x, residual, norm)


def given(shape: tuple[int, ...], dtype: torch.dtype, residual: bool) -> dict[str, Tensor]:
    """Inputs in float64 on the CPU, with values that `dtype` can hold."""
    generator = torch.Generator().manual_seed(0)
    channels = shape[1]
    wide = (1, channels, *[1] * (len(shape) - 2))

    def drawn(*size: int) -> Tensor:
        return torch.randn(size, generator=generator)

    far = torch.linspace(-20, 20, channels).view(wide)  # means of many deviations
    maps = {
        "x": drawn(*shape) * torch.linspace(0.5, 3, channels).view(wide) + far,
        "gradient": drawn(*shape),
    }
    if residual:
        maps["residual"] = drawn(*shape)
    names = ("weight", "bias", "running_mean", "running_var")
    vectors = {name: drawn(channels) for name in names}
    vectors["running_var"] = vectors["running_var"].abs()
    return {name: made.to(dtype).double() for name, made in maps.items()} | {
        name: made.double() for name, made in vectors.items()
    }


def passed(
    form: Form,
    values: dict[str, Tensor],
    dtype: torch.dtype,
    device: torch.device,
    groups: int,
    relu: bool | Tensor,
) -> dict[str, Tensor]:
    """Output, gradients and running statistics of a form, float64 on the CPU.

    Args:
        form: Of the function.
        values: From `given`.
        dtype: Of the maps.
        device: Where they are.
        groups: Of the batch.
        relu: Whether ReLU comes last, or where it leaves a value as it is.
    """
    of_vectors = torch.promote_types(dtype, torch.float32)

    def there(name: str) -> Tensor:
        value = values[name]
        if value.ndim == 1:
            return value.to(device, of_vectors)
        order = torch.channels_last if value.ndim == 4 else torch.contiguous_format
        return value.to(device, dtype).contiguous(memory_format=order)

    asked = {
        name: there(name).requires_grad_()
        for name in ("x", "residual", "weight", "bias")
        if name in values
    }
    mean, variance = there("running_mean"), there("running_var")
    masked = isinstance(relu, Tensor)
    norm = Norm(
        asked["weight"], asked["bias"], mean, variance, groups, 0.1, 1e-5, not masked and bool(relu)
    )
    y = form(asked["x"], asked.get("residual"), norm)
    assert y.dtype == dtype
    assert y.stride() == asked["x"].stride()
    found = {"before ReLU": y} if masked else {}
    y = y * relu if masked else y
    gradients = torch.autograd.grad(y, list(asked.values()), there("gradient"))
    named = {f"gradient of {name}": one for name, one in zip(asked, gradients, strict=True)}
    assert named["gradient of x"].dtype == dtype
    found |= {"y": y, **named, "running mean": mean, "running variance": variance}
    return {name: tensor.detach().double().cpu() for name, tensor in found.items()}


def off(found: Tensor, wanted: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    return float((found - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("dtype", "rounding"),
    # bfloat16 has eight bits. Statistics and sums are float32 in all forms; of means that are many
    # deviations from 0, float32 loses some of its 24 bits.
    [(torch.bfloat16, 2**-8), (torch.float32, 1e-4)],
    ids=["bf16", "fp32"],
)
def test_a_map_is_normalised_as_in_float64(
    device: torch.device, form: Form, shape: tuple[int, ...], dtype: torch.dtype, rounding: float
) -> None:
    for groups, (residual, relu) in product(GROUPS, FLAGS):
        if residual and len(shape) == 2:
            continue  # there is none in a network
        # A form may round the normalised map before it adds the residual, and then once more.
        most = rounding * (1 + residual)
        values = given(shape, dtype, residual)
        found = passed(form, values, dtype, device, groups, relu)
        # Rounding can change the sign of a value near 0, so the reference passes the same values.
        where = (found["y"] > 0).double() if relu else torch.ones(())
        exact = values, torch.float64, torch.device("cpu"), groups, where
        wanted = passed(batchnorm.by_chunks, *exact)
        before = wanted.pop("before ReLU")
        if relu:
            wrong = before.abs()[(before > 0) != (where > 0)]
            assert wrong.numel() < 0.01 * before.numel()
            assert not wrong.numel() or float(wrong.max() / before.abs().max()) < most
        for name, tensor in found.items():
            assert off(tensor, wanted[name]) < most, f"{name}, {groups} groups, {relu=}"


def test_the_form_of_a_gpu_is_the_fused_one_where_the_memory_order_allows_it(
    device: torch.device,
) -> None:
    x = torch.zeros(8, 4, 2, 2, device=device)
    ordered = x.contiguous(memory_format=torch.channels_last)
    if device.type == "cpu":
        assert batchnorm._form(ordered) is batchnorm.by_chunks
    else:
        assert kernels.is_available()
        assert batchnorm._form(ordered) is batchnorm_triton.normalise
        assert batchnorm._form(x) is batchnorm.by_view


@on_gpu
def test_without_a_compiler_torchs_operations_take_the_place_of_the_kernels(
    device: torch.device, tmp_path: Path
) -> None:
    code = "import sys; from passerby.pretrain import kernels; sys.exit(kernels.is_available())"
    others = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX")}
    bare = {"PATH": "", "TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**others, **bare}, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "UserWarning: Triton cannot launch kernels here (" in done.stderr


def test_equal_maps_give_equal_bytes(device: torch.device, form: Form) -> None:
    values = given(SHAPES[3], torch.bfloat16, residual=True)
    one, other = (passed(form, values, torch.bfloat16, device, 4, True) for _ in range(2))
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@on_gpu
def test_programs_that_take_many_steps_give_the_same_map(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = SHAPES[3]
    values = given(shape, torch.bfloat16, residual=True)
    given_all = batchnorm_triton.normalise, values, torch.bfloat16, device, 4, False
    one = passed(*given_all)
    # With so few programs, each takes many steps, as it does on the maps of a full-size picture.
    monkeypatch.setattr(batchnorm_triton, "_SUM_PROGRAMS", 8)
    rows = shape[0] // 4 * shape[2] * shape[3]
    steps, constants, _ = batchnorm_triton._slices(rows, shape[1], 4, 4)
    assert steps == 16
    assert constants["EVEN"]
    other = passed(*given_all)
    for name, tensor in one.items():
        assert off(other[name], tensor) < 2**-8, name
