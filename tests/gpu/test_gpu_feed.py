"""Views and batches on a GPU: the same as in other forms, and made without a wait of the host."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import pytest
import torch
from gpu_samples import on_gpu
from pretrain_samples import ENCODER
from torch import Tensor
from trainer_samples import arm

from passerby.errors import BadInput
from passerby.models import backbones
from passerby.pretrain import (
    kernels,
    moco,
    pictures,
    positives,
    views,
    views_table,
    views_triton,
    views_uint8,
)
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.draws import Draws, Geometry, draw
from passerby.pretrain.feed import Batch, Feed
from passerby.pretrain.pictures import Resident, Streaming
from passerby.pretrain.recipes import recipe
from passerby.pretrain.trainer import Trainer
from passerby.settings import Mining
from passerby.training.processes import Group

SIZE, MEAN, DEVIATION = (64, 32), (0.35, 0.31, 0.32), (0.27, 0.25, 0.26)
A_WHILE = 100_000_000
"""GPU cycles of a pause: about 50 ms."""
STEPS = 100
"""Length of the run to which the steps belong."""


def stored(size: tuple[int, int]) -> tuple[Tensor, np.ndarray, Draws]:
    """Twenty pictures, rows of them, and the draws of a view of each row."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (20, 8, 4, 3), np.uint8)
    noise = rng.integers(0, 256, (20, *size, 3), np.uint8)
    smooth = [pictures.at_size(picture, size) for picture in coarse]
    kept = np.where((np.arange(20) % 2 == 0)[:, None, None, None], np.stack(smooth), noise)
    drawn = draw(recipe("ori+sre"), Geometry(*SIZE, 0.2, "person"), np.full(48, 0.5), rng)
    assert all(some.any() and not some.all() for some in (drawn.jitter, drawn.grey, drawn.blur > 0))
    return torch.from_numpy(kept), rng.integers(0, 20, 48), drawn


def by_kernels(kept: Tensor, rows: np.ndarray, drawn: Draws) -> Tensor:
    table = views_table.table(drawn, rows, *kept.shape[1:3])
    there = torch.from_numpy(table).to(kept.device)
    return views_triton.apply(kept, there, SIZE, MEAN, DEVIATION)


def by_batches(kept: Tensor, rows: np.ndarray, drawn: Draws) -> Tensor:
    return views.apply(kept[torch.from_numpy(rows).to(kept.device)], drawn, SIZE, MEAN, DEVIATION)


FORMS = [
    pytest.param("cpu", by_batches, id="by_batches-cpu"),
    pytest.param("cuda", by_batches, id="by_batches-cuda", marks=pytest.mark.gpu),
    pytest.param("cuda", by_kernels, id="by_kernels-cuda", marks=pytest.mark.gpu),
]


@pytest.mark.parametrize(("device", "form"), FORMS, indirect=["device"])
@pytest.mark.parametrize("size", [(128, 64), (64, 32), (75, 37)])
def test_views_are_those_of_both_twins_also_inside_autocast(
    device: torch.device, form, size: tuple[int, int]
) -> None:
    kept, rows, drawn = stored(size)
    found = form(kept.to(device), rows, drawn)
    assert (found.shape, found.dtype) == ((48, 3, *SIZE), torch.float32)
    assert found.device == device
    assert found.is_contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        inside = form(kept.to(device), rows, drawn)
    assert torch.equal(inside, found)
    # A level of 255 is 0.015 of a normalised value.
    wanted = by_batches(kept, rows, drawn)
    torch.testing.assert_close(found.cpu(), wanted, atol=5e-4, rtol=0)
    with ThreadPoolExecutor(1) as pool:
        slow = views_uint8.apply(kept[rows], drawn, SIZE, MEAN, DEVIATION, pool, 1)
    off = (found.cpu() - slow).abs() * 0.26 * 255  # about levels
    # Hue magnifies the rounding of a level where colours are weak.
    assert off.mean() < 1.5
    assert off.flatten(1).quantile(0.99, dim=1).median() < 12


def feed(crops: CropSet, group: Group, how=Resident, **changes) -> Feed:
    asked = arm(height_px=32, width_px=16, **changes)
    opened = how(crops, (32, 16), 1, group.device)
    return Feed(crops, opened, positives.kind(asked, crops), asked, ENCODER, group, threads=1)


def equal(one: Batch, other: Batch) -> bool:
    return all(
        torch.equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)
    )


def test_streaming_gives_the_batches_of_resident_pictures(group: Group, crops: CropSet) -> None:
    kept, streamed = feed(crops, group), feed(crops, group, Streaming)
    pairs = zip(kept.batches(0, 4), streamed.batches(0, 4), strict=True)
    for one, other in pairs:
        assert all(getattr(one, field.name).device == group.device for field in fields(one))
        assert equal(one, other)


