import copy

import needs
import pytest
import torch
import triton_samples
from torch import nn

from passerby.models import backbones
from passerby.pretrain import batchnorm, batchnorm_triton, kernels
from passerby.pretrain.batchnorm import GroupedBatchNorm, by_chunks, by_view, grouped
from passerby.pretrain.batchnorm_triton import Norm
from passerby.settings import Encoder


def norm(channels: int, flat: bool = False) -> nn.Module:
    layer = nn.BatchNorm1d(channels) if flat else nn.BatchNorm2d(channels)
    for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
        tensor.data.uniform_(0.5, 1.5)
    return layer


@pytest.mark.parametrize("shape", [(12, 5), (12, 5, 4, 3)])
@pytest.mark.parametrize("groups", [1, 3, 4])
@pytest.mark.parametrize("channels_last", [False, True])
def test_each_chunk_is_normalised_as_batchnorm_does(shape, groups, channels_last):
    torch.manual_seed(0)
    plain = norm(5, flat=len(shape) == 2)
    layer = GroupedBatchNorm(copy.deepcopy(plain), groups)
    x = torch.randn(shape) * torch.linspace(1, 3, 12).view(-1, *[1] * (len(shape) - 1))
    if channels_last and len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    twins = [copy.deepcopy(plain) for _ in range(groups)]
    pairs = zip(twins, theirs.chunk(groups), strict=True)
    wanted = torch.cat([twin(part) for twin, part in pairs])
    found = layer(ours)
    torch.testing.assert_close(found, wanted)
    if channels_last and len(shape) == 4:
        assert found.is_contiguous(memory_format=torch.channels_last)
    # statistics: the mean of the twins'
    for name in ("running_mean", "running_var"):
        mean = torch.stack([getattr(twin, name) for twin in twins]).mean(0)
        torch.testing.assert_close(getattr(layer, name), mean)
    assert layer.num_batches_tracked == 1
    # gradients: of the input, and of the parameters the sum over the twins
    weights = torch.randn(shape)
    (found * weights).sum().backward()
    (wanted * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    for name in ("weight", "bias"):
        total = sum(getattr(twin, name).grad for twin in twins)
        torch.testing.assert_close(getattr(layer, name).grad, total)


@pytest.mark.parametrize("shape", [(12, 5), (12, 5, 4, 3)])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_the_form_as_a_view_is_the_form_by_chunks(shape, groups, residual, relu):
    found, wanted = (passed(form, shape, groups, residual, relu) for form in (by_view, by_chunks))
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


def passed(form, shape, groups, residual, relu) -> list[torch.Tensor]:
    """Output, gradients and running statistics in float64."""
    generator = torch.Generator().manual_seed(0)
    order = torch.channels_last if len(shape) == 4 else torch.contiguous_format

    def drawn(*size: int) -> torch.Tensor:
        return torch.randn(size, dtype=torch.float64, generator=generator)

    def map_of() -> torch.Tensor:
        return drawn(*shape).contiguous(memory_format=order).requires_grad_()

    x, added = map_of(), map_of() if residual else None
    weight, bias = drawn(5).requires_grad_(), drawn(5).requires_grad_()
    mean, variance = drawn(5), drawn(5).abs()
    y = form(x, added, Norm(weight, bias, mean, variance, groups, 0.1, 1e-5, relu))
    assert y.is_contiguous(memory_format=order)
    wanted = [tensor for tensor in (x, added, weight, bias) if tensor is not None]
    return [y, *torch.autograd.grad(y, wanted, drawn(*shape)), mean, variance]


@pytest.mark.slow
def test_the_kernels_are_the_form_by_chunks(tmp_path):
    needs.require("the package 'triton'")
    distances = triton_samples.run("batchnorm_in_triton.py", "interpreted", tmp_path)
    assert len(distances) == 7 * 2 * 2 * 2 + 7 * 2 * 2
    assert {name: off for name, off in distances.items() if not off < 1e-4} == {}


@pytest.mark.slow
def test_the_kernels_compile_for_two_generations_of_gpus_without_spills(tmp_path):
    needs.require("the package 'triton'")
    told = triton_samples.run("batchnorm_in_triton.py", "compiled", tmp_path)
    assert len(told) == 16
    for name, of_thread in told.items():
        assert of_thread["STACK"] == of_thread["LOCAL"] == 0, name
        # With 128 registers, 512 threads run at a time on each of a GPU's units. Those that add up
        # are as many as run at a time with 64.
        assert of_thread["REG"] <= (64 if name.startswith("sum") else 128), name


@pytest.mark.parametrize("tiles", [2, 4])
@pytest.mark.parametrize("groups", [1, 3, 8, 2000])
@pytest.mark.parametrize("channels", [1, 64, 130, 2048])
@pytest.mark.parametrize("rows", [1, 35, 1024, 24 * 512, 1 << 20])
def test_the_programs_that_add_up_cover_a_group_and_are_few(rows, channels, groups, tiles):
    steps, constants, (slices, along, across) = batchnorm_triton._slices(
        rows, channels, groups, tiles
    )
    chunk = tiles * constants["ROWS"]
    assert rows <= steps * slices * chunk < rows + slices * chunk
    assert channels <= across * constants["COLUMNS"] < channels + constants["COLUMNS"]
    assert along == groups
    assert slices.bit_count() == 1
    assert slices == 1 or slices * groups * across <= batchnorm_triton._SUM_PROGRAMS
    whole = rows % (slices * chunk) == 0 and channels % constants["COLUMNS"] == 0
    assert constants["EVEN"] == whole


def test_which_form_is_used_follows_from_the_device_and_from_compiling(monkeypatch):
    x = torch.empty(4, 3, 2, 2)
    assert batchnorm._form(x) is by_chunks
    assert batchnorm._form(x.to("meta")) is (
        # "meta" stands for a device that is no CPU; its maps here are not channels last
        by_view
    )
    last = x.to("meta").contiguous(memory_format=torch.channels_last)
    for there, form in ((False, by_view), (True, batchnorm_triton.normalise)):
        monkeypatch.setattr(kernels, "is_available", lambda there=there: there)
        assert batchnorm._form(last) is form
    assert batchnorm._form(last.double()) is by_view  # the kernels compute in float32


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
def test_a_network_in_one_group_trains_as_torchvisions_bit_by_bit(architecture):
    """ReLUs and sums inside the norms change no bit."""
    plain = backbones.build(Encoder(architecture=architecture)).train()
    network = grouped(copy.deepcopy(plain), 1)
    x = torch.randn(4, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    found, wanted = network(x), plain(x)
    assert torch.equal(found, wanted)
    found.square().sum().backward()
    wanted.square().sum().backward()
    theirs = dict(plain.named_parameters())
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter.grad, theirs[name].grad), name


def test_evaluation_is_batchnorms():
    torch.manual_seed(0)
    plain = norm(5).eval()
    layer = GroupedBatchNorm(copy.deepcopy(plain), 4).eval()
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    x = torch.randn(3, 5, 2, 2)  # groups need not divide it
    torch.testing.assert_close(layer(x), plain(x), rtol=0, atol=0)
    for name, tensor in layer.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_network_keeps_names_tensors_and_function():
    plain = backbones.build(Encoder()).eval()
    names = list(plain.state_dict())
    network = grouped(copy.deepcopy(plain), 2)
    assert list(network.state_dict()) == names
    assert not any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in network.modules())
    assert sum(isinstance(m, GroupedBatchNorm) for m in network.modules()) == 20
    x = torch.randn(2, 3, 32, 16)
    torch.testing.assert_close(network(x), plain(x))
    plain.load_state_dict(network.state_dict())


