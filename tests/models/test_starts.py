"""Where training may start, and what pretraining made."""

import pytest
import torch
from safetensors.torch import save_file

from passerby import files
from passerby.errors import BadInput
from passerby.models import backbones, init_file, starts
from passerby.models.init_file import InitHeader
from passerby.settings import Encoder, Start
from passerby.vision import torchvision

PART = "resnet18_imagenet1k_to_layer3.safetensors"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "start.safetensors"


def file_start(path, **rest) -> Start:
    return Start(kind="file", file=str(path), sha256=files.sha256(path), **rest)


def test_random_start_is_decided_by_its_seed(out, encoder):
    account = starts.initialise("random", Start(kind="random", seed=4), encoder, out)
    assert len(account.fresh) == 120
    state, header = init_file.read(out)
    assert torch.equal(state["conv1.weight"], backbones.build(encoder, 4).conv1.weight)
    assert header == InitHeader.of(encoder, "random, seed 4", fresh=("*",), title="random")
    before = out.read_bytes()
    starts.initialise("random", Start(kind="random", seed=4), encoder, out)
    assert out.read_bytes() == before


def test_file_start_holds_the_files_weights(tmp_path, out, encoder, state):
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    start = file_start(tmp_path / "a.pth", title="A's")
    assert str(starts.initialise("a", start, encoder, out)) == "120 of 120 backbone tensors"
    found, header = init_file.read(out)
    assert all(torch.equal(found[name], state[name]) for name in state)
    assert header == InitHeader.of(encoder, "file a.pth", title="A's")


def test_file_with_another_hash_is_refused_with_its_hash(tmp_path, out, encoder, state):
    save_file(state, tmp_path / "a.safetensors")
    start = Start(kind="file", file=str(tmp_path / "a.safetensors"), sha256="0" * 64)
    found = files.sha256(tmp_path / "a.safetensors")
    with pytest.raises(BadInput, match=rf"starts\.x: .*SHA-256 {found}, the settings say 000"):
        starts.initialise("x", start, encoder, out)
    assert not out.exists()


def test_missing_file_is_refused_by_the_key_that_names_it(tmp_path, out, encoder):
    start = Start(kind="file", file=str(tmp_path / "none.pth"), sha256="0")
    with pytest.raises(BadInput, match=r"starts\.x: .*none\.pth: no such file; put it there, or"):
        starts.initialise("x", start, encoder, out)


def test_file_of_another_architecture_is_refused(tmp_path, out, state):
    save_file(state, tmp_path / "a.safetensors")
    start = file_start(tmp_path / "a.safetensors")
    with pytest.raises(BadInput, match=r"a\.safetensors: .*The file is a resnet18, resnet34 was"):
        starts.initialise("x", start, Encoder(architecture="resnet34"), out)


def test_our_own_file_made_for_other_pooling_is_refused(tmp_path, out, encoder, state):
    other = encoder.model_copy(update={"stem_pooling": "fastreid"})
    init_file.write(tmp_path / "a.safetensors", state, InitHeader.of(other, "x"))
    start = file_start(tmp_path / "a.safetensors")
    with pytest.raises(
        BadInput, match="stem_pooling fastreid in the file, torchvision in 'encoder'"
    ):
        starts.initialise("x", start, encoder, out)


def test_what_started_afresh_in_our_own_file_is_still_listed(tmp_path, out, encoder, state):
    header = InitHeader.of(encoder, "x", fresh=("layer4.0.conv1.weight",))
    init_file.write(tmp_path / "a.safetensors", state, header)
    starts.initialise("x", file_start(tmp_path / "a.safetensors"), encoder, out)
    assert init_file.read(out)[1].fresh == ("layer4.0.conv1.weight",)


def test_fresh_blocks_begin_as_their_shortcut(tmp_path, out, encoder, state):
    lacking = {k: v for k, v in state.items() if not k.startswith(("layer4.1.conv", "layer4.1.bn"))}
    save_file(lacking, tmp_path / "a.safetensors")
    start = file_start(tmp_path / "a.safetensors", fresh=("layer4.1.*",), zero_fresh_norms=True)
    account = starts.initialise("x", start, encoder, out)
    found, header = init_file.read(out)
    assert header.fresh == account.fresh
    assert len(header.fresh) == 12
    assert header.source == "file a.safetensors; fresh blocks begin as their shortcut alone"
    assert found["layer4.1.bn2.weight"].abs().sum() == 0
    assert torch.equal(found["layer4.0.bn2.weight"], state["layer4.0.bn2.weight"])
    module = backbones.build(encoder).eval()
    module.load_state_dict(found)
    images = torch.rand(1, 512, 4, 2)
    with torch.no_grad():
        assert torch.equal(module.layer4[1](images), images)


