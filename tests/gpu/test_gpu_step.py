"""Steps of pretraining on a GPU, compared with the same steps on a CPU and in other forms.

Where these tests run on a CPU, they use the form of BatchNorm that a GPU has without Triton.
"""

from pathlib import Path

import needs
import pytest
import torch
from gpu_samples import distance, on_gpu, parts, stepped
from trainer_samples import made

from passerby.models import backbones
from passerby.pretrain import batchnorm, features
from passerby.pretrain.cropset import CropSet
from passerby.training import checkpoint
from passerby.training.processes import Group

CPU = torch.device("cpu")
# Statistics are of 16 pictures: with fewer, BatchNorm magnifies rounding.
SETTINGS = {
    "height_px": 32,
    "width_px": 16,
    "batch": 32,
    "bn_groups": 2,
    "warmup_steps": 0,
    "lr": 0.01,
    "momentum": 0.5,  # else key weights move by less than float32 can tell
}


def on_cpu(group: Group) -> Group:
    return Group(group.rank, group.world, CPU)


def of_another_form(monkeypatch: pytest.MonkeyPatch, device: torch.device) -> None:
    """On a CPU use the form as a view; a GPU has a form of its own."""
    if device.type == "cpu":
        monkeypatch.setattr(batchnorm, "_form", lambda x: batchnorm.by_view)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"symmetric": True, "optimiser": "lars", "lr": 1.0}])
def test_steps_in_float64_are_the_cpus(
    group: Group,
    crops: CropSet,
    monkeypatch: pytest.MonkeyPatch,
    device: torch.device,
    changes: dict,
) -> None:
    """Every weight, statistic and key is compared; rounding hides nothing."""
    slow, feed = made(crops, on_cpu(group), torch.float64, **SETTINGS | changes)
    batches, before = [feed.batch(step) for step in range(3)], parts(slow)
    wanted = stepped(slow, batches, torch.float64)
    of_another_form(monkeypatch, device)
    ours, _ = made(crops, group, torch.float64, **SETTINGS | changes)
    found = stepped(ours, batches, torch.float64)
    # The loss and the other measures are computed in float32.
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    theirs = parts(slow)
    assert theirs.keys() == parts(ours).keys()
    for name, tensor in parts(ours).items():
        off = distance(tensor, theirs[name], before.get(name, 0.0))
        assert off < 1e-3, f"{name}: {off}"