@torch.no_grad()
def leak(shuffled: bool) -> float:
    """How often statistics tell which sub-batch a key's query was in.

    Queries of four groups have a colour cast each, their keys the same. An encoder of one BatchNorm
    takes the cast of a group away from whoever is in it.
    """
    torch.manual_seed(0)
    groups, each = 4, 16
    cast = torch.eye(groups, 6).repeat_interleave(each, 0) * 5
    layer = GroupedBatchNorm(nn.BatchNorm1d(6), groups)
    body = torch.randn(groups * each, 6)
    order = torch.randperm(groups * each) if shuffled else torch.arange(groups * each)
    keys = layer((body + cast)[order])[order.argsort()]
    # What is left of the casts: without shuffling each group's mean is taken away whole.
    means = keys.view(groups, each, 6).mean(1)
    return float((means - means.mean(0)).norm() / cast.view(groups, each, 6).mean(1).norm())


def test_without_shuffling_statistics_take_a_groups_cast_away_and_with_it_they_do_not():
    assert leak(shuffled=False) < 1e-6
    assert leak(shuffled=True) > 0.3


@torch.no_grad()
def told(queries_and_keys_together: bool) -> float:
    """Share of keys whose query's group can be told from a value that only statistics gave them.

    Every picture is one of two contents; two groups have the same mixture of contents but another
    cast. Normalised, all pictures of a content look alike but for what statistics add.
    """
    torch.manual_seed(1)
    groups, each = 2, 8
    dark = torch.zeros(groups * each, 1)
    dark[: each // 4], dark[each : each + each // 2] = 1, 1  # group 0: a quarter, group 1: half
    layer = GroupedBatchNorm(nn.BatchNorm1d(1), groups)
    group_of = torch.arange(groups * each) // each
    # interleaved: every sub-batch of keys has as many of each group
    order = torch.arange(groups * each)
    if not queries_and_keys_together:
        order = order.view(groups, each).T.reshape(-1)
    keys = layer(dark[order])[order.argsort()].flatten()
    queries = layer(dark).flatten()
    # The nearest query of a key: of its own group, if statistics give the group away.
    told = [
        set(group_of[(queries - key).abs() < 1e-4].tolist()) == {int(group_of[i])}
        for i, key in enumerate(keys)
    ]
    return sum(told) / len(told)


def test_the_same_sub_batches_give_the_query_away_and_others_do_not():
    assert told(queries_and_keys_together=True) == 1.0
    assert told(queries_and_keys_together=False) == 0.0
