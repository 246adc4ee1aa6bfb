"""The rivals of `pretraining.py` behind one face: a stream of batches, and a step of training."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import _measure
import _published
from _published import Files, Training
from passerby.models import backbones
from passerby.pretrain import moco, pictures
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.feed import Batch, Feed
from passerby.pretrain.positives.view import View
from passerby.pretrain.recipes import recipe
from passerby.pretrain.trainer import Trainer
from passerby.settings import Encoder, Pretrain
from passerby.training.processes import Group

STEPS = 10**9
"""Of a run: so many that the learning rate stays at its peak."""

KINDS = ("loader", "model", "joint")
"""What is timed: batches alone, training on one batch again and again, both as in a run."""


@dataclass
class Rival:
    """One of those that are compared.

    Attributes:
        what: What it is, in words.
        number_format: Of its forward passes.
        batches: Without end, on the device.
        train: One step with a batch.
        ahead: Batches that its workers have ready after a rest: taken before the clock starts.
        together: Batches that its workers finish at about the same time: timed as one.
        peak_mb: Most of a GPU's memory that it needs.
    """

    what: str
    number_format: str
    batches: Iterator[Any]
    train: Callable[[Any], object]
    ahead: int = 1
    together: int = 1
    peak_mb: float | None = None
    prepared: Any = field(init=False)

    def __post_init__(self) -> None:
        self.prepared = next(self.batches)

    def timed(self, kind: str, batch: int, seconds: float, wait: Callable[[], object]) -> float:
        """Pairs per second of one kind of work.

        Args:
            kind: One of `KINDS`.
            batch: Pairs in a batch.
            seconds: That it takes at least.
            wait: For the device.
        """
        one, lead_in, together = {
            "loader": (lambda: next(self.batches), self.ahead, self.together),
            "model": (lambda: self.train(self.prepared), 1, 1),
            "joint": (lambda: self.train(next(self.batches)), self.ahead, self.together),
        }[kind]
        _measure.rest()
        _times(one, lead_in)
        return _measure.rate(lambda: _times(one, together), batch * together, seconds, wait)


def _times(work: Callable[[], object], count: int) -> None:
    for _ in range(count):
        work()


def network(arm: Pretrain, encoder: Encoder) -> moco.Encoder:
    """The network that all of them train, with the same first weights."""
    return moco.seeded(backbones.build(encoder, arm.seed), arm.dim, arm.mlp, arm.seed)


def peak_rate(arm: Pretrain) -> float:
    """The learning rate after the warm-up."""
    return arm.lr * arm.batch / 256


def published_batches(
    paths: list[Path], arm: Pretrain, encoder: Encoder, workers: int, device: torch.device
) -> Iterator[Any]:
    """Batches of the published way; the workers start with the first of them."""
    made = Files(paths, _published.changes(recipe(arm.views), arm, encoder))
    return _published.batches(made, arm.batch, workers, device)


def published(
    batches: Iterator[Any],
    arm: Pretrain,
    encoder: Encoder,
    workers: int,
    device: torch.device,
    number_format: str,
) -> Rival:
    """The published way in a number format."""
    training = Training(network(arm, encoder), arm, device, number_format, peak_rate(arm))

    return Rival(
        f"files, PIL, DataLoader with num_workers={workers}, plain step",
        number_format,
        batches,
        training.step,
        ahead=workers * _published.PREFETCH,
        together=workers,
    )


def parts(
    crops: CropSet,
    kept: pictures.Resident,
    arm: Pretrain,
    encoder: Encoder,
    group: Group,
    threads: int,
    number_format: str,
) -> tuple[Feed, Trainer]:
    """Feed and trainer of passerby, with pictures in memory."""
    kind = View(len(crops))
    feed = Feed(crops, kept, kind, arm, encoder, group, threads)
    return feed, Trainer(network(arm, encoder), kind, arm, group, number_format)


def resident(crops: CropSet, arm: Pretrain, group: Group, threads: int) -> pictures.Resident:
    """The crops in memory, at the size that the settings ask for."""
    size = round(arm.height_px * arm.resident_scale), round(arm.width_px * arm.resident_scale)
    return pictures.Resident(crops, size, threads, group.device, quiet=True)


def ours(
    crops: CropSet, arm: Pretrain, encoder: Encoder, group: Group, threads: int, number_format: str
) -> Rival:
    """passerby's own pretraining, its crops in memory."""
    kept = resident(crops, arm, group, threads)
    return trained(*parts(crops, kept, arm, encoder, group, threads, number_format))


def trained(feed: Feed, trainer: Trainer) -> Rival:
    """A feed and a trainer of passerby as a rival, which can be timed."""
    return Rival(
        "crops in memory, passerby's step",
        trainer.number_format,
        endless(feed),
        lambda batch: trainer.train_step(batch, STEPS),
    )


def endless(feed: Feed) -> Iterator[Batch]:
    """The batches of one epoch after another, without end."""
    steps = feed.sampler.steps_per_epoch
    for epoch in itertools.count():
        yield from feed.batches(epoch * steps, (epoch + 1) * steps)
