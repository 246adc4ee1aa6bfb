"""Backbones: names, geometry, seeds."""

import pytest
import torch

from passerby.errors import BadInput
from passerby.models import backbones
from passerby.settings import Encoder
from passerby.vision import torchvision

COUNTS = {"resnet18": 120, "resnet34": 216, "resnet50": 318, "resnet101": 624}


@pytest.mark.parametrize(("architecture", "count"), COUNTS.items())
def test_names_are_torchvisions_less_fc(architecture, count):
    ours = backbones.shapes(Encoder(architecture=architecture))
    with torch.device("meta"):
        theirs = torchvision.models.get_model(architecture, weights=None).state_dict()
    wanted = {k: tuple(v.shape) for k, v in theirs.items() if not k.startswith("fc.")}
    assert ours == wanted
    assert len(ours) == count


def test_published_geometry_computes_what_torchvision_computes():
    encoder = Encoder(architecture="resnet18", last_stride=2, stem_pooling="torchvision")
    ours = backbones.build(encoder).eval()
    theirs = torchvision.models.resnet18(weights=None).eval()
    theirs.fc = torch.nn.Identity()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))


@pytest.mark.parametrize(("last_stride", "size"), [(1, (4, 2)), (2, (2, 1))])
def test_last_stride_sets_the_size_of_the_feature_map(last_stride, size):
    module = backbones.build(Encoder(architecture="resnet18", last_stride=last_stride)).eval()
    with torch.no_grad():
        images = torch.ones(1, 3, 64, 32)
        found = module.feature_map(images)
        assert found.shape == (1, 512, *size)
        assert torch.allclose(module(images), found.mean(dim=(2, 3)), atol=1e-6)


def test_last_stride_one_holds_for_bottlenecks_too():
    with torch.device("meta"):
        module = backbones.Backbone(Encoder(architecture="resnet50", last_stride=1))
    assert module.feature_map(torch.ones(1, 3, 64, 32, device="meta")).shape == (1, 2048, 4, 2)


@pytest.mark.parametrize(("stem_pooling", "first"), [("torchvision", -1), ("fastreid", 0)])
def test_stem_pooling_begins_where_its_namesake_begins(stem_pooling, first):
    module = backbones.build(Encoder(architecture="resnet18", stem_pooling=stem_pooling))
    picture = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    slow = torch.empty(4, 3)
    for row in range(4):
        for column in range(3):
            top, left = first + 2 * row, first + 2 * column
            slow[row, column] = picture[max(top, 0) : top + 3, max(left, 0) : left + 3].max()
    assert torch.equal(module.maxpool(picture[None, None])[0, 0], slow)


def test_the_seed_decides_the_weights_and_nothing_else_does():
    encoder = Encoder(architecture="resnet18")
    torch.manual_seed(1)
    first = backbones.build(encoder, seed=4).conv1.weight
    torch.manual_seed(2)
    assert torch.equal(first, backbones.build(encoder, seed=4).conv1.weight)
    assert not torch.equal(first, backbones.build(encoder, seed=5).conv1.weight)


def test_building_leaves_the_global_random_state_alone():
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    backbones.build(Encoder(architecture="resnet18"))
    backbones.shapes(Encoder(architecture="resnet18"))
    assert torch.equal(torch.rand(3), wanted)


def test_a_backbone_of_fast_reids_own_is_refused_with_those_that_are_built_here():
    with pytest.raises(BadInput) as refused:
        backbones.build(Encoder(architecture="resnest50"))
    assert str(refused.value) == (
        "encoder.architecture: 'resnest50' is fast-reid's own: it can be finetuned from a file or "
        "at random; here one of resnet18, resnet34, resnet50, resnet101 was wanted"
    )