@pytest.mark.slow
def test_each_step_in_float32_is_the_one_of_a_cpu_in_float64(
    group: Group, crops: CropSet, monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    """By the fused kernels, where there are any; each step begins where the CPU is.

    On a CPU losses, statistics and keys in float32 were off by 6e-6 at most; other algorithms of
    convolution may add up in coarser parts. Where rounding puts a value on the other side of a
    ReLU's 0, a part of a gradient comes or goes: gradients were off by up to 1.5e-2. Weights of 1
    that move by 1e-5 are off by as much, for float32 has no more digits.
    """
    slow, feed = made(crops, on_cpu(group), torch.float64, **SETTINGS)
    of_another_form(monkeypatch, device)
    ours, _ = made(crops, group, torch.float32, **SETTINGS)
    for step in range(3):
        before = parts(slow)
        ours.restore(slow.state())
        batch = [feed.batch(step)]
        with monkeypatch.context() as patch:
            patch.setattr(batchnorm, "_form", lambda x: batchnorm.by_chunks)
            wanted = stepped(slow, batch, torch.float64)
        found = stepped(ours, batch, torch.float32)
        measured = [0, 2, 3, 4]  # not the accuracy, which jumps
        torch.testing.assert_close(found[:, measured], wanted[:, measured], atol=1e-5, rtol=1e-3)
        theirs = parts(slow)
        for name, tensor in parts(ours).items():
            off = distance(tensor, theirs[name], before.get(name, 0.0))
            assert off < (1e-3 if "running" in name or name == "queue" else 0.1), f"{name}: {off}"


@pytest.mark.slow
def test_features_for_mining_in_bf16_are_nearly_those_in_float32(
    group: Group, crops: CropSet, device: torch.device
) -> None:
    trainer, feed = made(crops, group, height_px=64, width_px=32)
    backbone = trainer.backbone()
    exact, lowered = (
        torch.from_numpy(features.of_crops(backbone, feed, len(crops), group, form))
        for form in ("fp32", "bf16")
    )
    assert exact.shape == (64, 512)
    assert not torch.equal(exact, lowered)  # it was bf16
    assert float((exact * lowered).sum(1).min()) > 0.99
    # Features of different crops differ by more than that.
    assert float((exact @ exact.T).min()) < 0.99
    on_a_cpu, feed = made(crops, on_cpu(group), height_px=64, width_px=32)
    slow = features.of_crops(on_a_cpu.backbone(), feed, len(crops), on_cpu(group), "fp32")
    # The CPU's pictures are in whole levels of 255.
    assert float((exact * torch.from_numpy(slow)).sum(1).min()) > 0.999


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "source", "target"),
    [
        ("cpu", "cpu", "cpu"),
        *(
            pytest.param("cuda", *route, marks=pytest.mark.gpu)
            for route in (("cuda", "cuda"), ("cuda", "cpu"), ("cpu", "cuda"))
        ),
    ],
    indirect=["device"],
)
def test_a_run_goes_on_from_a_checkpoint_on_another_device(
    group: Group, crops: CropSet, tmp_path: Path, source: str, target: str
) -> None:
    there = Group(0, 1, torch.device(target, 0 if target == "cuda" else None))
    begun, _ = made(crops, group if source == group.device.type else on_cpu(group), **SETTINGS)
    _, feed = made(crops, on_cpu(group), **SETTINGS)
    batches = [feed.batch(step) for step in range(4)]
    stepped(begun, batches[:2], torch.float32)
    checkpoint.save(tmp_path / "checkpoint.pt", {}, begun.state())
    kept = parts(begun)
    later, _ = made(crops, there, **SETTINGS)
    saved = checkpoint.load(tmp_path / "checkpoint.pt", {})
    assert saved is not None
    later.restore(saved)
    for name, tensor in parts(later).items():
        assert torch.equal(tensor, kept[name]), name
    states = later.optimiser.state
    assert len(states) == len(list(later.query_encoder.parameters()))
    for parameter, state in states.items():
        momentum = state["momentum_buffer"]
        assert momentum.device == parameter.device == there.device
        strides = zip(parameter.shape, parameter.stride(), momentum.stride(), strict=True)
        assert all(its == of_momentum for size, its, of_momentum in strides if size > 1)
    wanted, found = (stepped(one, batches[2:], torch.float32) for one in (begun, later))
    # The second loss follows an update, whose sums may be in another order.
    torch.testing.assert_close(found[0, 0], wanted[0, 0], atol=0, rtol=1e-4)
    torch.testing.assert_close(found[1, 0], wanted[1, 0], atol=0, rtol=1e-2)


@on_gpu
def test_compiled_encoders_train_what_plain_ones_do(
    group: Group, crops: CropSet, monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    """In float64, with a network of one block per stage, which compiles faster."""
    needs.require("a C++ compiler")
    block, _ = backbones._BLOCKS["resnet18"]
    monkeypatch.setitem(backbones._BLOCKS, "resnet18", (block, [1, 1, 1, 1]))
    plain, feed = made(crops, group, torch.float64, **SETTINGS)
    compiled, _ = made(crops, group, torch.float64, **SETTINGS, compile=True)
    before = parts(plain)
    batches = [feed.batch(step) for step in range(2)]
    wanted, found = (stepped(one, batches, torch.float64) for one in (plain, compiled))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    theirs = parts(plain)
    for name, tensor in parts(compiled).items():
        off = distance(tensor, theirs[name], before.get(name, 0.0))
        assert off < 1e-3, f"{name}: {off}"
