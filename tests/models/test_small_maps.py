"""Convolutions over small maps: the sums of torch's, and torch's own everywhere else."""

import copy

import pytest
import torch
from torch import nn

from passerby.models import backbones
from passerby.models.small_maps import PLACES, SmallMapConv2d, quick_on_small_maps
from passerby.settings import Encoder

GEOMETRIES = [
    # kernel, stride, padding, height, width
    (3, 1, 1, 4, 2),
    (3, 1, 1, 2, 1),
    (3, 1, 1, 1, 1),
    (3, 2, 1, 8, 4),
    (3, 2, 1, 5, 3),
    (1, 1, 0, 4, 2),
    (1, 2, 0, 8, 4),
    (7, 2, 3, 5, 4),
    ((3, 1), (1, 2), (1, 0), 4, 3),
    (2, 1, 0, 3, 3),
]


def both(kernel, stride, padding, **more):
    """torch's convolution, and the one that takes its place."""
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 6, kernel, stride, padding, bias=False, **more).double()
    quick = quick_on_small_maps(nn.Sequential(conv))[0]
    return conv, quick


@pytest.mark.parametrize(("kernel", "stride", "padding", "height", "width"), GEOMETRIES)
def test_a_product_has_torchs_output_and_gradients(
    kernel, stride, padding, height, width, monkeypatch
):
    conv, quick = both(kernel, stride, padding)
    x = torch.randn(3, 5, height, width, dtype=torch.double, requires_grad=True)
    theirs = conv(x)
    with monkeypatch.context() as patched:
        patched.setattr(nn.Conv2d, "forward", None)  # torch's is not what answers
        ours = quick(x)
    assert ours.shape == theirs.shape
    assert ours.shape[2] * ours.shape[3] <= PLACES
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    along = torch.randn_like(theirs)
    wanted = torch.autograd.grad(theirs, (x, conv.weight), along)
    found = torch.autograd.grad(ours, (x, quick.weight), along)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_a_product_is_the_sum_that_defines_a_convolution():
    _, quick = both(3, 2, 1)
    x = torch.randn(2, 5, 4, 3, dtype=torch.double)
    slow = torch.zeros(2, 6, 2, 2, dtype=torch.double)
    for row in range(2):
        for column in range(2):
            for i in range(3):
                for j in range(3):
                    top, left = 2 * row + i - 1, 2 * column + j - 1
                    if 0 <= top < 4 and 0 <= left < 3:
                        slow[:, :, row, column] += x[:, :, top, left] @ quick.weight[:, :, i, j].T
    torch.testing.assert_close(quick(x), slow, rtol=1e-12, atol=1e-12)


def test_taps_that_meet_nothing_have_no_gradient():
    _, quick = both(3, 1, 1)
    quick(torch.randn(4, 5, 2, 1, dtype=torch.double)).sum().backward()
    assert quick.weight.grad[..., 1].all()
    assert not quick.weight.grad[..., [0, 2]].any()


def test_a_gradient_lies_in_memory_as_its_weight_does():
    _, quick = both(3, 1, 1)
    quick.to(memory_format=torch.channels_last)
    quick(torch.randn(4, 5, 4, 2, dtype=torch.double)).sum().backward()
    assert quick.weight.grad.stride() == quick.weight.stride()


def test_in_bf16_it_gives_what_torchs_gives_in_bf16():
    conv, quick = both(3, 1, 1)
    x = torch.randn(4, 5, 4, 2)
    conv.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        theirs, ours = conv(x), quick(x)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    torch.testing.assert_close(ours, theirs, rtol=0.02, atol=0.02)
    (ours.float().sum() / 10).backward()
    assert quick.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("where", ["evaluated", "large"])
def test_elsewhere_it_is_torchs_to_the_bit(where):
    conv, quick = both(3, 1, 1)
    quick.train(where != "evaluated")
    x = torch.randn(2, 5, *((4, 2) if where == "evaluated" else (PLACES + 1, 1)))
    conv.float()
    assert torch.equal(quick(x), conv(x))


def test_what_it_cannot_stand_for_is_left_alone():
    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, bias=True),
        nn.Conv2d(4, 4, 3, bias=False, groups=2),
        nn.Conv2d(4, 4, 3, bias=False, dilation=2),
        nn.Conv2d(4, 4, 3, bias=False, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3, bias=False, padding="same"),
    )
    quick_on_small_maps(network)
    assert all(type(layer) is nn.Conv2d for layer in network)


def test_parameters_stay_the_same_objects_and_nothing_is_drawn():
    network = nn.Sequential(nn.Conv2d(4, 4, 3, bias=False), nn.Sequential(nn.Conv2d(4, 2, 1)))
    before = dict(network.named_parameters())
    state = torch.random.get_rng_state()
    quick_on_small_maps(network)
    assert torch.equal(state, torch.random.get_rng_state())
    assert isinstance(network[0], SmallMapConv2d)
    after = dict(network.named_parameters())
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)


@pytest.mark.parametrize("last_stride", [1, 2])
def test_a_whole_backbone_has_torchs_gradients(last_stride):
    theirs = backbones.build(Encoder(architecture="resnet18", last_stride=last_stride)).double()
    ours = quick_on_small_maps(copy.deepcopy(theirs))
    assert not any(isinstance(module, SmallMapConv2d) for module in theirs.modules())
    assert sum(isinstance(module, SmallMapConv2d) for module in ours.modules()) == 20
    images = torch.randn(4, 3, 64, 32, dtype=torch.double)
    for network in (ours, theirs):
        network(images).square().mean().backward()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-9, atol=1e-12)


def test_torch_refuses_what_it_refuses():
    _, quick = both(3, 1, 0)
    with pytest.raises(RuntimeError, match="size"):
        quick(torch.randn(1, 5, 2, 2, dtype=torch.double))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("height", "width"), [(4, 2), (4, 1), (16, 2), (32, 2)])
def test_in_bf16_a_map_one_place_wide_holds_nothing_but_the_convolution(
    height: int, width: int, training: bool
) -> None:
    """With memory that was lately full of NaN: torch's own, on a CPU with AMX, lets them in."""
    torch.manual_seed(0)
    own = nn.Conv2d(64, 64, 3, stride=2, padding=1, bias=False)
    pictures = torch.randn(6, 64, height, width)
    exact = own(pictures).detach()
    product = quick_on_small_maps(nn.Sequential(own)).train(training)
    for place in range(8):
        lately = [torch.full((997 + 513 * place,), torch.nan) for _ in range(20)]
        del lately
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = product(pictures.clone()).detach().float()
        torch.testing.assert_close(found, exact, rtol=0, atol=0.02 * float(exact.abs().max()))
