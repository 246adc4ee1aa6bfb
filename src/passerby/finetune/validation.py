"""Labelled people who are held out of training: a curve, the best weights, cross-validation.

They are dealt into folds by the seed, out of the labelled people alone; the test set takes no part.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from passerby import sealed, seeds
from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.models.artifact import ModelCard
from passerby.models.embedder import Embedder
from passerby.settings import Finetune, Validation
from passerby.training.panel import Panel

COLUMNS = ("iteration", "map", "rank_1")


def split(
    people: tuple[int, ...], asked: Validation, seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Those who are trained on, and those who are held out; both sorted.

    Args:
        people: The labelled people.
        asked: Section `finetune.validation`.
        seed: Of the run.

    Raises:
        BadInput: more folds than people.

    Example:
        >>> [split((3, 5, 8, 9), Validation(folds=2, fold=fold), 0)[1] for fold in (0, 1)]
        [(8, 9), (3, 5)]
    """
    if not asked.folds:
        return people, ()
    if asked.folds > len(people):
        raise BadInput(
            f"finetune.validation: {asked.folds} folds of {len(people)} labelled people: some "
            "would be empty; ask for fewer folds"
        )
    order = seeds.stream(seed, "folds").permutation(people).tolist()
    held_out = set(order[asked.fold :: asked.folds])
    return tuple(p for p in people if p not in held_out), tuple(sorted(held_out))


class Judge:
    """Scores fast-reid's model on the people who were held out.

    Args:
        benchmark: Their set.
        people: Who was held out.
        plan: The section `finetune`.
        seed: Of the run.
        threads: That embed.

    Raises:
        BadInput: an image cannot be read.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        people: tuple[int, ...],
        plan: Finetune,
        seed: int,
        threads: int,
    ) -> None:
        items = benchmark.split("train").of_people(people)
        self._panel, self._threads = Panel(items, benchmark.protocol, seed, whole=True), threads
        self._card = ModelCard(
            kind="onnx",  # of no format of ours: the network is the one that is trained
            architecture="fast-reid",
            height_px=plan.height_px,
            width_px=plan.width_px,
            mean=(0.0, 0.0, 0.0),
            deviation=(1.0, 1.0, 1.0),
            embedding_size=1,
            distance="cosine",
            trained_on=benchmark.name,
        )

    def score(self, model: Any, weights: Mapping[str, Tensor]) -> dict[str, float]:
        """mAP and rank-1, in [0, 1], of a model with these weights; it then has its own again."""
        own = {name: value.clone() for name, value in model.state_dict().items()}
        model.load_state_dict(weights)
        model.eval()
        network = Inference(model)
        pixels = np.zeros((1, self._card.height_px, self._card.width_px, 3), np.uint8)
        try:
            size = network(pixels).shape[1]
            card = self._card.model_copy(update={"embedding_size": size})
            return self._panel.score(Embedder(network, card), self._threads)
        finally:
            model.load_state_dict(own)
            model.train()


class Inference:
    """fast-reid's inference behind an `Embedder`: pictures of the right size in, features out.

    Args:
        model: In eval mode.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """`uint8 (B, H, W, 3)` RGB -> `float32 (B, D)`."""
        batch = torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous()
        with torch.inference_mode():
            return self._model(batch.to(self._model.pixel_mean.device)).float().cpu().numpy()


class Best:
    """The best score so far, and the weights that had it, in a file of scratch.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.row: dict[str, float] = {}

    def offer(self, row: dict[str, float], weights: Mapping[str, Tensor]) -> None:
        """Keep the weights if their mAP is above all before (row C4: also those before a kill)."""
        if not self.row or row["map"] > self.row["map"]:
            with sealed.written(self.path) as beside, open(beside, "wb") as file:
                torch.save(dict(weights), file)
            self.row = row

    def weights(self) -> dict[str, Tensor]:
        """The weights that were kept.

        Raises:
            Damaged: their file is missing or damaged; a run that goes on finds it, and begins anew.
        """
        content = io.BytesIO(sealed.read(self.path))
        kept: dict[str, Tensor] = torch.load(content, map_location="cpu", weights_only=True)
        return kept
