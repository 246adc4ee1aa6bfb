"""Max pooling of the stem on a device, in the number formats of training, against torch's on a CPU.

On a CPU the form is torch's operation itself; on a GPU it is the Triton kernels.
"""

import pytest
import torch
import torch.nn.functional as F
from gpu_samples import on_gpu
from pool_samples import KINDS, drawn
from torch import Tensor

from passerby.pretrain import kernels, maxpool, maxpool_triton

# The stem's map of pictures of 256x128; and sizes that fill no tile.
SHAPES = [(8, 64, 128, 64), (2, 130, 7, 5), (3, 5, 17, 70), (2, 3, 1, 1)]
DTYPES = [torch.bfloat16, torch.float32]
ULP = {torch.bfloat16: 2**-8, torch.float32: 2**-24}
"""Half the distance between neighbouring values, relative to them."""


def given(shape: tuple[int, ...], kind: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A map and the gradient of its pooled map, on the CPU."""
    batch, channels, height, width = shape
    pooled = batch, channels, (height + 1) // 2, (width + 1) // 2
    upstream = torch.randn(pooled, generator=torch.Generator().manual_seed(1))
    return drawn(shape, kind).to(dtype), upstream.to(dtype)


def passed(device: torch.device, x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    """Output and gradient of the form that the device uses, on the CPU."""
    x = x.to(device).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = maxpool.MaxPool()(x)
    with torch.no_grad():
        assert bits(maxpool.MaxPool()(x)) == bits(y)
    (gradient,) = torch.autograd.grad(y, x, upstream.to(device))
    assert gradient.dtype == y.dtype == x.dtype
    assert y.is_contiguous(memory_format=torch.channels_last)
    return y.detach().cpu(), gradient.cpu()


def bits(values: Tensor) -> bytes:
    return values.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes()


def one_nan(values: Tensor) -> Tensor:
    """The values with the same bits for every NaN; torch's own pooling on a CPU changes them."""
    return values.masked_fill(values.isnan(), torch.nan)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES, ids=["bf16", "fp32"])
def test_a_map_is_pooled_as_on_a_cpu(
    device: torch.device, shape: tuple[int, ...], kind: str, dtype: torch.dtype
) -> None:
    x, upstream = given(shape, kind, dtype)
    y, gradient = passed(device, x, upstream)
    assert bits(one_nan(y)) == bits(one_nan(F.max_pool2d(x, 3, 2, 1)))
    # In float32 and not channels last; up to four values of about 1 are added up.
    exact = x.float().requires_grad_()
    (wanted,) = torch.autograd.grad(F.max_pool2d(exact, 3, 2, 1), exact, upstream.float())
    torch.testing.assert_close(gradient.float(), wanted, rtol=4 * ULP[dtype], atol=16 * ULP[dtype])


@pytest.mark.parametrize("kind", KINDS)
def test_the_maximum_of_a_window_is_where_it_is_on_a_cpu(device: torch.device, kind: str) -> None:
    """Gradients of 1 count the windows of a position, and no sum of them is rounded."""
    for dtype in DTYPES:
        x, upstream = given(SHAPES[0], kind, dtype)
        _, gradient = passed(device, x, torch.ones_like(upstream))
        exact = x.float().requires_grad_()
        (wanted,) = torch.autograd.grad(F.max_pool2d(exact, 3, 2, 1).sum(), exact)
        assert torch.equal(gradient.float(), wanted)


def test_equal_maps_give_equal_bytes(device: torch.device) -> None:
    x, upstream = given(SHAPES[0], "ties", torch.bfloat16)
    one, other = (passed(device, x, upstream) for _ in range(2))
    assert [bits(tensor) for tensor in one] == [bits(tensor) for tensor in other]


@on_gpu
def test_the_form_of_a_gpu_is_the_one_in_triton_where_the_memory_order_allows_it(
    device: torch.device,
) -> None:
    x = torch.zeros(8, 4, 6, 6, device=device)
    assert kernels.is_available()
    assert maxpool._form(x.contiguous(memory_format=torch.channels_last)) is maxpool_triton.pool
    assert maxpool._form(x) is maxpool.plain


@on_gpu
def test_the_kernels_can_be_recorded_as_a_cuda_graph(device: torch.device) -> None:
    x, upstream = given(SHAPES[0], "ties", torch.bfloat16)
    wanted = passed(device, x, upstream)  # this also compiles the kernels
    there = torch.zeros_like(x, device=device).contiguous(memory_format=torch.channels_last)
    there.requires_grad_()
    slope = upstream.to(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = maxpool.MaxPool()(there)
        (gradient,) = torch.autograd.grad(y, there, slope)
    with torch.no_grad():
        there.copy_(x)
    graph.replay()
    assert [bits(tensor) for tensor in (y, gradient)] == [bits(tensor) for tensor in wanted]
