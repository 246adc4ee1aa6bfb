"""The rival: finetuning as a plain PyTorch loop over fast-reid's own model, written anew.

Batches of P people and K pictures of each, from torch's DataLoader; forward, fast-reid's losses,
backward, step. No hooks, no history, no checkpoint, no seeds by name.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from passerby.finetune.compat import fastreid
from passerby.training import precision

Batch = tuple[Tensor, Tensor]
"""Pictures in 0..255, `(B, 3, H, W)`, and the numbers of their people, `(B,)`."""


class Files(Dataset[tuple[Tensor, int]]):
    """Augmented pictures with the numbers of their people.

    Args:
        paths: Picture files.
        people: The person on each, from 0.
        augment: Makes a tensor of a PIL picture.
    """

    def __init__(
        self, paths: Sequence[str], people: Sequence[int], augment: Callable[[Image.Image], Tensor]
    ) -> None:
        self.paths, self.people, self.augment = paths, people, augment

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        with Image.open(self.paths[place]) as file:
            picture = file.convert("RGB")
        return self.augment(picture), self.people[place]


class PeopleBatches(Sampler[list[int]]):
    """Batches of `count` people with `each` pictures of everybody, without end.

    Args:
        people: The person on each picture.
        count: People in a batch.
        each: Pictures of a person in a batch.
    """

    def __init__(self, people: Sequence[int], count: int, each: int) -> None:
        self.count, self.each = count, each
        self._pictures: dict[int, list[int]] = {}
        for place, person in enumerate(people):
            self._pictures.setdefault(person, []).append(place)

    def __iter__(self) -> Iterator[list[int]]:
        everybody = list(self._pictures)
        while True:
            chosen = random.sample(everybody, self.count)
            yield [place for person in chosen for place in self._of(person)]

    def _of(self, person: int) -> list[int]:
        pictures = self._pictures[person]
        draw = random.sample if len(pictures) >= self.each else random.choices
        return draw(pictures, k=self.each)


def batches(files: Files, count: int, each: int, device: torch.device) -> Iterator[Batch]:
    """Batches without end, on the device; no worker processes."""
    sampler = PeopleBatches(files.people, count, each)
    pinned = device.type == "cuda"
    for images, targets in DataLoader(files, batch_sampler=sampler, pin_memory=pinned):
        yield images.to(device, non_blocking=True), targets.to(device, non_blocking=True)


class Training:
    """The loop's body.

    Args:
        model: fast-reid's `Baseline`.
        lr: The constant rate.
        weight_decay: Of all parameters.
        number_format: Of the backbone, `fp32` or `bf16`; the rest is fp32.
    """

    def __init__(self, model: Any, lr: float, weight_decay: float, number_format: str) -> None:
        self.model, self._number_format = model.train(), number_format
        self._device = model.pixel_mean.device.type
        self._ce, self._triplet = (model.loss_kwargs[name] for name in ("ce", "tri"))
        trained = [value for value in model.parameters() if value.requires_grad]
        self.optimiser = torch.optim.Adam(trained, lr, weight_decay=weight_decay, fused=True)

    def loss(self, batch: Batch) -> Tensor:
        """The forward pass: smoothed cross-entropy and hard triplets."""
        images, targets = batch
        model, ce, triplet = self.model, self._ce, self._triplet
        pictures = (images - model.pixel_mean) / model.pixel_std
        with precision.autocast(self._device, self._number_format):
            features = model.backbone(pictures)
        out = model.heads(features.float(), targets)
        losses = fastreid.modeling.losses
        of_people = losses.cross_entropy_loss(out["cls_outputs"], targets, ce["eps"], ce["alpha"])
        of_triplets = losses.triplet_loss(
            out["features"],
            targets,
            triplet["margin"],
            triplet["norm_feat"],
            triplet["hard_mining"],
        )
        return of_people * ce["scale"] + of_triplets * triplet["scale"]

    def step(self, batch: Batch) -> None:
        """Train with a batch."""
        loss = self.loss(batch)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
