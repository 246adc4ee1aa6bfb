"""Our data sets in fast-reid: labelled images as its items, batches from streams by name.

Stands in for fast-reid's own data set classes, which take labels from anywhere in a path (row D7),
list files in the file system's order (D8) and know only the sets that they were written for (D9).
"""

import itertools
import random
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from passerby import seeds
from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.finetune.compat import fastreid

Item = tuple[str, str, str]
"""Path, person and camera; the names of the last two begin with the benchmark's."""


class Drawn(NamedTuple):
    """One image of an epoch: its place in the epoch names the stream that augments it."""

    epoch: int
    place: int
    image: int


def items(benchmark: Benchmark, people: Collection[int]) -> list[Item]:
    """The training images of some people as fast-reid takes them, sorted by path.

    Args:
        benchmark: The labelled set.
        people: The people whose labels are used.
    """
    kept = benchmark.split("train").of_people(people)
    return [
        (str(path), f"{benchmark.name}_{person}", f"{benchmark.name}_c{camera}")
        for path, person, camera in zip(kept.paths, kept.person, kept.camera, strict=True)
    ]


def check_batch(people: int, per_batch: int, processes: int) -> None:
    """Refuse batches that fast-reid's sampler would look for for ever, or learn nothing from.

    Rows D4 (`samplers/triplet_sampler.py:NaiveIdentitySampler` wants as many people as a batch
    holds) and M3 (triplets are found within a process: with one person there the loss is 0).

    Args:
        people: Labelled people that are trained on.
        per_batch: People in a batch, over all processes.
        processes: That share a batch.

    Raises:
        BadInput: there are fewer people than in a batch, or a process has fewer than two.
    """
    if people < per_batch:
        raise BadInput(
            f"{people} labelled people, but a batch holds {per_batch} "
            "(finetune.people_per_batch): label a larger share, or make batches smaller"
        )
    if per_batch % processes or per_batch // processes < 2:
        raise BadInput(
            f"a batch of {per_batch} people (finetune.people_per_batch) shared by {processes} "
            "processes: each needs the same number of people, two at least, to find triplets"
        )


class EpochSampler(torch.utils.data.Sampler[Drawn]):
    """The images of an epoch, drawn by fast-reid's P x K sampler from a stream of the epoch's own.

    Any step can then be made again without those before it (rows D10, C6). Upstream's sampler runs
    through all epochs and draws its seed from the global generator.

    Attributes:
        epoch: The epoch that the next `iter` begins with, from 0.
        first: The iteration of that epoch from which on images are handed out, from 0.
        epochs: How many epochs the next `iter` draws, one after the other.
    """

    def __init__(
        self,
        images: list[Item],
        people_per_batch: int,
        images_per_person: int,
        iterations: int,
        seed: int,
    ) -> None:
        self.epoch, self.first, self.epochs = 0, 0, 1
        self._images, self._images_per_person = images, images_per_person
        self._rank, self._world = (
            fastreid.utils.comm.get_rank(),
            fastreid.utils.comm.get_world_size(),
        )
        self._batch = people_per_batch // self._world * images_per_person
        self._iterations, self._seed = iterations, seed

    def __len__(self) -> int:
        return self._batch * (self._iterations * self.epochs - self.first)

    def __iter__(self) -> Iterator[Drawn]:
        first = self.first
        for epoch in range(self.epoch, self.epoch + self.epochs):
            yield from self._drawn(epoch, first)
            first = 0

    def _drawn(self, epoch: int, first: int) -> Iterator[Drawn]:
        """The images of one epoch, from an iteration of it on."""
        sampler = fastreid.data.samplers.NaiveIdentitySampler(
            self._images,
            self._batch,
            self._images_per_person,
            # It goes to `numpy.random.seed`, which takes 32 bits.
            seed=seeds.number(self._seed, "batches", epoch) % 2**32,
        )
        # At once: it draws from numpy's global generator, which augmentation draws from too.
        indices = list(itertools.islice(iter(sampler), self._batch * self._iterations))
        for place in range(first * self._batch, len(indices)):
            yield Drawn(epoch, place * self._world + self._rank, indices[place])


class Augmented(fastreid.data.common.CommDataset):
    """fast-reid's data set, each draw augmented from a stream of its own.

    Its transforms draw from three global generators. Seeded here for every image, they give the
    same picture whichever worker makes it, and after whichever others.
    """

    def __init__(self, images: list[Item], augment: Any, seed: int) -> None:
        super().__init__(images, augment, relabel=True)
        self._seed = seed

    def __getitem__(self, drawn: Drawn) -> dict[str, Any]:
        number = seeds.number(self._seed, "augment", drawn.epoch, drawn.place)
        random.seed(number)
        np.random.seed(number % 2**32)
        torch.default_generator.manual_seed(number)
        return super().__getitem__(drawn.image)


def loader(cfg: Any, images: list[Item], sampler: EpochSampler, seed: int) -> Any:
    """fast-reid's loader of augmented batches: `images` are float `(B, 3, H, W)` in 0..255."""
    augment = fastreid.data.transforms.build_transforms(cfg, is_train=True)
    return fastreid.data.build.build_reid_train_loader(
        Augmented(images, augment, seed),
        sampler=sampler,
        total_batch_size=cfg.SOLVER.IMS_PER_BATCH,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
    )