def test_bottlenecks_begin_as_their_shortcut_too():
    module = backbones.build(Encoder(architecture="resnet50"))
    zeroed = starts.zero_fresh_norms(module, ("layer4.2.bn3.weight", "layer4.2.bn2.weight"))
    assert zeroed == ("layer4.2.bn3.weight",)
    assert module.layer4[2].bn3.weight.abs().sum() == 0
    assert module.layer4[2].bn2.weight.min() == 1


def test_torchvisions_weights_are_taken_from_its_cache(out, encoder, state, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    module = torchvision.models.resnet18(weights=None)
    module.load_state_dict(state, strict=False)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(module.state_dict(), tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    account = starts.initialise("imagenet", Start(kind="torchvision"), encoder, out)
    assert str(account) == "120 of 120 backbone tensors; left out fc.bias, fc.weight"
    found, header = init_file.read(out)
    assert torch.equal(found["conv1.weight"], state["conv1.weight"])
    assert header.source == "torchvision IMAGENET1K_V1"


def test_torchvisions_weights_out_of_reach_name_the_way_out(out, encoder, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BadInput) as refusal:
        starts.initialise("imagenet", Start(kind="torchvision"), encoder, out)
    message = str(refusal.value)
    assert message.startswith("starts.imagenet: torchvision's weights cannot be had (")
    assert "https://download.pytorch.org/models/resnet18-f37072fd.pth" in message
    assert "name it here: kind 'file'" in message


def test_pretrained_encoder_becomes_a_start(tmp_path, out, encoder, state):
    header = InitHeader.of(encoder, "pretrain moco", fresh=("layer4.0.conv1.weight",), title="moco")
    source = tmp_path / "weights.safetensors"
    init_file.write(source, state, header)
    account = starts.transfer_arm(encoder, source, out)
    assert str(account) == "120 of 120 backbone tensors"
    assert out.read_bytes() == source.read_bytes()


def test_pretrained_encoder_with_a_tensor_less_is_refused(tmp_path, out, encoder, state):
    source = tmp_path / "weights.safetensors"
    del state["layer1.0.conv1.weight"]
    init_file.write(source, state, InitHeader.of(encoder, "pretrain moco"))
    with pytest.raises(BadInput, match=r"weights\.safetensors: 1 tensor missing: layer1\.0\.conv1"):
        starts.transfer_arm(encoder, source, out)
    with pytest.raises(BadInput, match="architecture resnet18 in the file, resnet50 in 'encoder'"):
        starts.transfer_arm(Encoder(architecture="resnet50"), source, out)
    assert not out.exists()


@pytest.mark.real
def test_imagenet_part_is_an_imagenet_start_without_layer_4s_convolutions(realdata, out, encoder):
    path = realdata / "models" / PART
    start = file_start(path)
    with pytest.raises(BadInput, match=rf"{PART}: 20 tensors missing: layer4\.0\.conv1\.weight"):
        starts.initialise("part", start, encoder, out)
    fresh = ("layer4.[01].conv[12].weight", "layer4.[01].bn[12].*")
    start = file_start(path, fresh=fresh, zero_fresh_norms=True)
    account = starts.initialise("part", start, encoder, out)
    assert (len(account.loaded), len(account.fresh), len(account.counters)) == (80, 20, 20)
    found, header = init_file.read(out)
    assert header.fresh == account.fresh
    raw, _ = init_file.read_tensors(path)
    assert all(torch.equal(found[name], raw[name]) for name in raw)
    for block in ("layer4.0", "layer4.1"):
        assert found[f"{block}.bn2.weight"].abs().sum() == 0


def test_a_backbone_of_fast_reids_own_starts_at_random_with_nothing(out):
    encoder = Encoder(architecture="vit-base")
    starts.initialise("random", Start(kind="random", seed=4), encoder, out)
    assert init_file.read(out) == (
        {},
        InitHeader.of(encoder, "random, seed 4", fresh=("*",), title="random"),
    )


def test_a_backbone_of_fast_reids_own_takes_a_file_as_it_is_named(tmp_path, out):
    encoder = Encoder(architecture="resnest50")
    state = {"model": {"backbone.conv1.0.weight": torch.ones(2), "heads.weight": torch.ones(3)}}
    torch.save(state, tmp_path / "zoo.pth")
    start = Start(
        kind="file",
        file=str(tmp_path / "zoo.pth"),
        sha256=files.sha256(tmp_path / "zoo.pth"),
        fresh=("layer4.*",),
    )
    account = starts.initialise("zoo", start, encoder, out)
    found, header = init_file.read(out)
    assert list(found) == ["conv1.0.weight"]
    assert account.left_out == ("heads.weight",)
    assert header.fresh == ("layer4.*",)  # checked when fast-reid builds the backbone


def test_a_backbone_of_fast_reids_own_is_not_torchvisions(out):
    with pytest.raises(BadInput) as refused:
        starts.initialise(
            "imagenet", Start(kind="torchvision"), Encoder(architecture="vit-base"), out
        )
    assert str(refused.value) == (
        "starts.imagenet: torchvision has no weights of 'vit-base'; give a file"
    )
