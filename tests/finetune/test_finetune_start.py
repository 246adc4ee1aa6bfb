"""Where finetuning starts: every tensor of a start is in the model, or it is refused."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from passerby.errors import BadInput
from passerby.finetune import recipes, start
from passerby.finetune.compat import fastreid
from passerby.finetune.start import Start, backbone_name
from passerby.models import backbones
from passerby.models.init_file import InitHeader
from passerby.settings import Encoder, Finetune

Build = Callable[..., tuple[Any, Start]]
RESNET50 = Encoder(architecture="resnet50")


@pytest.fixture
def build(plan: Finetune) -> Build:
    """The model of a recipe on `architecture`, from the weights of `origin`."""

    def go(
        recipe: str,
        architecture: str,
        origin: dict[str, Tensor],
        fresh: tuple[str, ...] = (),
        **changes: Any,
    ) -> tuple[Any, Start]:
        encoder = Encoder(architecture=architecture, **changes)
        size = {"height_px": 96, "width_px": 48, "freeze_share": 0.0}
        three = {"iterations": 3, "iterations_per_epoch": 1}
        asked = Finetune.model_validate({**plan.model_dump(), **size, **three, "recipe": recipe})
        begin = Start(origin, InitHeader.of(encoder, "a test", fresh), encoder)
        return begin.build(recipes.config(asked, encoder, 8, 24)), begin

    return go


def weights(encoder: Encoder) -> dict[str, Tensor]:
    """Random weights of a plain ResNet whose norms are not all ones and zeros."""
    state = backbones.build(encoder, seed=5).state_dict()
    torch.manual_seed(0)
    return {name: torch.rand_like(v) + 0.5 if v.ndim == 1 else v for name, v in state.items()}


def test_a_plain_resnet_fits_into_an_ibn_one_whose_instance_norms_start_afresh(
    build: Build,
) -> None:
    origin = weights(Encoder())
    model, begin = build("bot-ibn", "resnet18-ibn", origin)
    own = model.backbone.state_dict()
    fresh = [name for name in own if ".IN." in name]
    assert begin.account.fresh == tuple(fresh)
    assert str(begin.account) == (
        "120 of 132 backbone tensors; 12 start afresh: layer1.0.bn1.IN.weight, "
        "layer1.0.bn1.IN.bias, layer1.1.bn1.IN.weight, layer1.1.bn1.IN.bias, "
        "layer2.0.bn1.IN.weight and 7 more"
    )
    assert {name.rpartition(".IN.")[0] for name in fresh} == {
        f"layer{stage}.{block}.bn1" for stage in (1, 2, 3) for block in (0, 1)
    }
    # As fast-reid begins an instance norm.
    assert all(float(own[name].std()) == 0 for name in fresh)


def test_an_ibn_norm_by_batches_is_the_second_half_of_the_plain_one(build: Build) -> None:
    origin = weights(Encoder())
    model, _ = build("bot-ibn", "resnet18-ibn", origin)
    halves = 0
    for name, value in model.backbone.state_dict().items():
        if ".BN." not in name:
            assert ".IN." in name or torch.equal(value, origin[name])
            continue
        plain = origin[name.replace(".BN.", ".")]
        halves += value.ndim
        assert torch.equal(value, plain[len(plain) // 2 :] if plain.ndim else plain)
    assert halves == 6 * 4  # weight, bias, mean and variance of six norms


def test_a_plain_resnet_fits_into_a_non_local_one_whose_blocks_start_afresh(build: Build) -> None:
    origin = weights(RESNET50)
    model, begin = build("agw", "resnet50", origin)
    own = model.backbone.state_dict()
    assert (len(own), len(begin.account.loaded), len(begin.account.fresh)) == (383, 318, 65)
    assert {name.split(".")[0] for name in begin.account.fresh} == {"NL_2", "NL_3"}
    assert all(torch.equal(own[name], origin[name]) for name in origin)


@pytest.mark.slow
def test_a_plain_resnet_fills_mgns_trunk_and_all_of_its_branches(build: Build) -> None:
    origin = weights(RESNET50)
    model, begin = build("mgn", "resnet50", origin)
    own = model.state_dict()
    # 8 heads have an exponent of their pooling each; with average pooling it would be 674.
    assert (len(own), len([name for name in own if "pool_layer" in name])) == (674 + 8, 8)
    assert str(begin.account) == "318 of 318 backbone tensors"
    counterparts = {name: backbone_name(name) for name in own if backbone_name(name)}
    assert set(counterparts.values()) == set(origin)
    assert all(torch.equal(own[name], origin[inside]) for name, inside in counterparts.items())
    # Once in the trunk, or in each of three branches.
    times = {inside: list(counterparts.values()).count(inside) for inside in origin}
    deep = re.compile(r"layer3\.[1-5]\.|layer4\.")
    assert times == {inside: 3 if deep.match(inside) else 1 for inside in origin}


@pytest.mark.slow
def test_a_plain_resnet_fits_into_mgn_with_ibn(build: Build) -> None:
    origin = weights(RESNET50)
    model, begin = build("mgn-ibn", "resnet50-ibn", origin)
    assert (len(begin.account.loaded), len(begin.account.fresh)) == (318, 26)
    second = origin["layer3.2.bn1.weight"][128:]
    for branch in ("b1", "b2", "b3"):
        assert torch.equal(model.state_dict()[f"{branch}.0.1.bn1.BN.weight"], second)


@pytest.mark.parametrize(
    ("recipe", "architecture"), [("agw-ibn", "resnet50-ibn"), ("mgn-ibn", "resnet50-ibn")]
)
def test_every_tensor_of_a_model_is_the_heads_or_has_a_name_in_the_backbone(
    build: Build, recipe: str, architecture: str
) -> None:
    model, begin = build(recipe, architecture, {}, fresh=("*",))
    backbone = set(begin.account.fresh)
    inside = {name: backbone_name(name) for name in model.state_dict()}
    assert {name.split(".")[0] for name in inside if not inside[name]} == {
        name for name, _ in model.named_children() if "head" in name
    }
    assert set(inside.values()) - {""} == backbone


def test_c2_a_start_that_lacks_a_tensor_is_refused(build: Build) -> None:
    origin = weights(Encoder())
    del origin["layer4.1.conv2.weight"]
    for recipe, architecture in (("bot", "resnet18"), ("bot-ibn", "resnet18-ibn")):
        with pytest.raises(BadInput, match=r"1 tensor missing: layer4\.1\.conv2\.weight"):
            build(recipe, architecture, origin)
    _, begin = build("bot", "resnet18", origin, fresh=("layer4.1.conv2.*",))
    assert begin.account.fresh == ("layer4.1.conv2.weight",)


def test_c2_names_that_fast_reid_would_pass_over_are_refused(build: Build) -> None:
    origin = {f"encoder.{name}": value for name, value in weights(Encoder()).items()}
    with pytest.raises(BadInput, match=r"120 tensors missing: .*; 120 tensors not of this back"):
        build("bot", "resnet18", origin)


def test_c2_another_networks_weights_are_refused(build: Build) -> None:
    with pytest.raises(BadInput, match="The file is a resnet18, resnet50 was wanted"):
        build("mgn", "resnet50", weights(Encoder()))


def test_a_failed_build_leaves_fast_reids_own_builder_in_its_place(build: Build) -> None:
    places = (fastreid.modeling.meta_arch.baseline, fastreid.modeling.meta_arch.mgn)
    before = [place.build_backbone for place in places]
    with pytest.raises(BadInput):
        build("bot", "resnet18", {"conv1.weight": torch.zeros(1)})
    assert [place.build_backbone for place in places] == before


def test_what_started_afresh_in_the_file_does_not_come_along(build: Build) -> None:
    origin = weights(Encoder())
    for recipe, architecture in (("bot", "resnet18"), ("bot-ibn", "resnet18-ibn")):
        model, begin = build(recipe, architecture, origin, fresh=("layer1.0.bn1.*", "layer4.*"))
        names = [name for name, _ in model.named_parameters()]
        came = {name for name in names if begin.came_along(name)}
        assert "backbone.layer1.0.conv1.weight" in came
        assert not {name for name in came if name.startswith("heads.") or ".IN." in name}
        assert not {name for name in came if "layer1.0.bn1" in name or "layer4" in name}
        assert len(came) == 60 - 2 - 15


@pytest.mark.parametrize("pooling", ["torchvision", "fastreid"])
@pytest.mark.parametrize("stride", [1, 2])
def test_m2_fast_reids_backbone_computes_what_ours_does(
    build: Build, pooling: str, stride: int
) -> None:
    encoder = Encoder.model_validate({"stem_pooling": pooling, "last_stride": stride})
    ours = backbones.build(encoder, seed=5).eval()
    model, _ = build("bot", "resnet18", ours.state_dict(), stem_pooling=pooling, last_stride=stride)
    pictures = torch.rand(2, 3, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(model.backbone.eval()(pictures), ours.feature_map(pictures))


def test_m2_without_the_repair_the_same_weights_have_other_features(build: Build) -> None:
    origin = backbones.build(Encoder(), seed=5).state_dict()
    ours, _ = build("bot", "resnet18", origin)
    theirs, _ = build("bot", "resnet18", origin, stem_pooling="fastreid")
    pictures = torch.rand(2, 3, 64, 32)
    with torch.no_grad():
        one, other = (model.backbone.eval()(pictures) for model in (ours, theirs))
    assert one.shape == other.shape
    assert float((one - other).norm() / one.norm()) > 0.05


@pytest.mark.slow
def test_m2_mgns_trunk_has_the_pooling_of_the_encoder(build: Build) -> None:
    for pooling, padding in (("torchvision", 1), ("fastreid", 0)):
        model, _ = build("mgn", "resnet50", weights(RESNET50), stem_pooling=pooling)
        assert model.backbone[3].padding == padding


def test_a_batch_norm_counter_stays_whole_in_an_ibn_network(build: Build) -> None:
    origin = {**weights(Encoder()), "layer1.0.bn1.num_batches_tracked": torch.tensor(7)}
    model, _ = build("bot-ibn", "resnet18-ibn", origin)
    assert int(model.backbone.layer1[0].bn1.BN.num_batches_tracked) == 7


@pytest.mark.slow
def test_a_vision_transformers_positions_are_resized_to_the_picture(build: Build) -> None:
    """A ramp over 14 x 14 places stays one over 6 x 3; the class token's embedding stays."""
    model, _ = build("bot-vit", "vit-small", {}, ("*",))
    origin = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    down, right = torch.meshgrid(torch.arange(14.0), torch.arange(14.0), indexing="ij")
    ramp = (100 * down + right).reshape(1, 196, 1).expand(1, 196, 768)
    origin["pos_embed"] = torch.cat([torch.full((1, 1, 768), -5.0), ramp], 1)
    model, begin = build("bot-vit", "vit-small", origin)
    found = model.backbone.pos_embed[0, :, 0]
    assert len(begin.account.loaded) == len(origin)
    assert found[0] == -5
    rows, columns = torch.arange(6.0), torch.arange(3.0)
    wanted = 100 * ((rows + 0.5) * 14 / 6 - 0.5)[:, None] + (columns + 0.5) * 14 / 3 - 0.5
    torch.testing.assert_close(found[1:].reshape(6, 3), wanted)


def test_positions_that_are_no_square_are_refused() -> None:
    with pytest.raises(BadInput, match="pos_embed: 12 places, which are no square"):
        start.resized(torch.zeros(1, 13, 4), (3, 3))
