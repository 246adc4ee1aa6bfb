import copy

import needs
import pytest
import torch
import torch.nn.functional as F
import triton_samples
from torch import nn

from passerby.models import backbones
from passerby.pretrain import kernels, maxpool, maxpool_triton
from passerby.pretrain.batchnorm import grouped
from passerby.pretrain.maxpool import MaxPool
from passerby.settings import Encoder


@pytest.mark.slow
def test_the_kernels_are_torchs_pooling(tmp_path):
    needs.require("the package 'triton'")
    found = triton_samples.run("maxpool_in_triton.py", "interpreted", tmp_path)
    assert len(found) == 8 * 2 * 3
    for name, told in found.items():
        assert told["output"], name
        assert told["places"], name
        # Sums are in torch's order, so they are equal; in bfloat16 the last bit may be missing.
        assert told["gradient"] <= (2**-7 if "bfloat16" in name else 0), name


@pytest.mark.slow
def test_the_kernels_compile_for_two_generations_of_gpus_without_spills(tmp_path):
    needs.require("the package 'triton'")
    told = triton_samples.run("maxpool_in_triton.py", "compiled", tmp_path)
    assert len(told) == 6
    for name, of_thread in told.items():
        assert of_thread["STACK"] == of_thread["LOCAL"] == 0, name
        assert of_thread["REG"] <= 80, name  # 768 threads at a time on each of a GPU's units


def test_which_form_is_used_follows_from_the_device_and_the_map(monkeypatch):
    x = torch.empty(4, 3, 6, 5)
    ordered = x.contiguous(memory_format=torch.channels_last)
    assert maxpool._form(ordered) is maxpool.plain
    # "meta" stands for a device that is no CPU
    for there, form in ((False, maxpool.plain), (True, maxpool_triton.pool)):
        monkeypatch.setattr(kernels, "is_available", lambda there=there: there)
        assert maxpool._form(ordered.to("meta")) is form
    assert maxpool._form(x.to("meta")) is maxpool.plain
    assert maxpool._form(ordered.to("meta").double()) is maxpool.plain
    huge = torch.empty(2**16, 4, 2, 2, device="meta", memory_format=torch.channels_last)
    assert maxpool._form(huge) is maxpool.plain
    assert maxpool._form(huge[1:]) is maxpool_triton.pool


def test_a_compiled_layer_uses_torchs_operation(monkeypatch):
    monkeypatch.setattr(kernels, "is_available", lambda: True)
    compiled = []

    def backend(graph, inputs):
        compiled.append(graph.code)
        return graph

    x = torch.empty(4, 3, 6, 5, device="meta").contiguous(memory_format=torch.channels_last)
    torch.compile(MaxPool(), backend=backend, fullgraph=True)(x)
    (code,) = compiled
    assert "max_pool2d" in code
    assert "passerby" not in code


@pytest.mark.parametrize("channels_last", [False, True])
def test_on_a_cpu_the_layer_is_torchs_bit_by_bit(channels_last):
    x = torch.randn(2, 5, 7, 6, generator=torch.Generator().manual_seed(0))
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    found, wanted = MaxPool()(ours), nn.MaxPool2d(3, 2, 1)(theirs)
    assert torch.equal(found, wanted)
    assert found.stride() == wanted.stride()
    found.square().sum().backward()
    wanted.square().sum().backward()
    assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize(("height", "width"), [(4, 3), (7, 6)])
def test_shapes_without_values_are_those_of_torchs_operation(height, width):
    """As torch's fake tensors see the two operations."""
    x = torch.empty(2, 5, height, width, device="meta", dtype=torch.bfloat16)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    y = maxpool_triton.pool(x)
    wanted = F.max_pool2d(x, 3, 2, 1)
    assert (y.shape, y.dtype, y.stride()) == (wanted.shape, wanted.dtype, wanted.stride())
    (gradient,) = torch.autograd.grad(y, x, torch.empty_like(y))
    assert (gradient.shape, gradient.dtype) == (x.shape, x.dtype)


def test_only_a_pass_with_a_gradient_keeps_places():
    """Places are what a backward pass keeps: one byte for each window."""
    x = torch.empty(2, 4, 6, 6, device="meta").contiguous(memory_format=torch.channels_last)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda tensor: tensor):
        maxpool_triton.pool(x)
        with torch.no_grad():
            maxpool_triton.pool(x.requires_grad_())
        assert kept == []
        maxpool_triton.pool(x)
    assert [(tensor.dtype, tuple(tensor.shape)) for tensor in kept] == [(torch.uint8, (2, 4, 3, 3))]
    _, places = torch.ops.passerby.maxpool(x.detach(), False)
    assert places is None


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
def test_the_stem_of_a_resnet_gets_the_layer_and_its_state_keeps_its_names(architecture):
    plain = backbones.build(Encoder(architecture=architecture))
    network = grouped(copy.deepcopy(plain), 2)
    assert type(network.maxpool) is MaxPool
    assert list(network.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize(
    "other",
    [
        nn.MaxPool2d(2, 2, 1),
        nn.MaxPool2d(3, 1, 1),
        nn.MaxPool2d(3, 2, 0),
        nn.MaxPool2d(3, 2, 1, dilation=2),
        nn.MaxPool2d(3, 2, 1, return_indices=True),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.AvgPool2d(3, 2, 1),
    ],
    ids=repr,
)
def test_a_pooling_with_other_settings_stays(other):
    network = backbones.build(Encoder())
    network.maxpool = other
    assert grouped(network, 2).maxpool is other


def test_a_pooling_outside_of_a_stem_stays():
    other = nn.Sequential(nn.MaxPool2d(3, 2, 1))
    assert type(grouped(other, 2)[0]) is nn.MaxPool2d