def test_batches_on_a_device_are_nearly_the_cpus(group: Group, crops: CropSet) -> None:
    """Crops, partners and draws are the same; a CPU makes views in whole levels of 255."""
    found = feed(crops, group).batch(1)
    wanted = feed(crops, Group(0, 1, torch.device("cpu")), Streaming).batch(1)
    for name in ("labels", "key_labels", "unshuffle"):
        assert torch.equal(getattr(found, name).cpu(), getattr(wanted, name))
    for name in ("queries", "keys"):
        off = (getattr(found, name).cpu() - getattr(wanted, name)).abs() * 0.225 * 255
        assert off.mean() < 1.5


def test_pictures_that_do_not_fit_are_refused_before_any_is_decoded(
    group: Group, crops: CropSet
) -> None:
    huge = (200_000, 100_000)  # 60 GB each
    with pytest.raises(BadInput) as refused:
        pictures.opened(crops, huge, "resident", 1, group.device, 1, quiet=True)
    said = str(refused.value)
    assert said.startswith("pretrain.feed: 'resident' needs 3840.00 GB for 64 pictures of ")
    assert f"are free on '{group.device.type}': ask for 'streaming' or 'auto'" in said
    assert isinstance(
        pictures.opened(crops, huge, "auto", 1, group.device, 1, quiet=True), Streaming
    )


@on_gpu
@pytest.mark.parametrize("how", [Resident, Streaming])
def test_batches_of_the_second_stream_are_complete_when_they_are_used_and_until_then(
    group: Group, crops: CropSet, how
) -> None:
    """Each stream is delayed where it would overtake the other if nothing prevented it."""
    made, plain = feed(crops, group, how), feed(crops, group)
    batch = made.batch

    def late(step: int) -> Batch:
        # On the second stream, before a batch is made; the first pause is longer than a use.
        torch.cuda._sleep((1 if step else 5) * A_WHILE)
        return batch(step)

    made.batch = late  # type: ignore[method-assign]
    taken = []
    for each in made.batches(0, 4):
        # The host does not wait for the training stream: it deletes this batch before its copy is
        # made, and asks for further batches, which must not get its memory.
        torch.cuda._sleep(2 * A_WHILE)
        taken.append(Batch(*(getattr(each, field.name).clone() for field in fields(each))))
        del each
    for step, found in enumerate(taken):
        assert equal(found, plain.batch(step)), step


@contextmanager
def nothing_waits() -> Iterator[None]:
    """Raise an error wherever the host would wait for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@on_gpu
def test_what_would_wait_is_noticed(device: torch.device) -> None:
    there = torch.zeros(4, device=device)
    with nothing_waits(), pytest.raises(RuntimeError, match="synchroniz"):
        there.sum().item()


KINDS = {
    "symmetric": {"positives": "view", "symmetric": True, "views": "moco"},
    "lars": {"positives": "view", "optimiser": "lars"},
    "tracklet": {"positives": "tracklet", "negatives": "camera"},
    "mined": {
        "positives": "mined",
        "mining": Mining(from_epoch=0, every_epochs=1, min_similarity=-1),
    },
}


@on_gpu
@pytest.mark.parametrize(
    ("kind_of_step", "triton"), [*((name, True) for name in KINDS), ("mined", False)]
)
def test_the_host_waits_for_nothing_in_an_epoch_of_batches_and_steps(
    group: Group, crops: CropSet, monkeypatch: pytest.MonkeyPatch, kind_of_step: str, triton: bool
) -> None:
    """With resident pictures, then with streamed ones; with Triton's kernels and without."""
    if not triton:
        monkeypatch.setattr(kernels, "is_available", lambda: False)
    asked = arm(height_px=32, width_px=16, **KINDS[kind_of_step])
    kind = positives.kind(asked, crops)
    encoder = moco.seeded(backbones.build(ENCODER), asked.dim, asked.mlp, asked.seed)
    trainer = Trainer(encoder, kind, asked, group, "bf16")
    if kind.wants_features(0):
        rng = np.random.default_rng(0)
        kind.learn(rng.standard_normal((len(crops), 8), np.float32), group)
        assert kind.figures()["pairs"] > 0
        trainer.friendship(kind)
    seen = torch.zeros((), device=group.device)
    for how in (Resident, Streaming):
        made = Feed(crops, how(crops, (32, 16), 1, group.device), kind, asked, ENCODER, group, 1)
        for batch in made.batches(0, 4):  # libraries are loaded, and memory is allocated
            trainer.train_step(batch, STEPS)
        with nothing_waits():
            for batch in made.batches(4, 8):
                seen += trainer.train_step(batch, STEPS)[0]
    trainer.require_finite()
    assert trainer.step == 16
    assert 0 < float(seen) < float("inf")
