"""How much of a GPU's memory a step takes."""

import gc
from collections.abc import Callable

import pytest
import torch
from gpu_samples import STEPS, on_gpu

from passerby.models import backbones
from passerby.pretrain import batchnorm, batchnorm_triton, moco
from passerby.pretrain.feed import Batch
from passerby.pretrain.positives.view import View
from passerby.pretrain.trainer import Trainer
from passerby.settings import Encoder, Monitor, Pretrain
from passerby.training.processes import Group

QUIET = Monitor(benchmark="none", every_epochs=0)


def trainer(group: Group, encoder: Encoder, **changes: object) -> Trainer:
    asked = Pretrain.model_validate({"monitor": QUIET, "positives": "view", **changes})
    network = moco.seeded(backbones.build(encoder), asked.dim, asked.mlp, asked.seed)
    return Trainer(network, View(asked.batch), asked, group, "bf16")


def noise(trained: Trainer) -> Batch:
    """A batch of noise in the place of pictures."""
    asked, device = trained.arm, trained.group.device

    def pictures() -> torch.Tensor:
        shape = asked.batch, 3, asked.height_px, asked.width_px
        made = torch.randn(shape, device=device)
        return made.contiguous(memory_format=torch.channels_last)

    labels = torch.full((asked.batch,), -1, device=device)
    unshuffle = torch.randperm(asked.batch, device=device)
    return Batch(pictures(), labels, pictures(), labels, unshuffle)


@pytest.mark.slow
def test_a_step_on_pictures_of_nothing_measures_numbers(group: Group) -> None:
    small = trainer(group, Encoder(), height_px=64, width_px=32, batch=16, queue=64)
    assert small.train_step(noise(small), STEPS).isfinite().all()
    small.require_finite_weights()


def peak_bytes(group: Group, groups: int) -> int:
    """The most that torch allocates in the third step of a ResNet-50 on 64 pictures."""
    gc.collect()
    torch.cuda.empty_cache()
    large = trainer(
        group,
        Encoder(architecture="resnet50", last_stride=1),
        height_px=256,
        width_px=128,
        batch=64,
        bn_groups=groups,
    )
    batch = noise(large)
    for _ in range(2):
        large.train_step(batch, STEPS)
    torch.cuda.reset_peak_memory_stats()
    large.train_step(batch, STEPS)
    large.require_finite()
    return torch.cuda.max_memory_allocated()


@on_gpu
def test_a_step_of_a_resnet50_keeps_each_map_twice_at_most(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backward pass needs the outputs of convolutions and of ReLUs.

    At 256x128 and last stride 1, in bf16, these are 33 MB a picture, and with the weights in bf16
    2.12 GB (counted on fake tensors). The rest: 28 million parameters, four times in float32 (both
    encoders, gradients, momenta), 0.45 GB; two batches of pictures, 0.05 GB; gradients of four of
    the largest maps, 0.27 GB. That makes 2.9 GB; half as much again is for cuDNN's working space.
    """
    fused = peak_bytes(group, groups=4)
    assert 2.12e9 < fused < 1.5 * 2.9e9

    def plain(x: torch.Tensor) -> Callable[..., torch.Tensor]:
        return batchnorm.by_chunks

    x = torch.empty(4, 3, 2, 2, device=group.device).contiguous(memory_format=torch.channels_last)
    assert batchnorm._form(x) is batchnorm_triton.normalise
    monkeypatch.setattr(batchnorm, "_form", plain)
    # One group is torch's own BatchNorm of the whole batch. At their peaks the forms may differ by
    # one or two maps, which take 1 to 3 % of the memory.
    assert fused < 1.05 * peak_bytes(group, groups=1)
