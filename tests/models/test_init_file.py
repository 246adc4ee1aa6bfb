"""The format of backbone weights."""

import pytest
import torch
from safetensors.torch import save_file

from passerby.errors import BadInput
from passerby.models import init_file
from passerby.models.init_file import InitHeader
from passerby.settings import Encoder


@pytest.fixture
def header(encoder) -> InitHeader:
    return InitHeader.of(encoder, "random, seed 0", fresh=("layer4.0.conv1.weight",), title="x")


def test_what_is_written_is_read(tmp_path, state, header):
    init_file.write(tmp_path / "a.safetensors", state, header)
    found, found_header = init_file.read(tmp_path / "a.safetensors")
    assert found_header == header
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_equal_weights_give_equal_bytes_in_any_order_and_layout(tmp_path, state, header):
    init_file.write(tmp_path / "a.safetensors", state, header)
    turned = {
        name: t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t
        for name, t in reversed(state.items())
    }
    init_file.write(tmp_path / "b.safetensors", turned, header)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"none\.safetensors: no such file"):
        init_file.read(tmp_path / "none.safetensors")


def test_cut_file_is_refused(tmp_path, state, header):
    path = tmp_path / "a.safetensors"
    init_file.write(path, state, header)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BadInput, match=r"a\.safetensors: not a whole safetensors file"):
        init_file.read(path)


def test_file_without_our_header_is_refused_with_the_way_out(tmp_path, state):
    save_file(state, tmp_path / "a.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match=r"weights without passerby's header.*kind 'file'"):
        init_file.read(tmp_path / "a.safetensors")
    assert init_file.read_tensors(tmp_path / "a.safetensors")[1] is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"format": "passerby.init/2"}', "format 'passerby.init/2', wanted 'passerby.init/1'"),
        ("[]", r"format \[\], wanted"),
        ("{", "its header, line 1: not JSON"),
        ('{"format": "passerby.init/1"}', "its header's 'architecture': Field required"),
    ],
)
def test_other_headers_are_refused(tmp_path, text, says):
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors", metadata={"passerby": text})
    with pytest.raises(BadInput, match=says):
        init_file.read(tmp_path / "a.safetensors")


def test_weights_for_another_encoder_are_refused_with_all_differences(header):
    other = Encoder(architecture="resnet50", stem_pooling="fastreid", mean=(0.5, 0.5, 0.5))
    with pytest.raises(BadInput) as refusal:
        init_file.require_fit("a.safetensors", header, other)
    assert str(refusal.value) == (
        "a.safetensors: weights for another encoder: "
        "architecture resnet18 in the file, resnet50 in 'encoder'; "
        "stem_pooling torchvision in the file, fastreid in 'encoder'; "
        "mean 0.485, 0.456, 0.406 in the file, 0.5, 0.5, 0.5 in 'encoder'. "
        "Make the settings agree, or make the weights anew"
    )


def test_weights_for_this_encoder_pass(header, encoder):
    init_file.require_fit("a.safetensors", header, encoder)
