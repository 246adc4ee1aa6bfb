"""Weights from every naming scheme, every tensor accounted for."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from passerby.errors import BadInput
from passerby.models import backbones, transfer
from passerby.settings import Encoder
from passerby.vision import torchvision


class Moco(nn.Module):
    """The modules of facebookresearch/moco, whose names LUPerson's checkpoints bear."""

    def __init__(self, backbone: nn.Module, compiled: bool = False) -> None:
        super().__init__()
        backbone.fc = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 128))
        self.encoder_q = torch.compile(backbone) if compiled else backbone
        self.encoder_k = backbones.build(Encoder(architecture="resnet18"), seed=99)
        self.register_buffer("queue", torch.zeros(128, 16))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))


def of(state):
    """A backbone that holds `state`."""
    module = backbones.build(Encoder(architecture="resnet18"))
    module.load_state_dict(state)
    return module


def bare(state):
    return state


def compiled(state):
    return torch.compile(of(state)).state_dict()


def data_parallel(state):
    return nn.DataParallel(of(state)).state_dict()


def compiled_in_data_parallel(state):
    return nn.DataParallel(torch.compile(of(state))).state_dict()


def data_parallel_in_compiled(state):
    return torch.compile(nn.DataParallel(of(state))).state_dict()


def torchvisions(state):
    module = torchvision.models.resnet18(weights=None)
    module.load_state_dict(state, strict=False)
    return module.state_dict()


def moco(state):
    return Moco(of(state)).state_dict()


def moco_with_compiled_encoder(state):
    return Moco(of(state), compiled=True).state_dict()


def lupersons(state):
    wrapped = nn.DataParallel(Moco(of(state)))
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.3)
    return {
        "epoch": 200,
        "arch": "resnet18",
        "state_dict": wrapped.state_dict(),
        "optimizer": optimizer.state_dict(),
    }


def fastreids(state):
    heads = {"heads.weight": torch.zeros(751, 512), "heads.bottleneck.0.bias": torch.zeros(512)}
    return {
        "model": {**{f"backbone.{name}": tensor for name, tensor in state.items()}, **heads},
        "iteration": 5,
        "metric": np.float64(0.5),
    }


def passerbys_model(state):
    return {**state, "neck.weight": torch.ones(512), "neck.bias": torch.zeros(512)}


