"""What a step sees: crops, partners, views. All of it follows from the step's number.

Each purpose has a stream of its own that is named by the step, and every process draws for the
whole batch and takes its share. So there is no random state to save, and how many processes share
a batch changes no draw.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from passerby import seeds
from passerby.pretrain import draws, views
from passerby.pretrain.draws import Geometry
from passerby.pretrain.positives import Positives
from passerby.pretrain.recipes import Recipe, recipe
from passerby.pretrain.resident import Resident
from passerby.settings import Encoder, Pretrain
from passerby.training.processes import Group
from passerby.training.sampler import EpochSampler


@dataclass(frozen=True)
class Batch:
    """This process's part of a step.

    Attributes:
        queries: Views, `(n, 3, H, W)`.
        labels: Of the queries' crops, `(n,)`.
        keys: Views of the partners of *other* queries of the whole batch, shuffled, `(n, 3, H, W)`.
        key_labels: Of the whole batch's keys, in the order of its queries, `(N,)`.
        unshuffle: Takes gathered keys back to the order of the queries, `(N,)`.
    """

    queries: Tensor
    labels: Tensor
    keys: Tensor
    key_labels: Tensor
    unshuffle: Tensor


class Feed:
    """Makes batches from the crops in memory."""

    def __init__(
        self, crops: Resident, positives: Positives, arm: Pretrain, encoder: Encoder, group: Group
    ) -> None:
        self._crops, self._positives, self._arm, self._group = crops, positives, arm, group
        self._recipe: Recipe = recipe(arm.views)
        self._geometry = Geometry(arm.height_px, arm.width_px, arm.min_area, arm.aspect)
        self._statistics = encoder.mean, encoder.deviation
        self.sampler = EpochSampler(len(crops.shapes), arm.batch, arm.seed)

    def batch(self, step: int) -> Batch:
        """The part of a step that this process works on."""
        mine = self._group.share(self._arm.batch)
        rows = self.sampler.rows(step)
        partners = self._positives.partners(rows, self._stream("positives", step))
        shuffle = self._stream("shuffle", step).permutation(len(rows))
        labels = torch.from_numpy(self._positives.labels[rows]).to(self._group.device)
        return Batch(
            queries=self._views("queries", step, rows, np.arange(len(rows))[mine]),
            labels=labels[mine],
            keys=self._views("keys", step, partners, shuffle[mine]),
            key_labels=labels,
            unshuffle=torch.from_numpy(np.argsort(shuffle)).to(self._group.device),
        )

    def _views(self, purpose: str, step: int, rows: np.ndarray, mine: np.ndarray) -> Tensor:
        """Views of the crops `rows`, those at the places `mine`."""
        shapes = self._crops.shapes[rows]
        drawn = draws.draw(self._recipe, self._geometry, shapes, self._stream(purpose, step))
        pictures = self._crops.take(rows[mine], self._group.device)
        size = self._geometry.height_px, self._geometry.width_px
        return views.apply(pictures, drawn.take(mine), size, *self._statistics)

    def _stream(self, purpose: str, step: int) -> np.random.Generator:
        return seeds.stream(self._arm.seed, purpose, step)
