"""Our data sets in fast-reid: labelled images as its items, batches from streams by name.

Stands in for fast-reid's own data set classes, which take labels from anywhere in a path (row D7),
list files in the file system's order (D8) and know only the sets that they were written for (D9).
"""

import itertools
from collections.abc import Collection, Iterator
from typing import Any

import torch

from passerby import seeds
from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.finetune.compat import fastreid

Item = tuple[str, str, str]
"""Path, person and camera; the names of the last two begin with the benchmark's."""


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


def check_people(people: int, people_per_batch: int) -> None:
    """Refuse fewer people than a batch holds (row D4).

    `samplers/triplet_sampler.py:NaiveIdentitySampler` would look for them for ever.

    Raises:
        BadInput: there are fewer.
    """
    if people < people_per_batch:
        raise BadInput(
            f"{people} labelled people, but a batch holds {people_per_batch} "
            "(finetune.people_per_batch): label a larger share, or make batches smaller"
        )


class EpochSampler(torch.utils.data.Sampler[int]):
    """The images of one epoch, drawn by fast-reid's P x K sampler from a stream of the epoch's own.

    An epoch can then be replayed without those before it (rows D10, C6). Upstream's sampler runs
    through all epochs and draws its seed from the global generator.

    Attributes:
        epoch: The epoch that the next `iter` draws, from 0.
    """

    def __init__(
        self,
        images: list[Item],
        people_per_batch: int,
        images_per_person: int,
        iterations: int,
        seed: int,
    ) -> None:
        self.epoch = 0
        self._images, self._images_per_person = images, images_per_person
        self._batch = people_per_batch * images_per_person
        self._iterations, self._seed = iterations, seed

    def __len__(self) -> int:
        return self._batch * self._iterations

    def __iter__(self) -> Iterator[int]:
        sampler = fastreid.data.samplers.NaiveIdentitySampler(
            self._images,
            self._batch,
            self._images_per_person,
            # It goes to `numpy.random.seed`, which takes 32 bits.
            seed=seeds.number(self._seed, "batches", self.epoch) % 2**32,
        )
        return itertools.islice(iter(sampler), len(self))


def loader(cfg: Any, images: list[Item], sampler: EpochSampler) -> Any:
    """fast-reid's loader of augmented batches: `images` are float `(B, 3, H, W)` in 0..255."""
    augment = fastreid.data.transforms.build_transforms(cfg, is_train=True)
    return fastreid.data.build.build_reid_train_loader(
        fastreid.data.common.CommDataset(images, augment, relabel=True),
        sampler=sampler,
        total_batch_size=cfg.SOLVER.IMS_PER_BATCH,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
    )