SLOW = pytest.mark.slow  # torch.compile's first use imports its compiler
LAYOUTS = [
    bare,
    data_parallel,
    torchvisions,
    moco,
    lupersons,
    fastreids,
    passerbys_model,
    pytest.param(compiled, marks=SLOW),
    pytest.param(compiled_in_data_parallel, marks=SLOW),
    pytest.param(data_parallel_in_compiled, marks=SLOW),
    pytest.param(moco_with_compiled_encoder, marks=SLOW),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_backbone(layout, state, tmp_path):
    torch.save(layout(state), tmp_path / "weights.pth")
    raw, header = transfer.read_raw(tmp_path / "weights.pth")
    assert header is None
    assert transfer.backbone_state(raw).keys() == state.keys()
    module = backbones.build(Encoder(architecture="resnet18"))
    account = transfer.load_backbone(module, raw)
    assert sorted(account.loaded) == sorted(state)
    assert (account.fresh, account.counters) == ((), ())
    loaded = module.state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


def test_account_names_what_was_left_out(state):
    module = backbones.build(Encoder(architecture="resnet18"))
    account = transfer.load_backbone(module, torchvisions(state))
    assert str(account) == "120 of 120 backbone tensors; left out fc.bias, fc.weight"
    account = transfer.load_backbone(module, moco(state))
    assert len(account.left_out) == 4 + 120 + 2  # the head, the key encoder, queue and pointer
    assert "queue_ptr" in account.left_out


def test_safetensors_are_read_as_they_are(state, tmp_path):
    save_file(state, tmp_path / "a.safetensors")
    raw, header = transfer.read_raw(tmp_path / "a.safetensors")
    assert header is None
    assert raw.keys() == state.keys()


def test_other_architecture_is_refused_and_named(state):
    shapes = backbones.shapes(Encoder(architecture="resnet50"))
    other = {name: torch.zeros(shape) for name, shape in shapes.items()}
    module = of(state)
    with pytest.raises(BadInput) as refusal:
        transfer.load_backbone(module, other)
    assert str(refusal.value) == (
        "198 tensors not of this backbone: layer1.0.conv3.weight, layer1.0.bn3.weight, "
        "layer1.0.bn3.bias and 195 more; 23 tensors of another shape: "
        "layer1.0.conv1.weight (64, 64, 1, 1) instead of (64, 64, 3, 3), "
        "layer1.1.conv1.weight (64, 256, 1, 1) instead of (64, 64, 3, 3), "
        "layer2.0.conv1.weight (128, 256, 1, 1) instead of (128, 64, 3, 3) and 20 more. "
        "The file is a resnet50, resnet18 was wanted: set 'encoder.architecture', or give "
        "another file"
    )
    assert torch.equal(module.conv1.weight, state["conv1.weight"])


def test_unknown_prefix_is_refused_with_both_sides(state):
    other = {f"trunk.{name}": tensor for name, tensor in state.items()}
    with pytest.raises(
        BadInput, match=r"120 tensors missing: conv1\.weight.*120 tensors not of this"
    ):
        transfer.load_backbone(of(state), other)


def test_missing_tensors_are_refused_unless_they_may_start_afresh(state):
    lacking = {k: v for k, v in state.items() if not k.startswith("layer4.1.conv")}
    with pytest.raises(
        BadInput, match=r"^2 tensors missing: layer4\.1\.conv1\.weight, layer4\.1\.c"
    ):
        transfer.load_backbone(of(state), lacking)
    module = backbones.build(Encoder(architecture="resnet18"), seed=8)
    before = module.layer4[1].conv1.weight.clone()
    account = transfer.load_backbone(module, lacking, ["layer4.1.conv?.weight", "layer4.1.bn*"])
    assert account.fresh == ("layer4.1.conv1.weight", "layer4.1.conv2.weight")
    assert len(account.loaded) == 118
    assert torch.equal(module.layer4[1].conv1.weight, before)


def test_pattern_that_fits_nothing_is_refused(state):
    with pytest.raises(BadInput, match=r"'fresh' holds 'layer5\.\*', which fits no tensor"):
        transfer.load_backbone(of(state), state, ["layer5.*"])


def test_file_without_any_counter_loads_and_says_so(state):
    old = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    module = backbones.build(Encoder(architecture="resnet18"))
    account = transfer.load_backbone(module, old)
    assert str(account) == (
        "100 of 120 backbone tensors; 20 batch counters are not in the file and start at 0"
    )
    assert module.bn1.num_batches_tracked == 0


def test_file_that_lacks_some_counters_is_refused(state):
    del state["bn1.num_batches_tracked"]
    with pytest.raises(BadInput, match=r"^1 tensor missing: bn1\.num_batches_tracked"):
        transfer.load_backbone(backbones.build(Encoder(architecture="resnet18")), state)


def test_two_tensors_of_one_name_are_refused(state):
    state["module.conv1.weight"] = state["conv1.weight"]
    with pytest.raises(BadInput, match=r"two tensors are called conv1\.weight: module\.conv1"):
        transfer.backbone_state(state)


def test_checkpoint_without_tensors_is_refused_with_its_keys():
    with pytest.raises(BadInput, match="found the keys arch, epoch, wanted a state dict"):
        transfer.backbone_state({"epoch": 3, "arch": "resnet18"})


class Danger:
    """Calls something when it is unpickled."""

    def __reduce__(self):
        return print, ("called",)


def test_file_that_would_run_code_is_refused(tmp_path, capsys):
    torch.save({"state_dict": Danger()}, tmp_path / "a.pth")
    with pytest.raises(
        BadInput, match=r"a\.pth: not tensors as torch\.save writes them .it wants to call"
    ):
        transfer.read_raw(tmp_path / "a.pth")
    assert "called" not in capsys.readouterr().out


def test_what_is_no_torch_file_is_refused(tmp_path, state):
    with pytest.raises(BadInput, match=r"none\.pth: no such file"):
        transfer.read_raw(tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(
        BadInput, match=r"text\.pth: not tensors as torch\.save writes them .another format"
    ):
        transfer.read_raw(tmp_path / "text.pth")
    (tmp_path / "list.pth").write_bytes(pickle.dumps([1], protocol=2))
    with pytest.raises(BadInput, match=r"list\.pth"):
        transfer.read_raw(tmp_path / "list.pth")
    torch.save(state, tmp_path / "cut.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "cut.pth").read_bytes()[:5000])
    with pytest.raises(BadInput, match=r"cut\.pth: not tensors as torch\.save writes them"):
        transfer.read_raw(tmp_path / "cut.pth")
    torch.save([torch.ones(1)], tmp_path / "tensors.pth")
    with pytest.raises(BadInput, match=r"tensors\.pth: a state dict was wanted, found list"):
        transfer.read_raw(tmp_path / "tensors.pth")


def test_weights_that_are_no_numbers_are_refused_by_name(state):
    broken = {name: value.clone() for name, value in state.items()}
    broken["bn1.weight"][0] = float("nan")
    module = backbones.build(Encoder(architecture="resnet18"))
    with pytest.raises(BadInput, match=r"1 tensor with NaN or infinity in it: bn1\.weight"):
        transfer.load_backbone(module, broken)


def test_bfloat16_weights_and_parameters_simply_work(state, tmp_path):
    short = {name: nn.Parameter(v.bfloat16()) if v.ndim > 1 else v for name, v in state.items()}
    torch.save({"state_dict": short}, tmp_path / "a.pth")
    module = backbones.build(Encoder(architecture="resnet18"))
    transfer.load_backbone(module, transfer.read_raw(tmp_path / "a.pth")[0])
    found = module.state_dict()["conv1.weight"]
    assert torch.equal(found, state["conv1.weight"].bfloat16().float())
