"""Labelled pictures in memory, split by people: nobody is both in training and in validation."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from passerby import seeds
from passerby.errors import BadInput
from passerby.images import read_image
from passerby.settings import Encoder
from passerby.training.upload import sent


def split(people: Collection[int], share: float, seed: int) -> tuple[tuple[int, ...], ...]:
    """Training people and validation people, each sorted.

    Args:
        people: All labelled people.
        share: Of them for validation, in (0, 1); at least one.
        seed: Of the draw.

    Raises:
        BadInput: nobody would be left to train on.

    Example:
        >>> [len(part) for part in split(range(1, 11), 0.3, seed=0)]
        [7, 3]
    """
    ordered = sorted(people)
    kept_out = max(1, round(share * len(ordered)))
    if kept_out >= len(ordered):
        raise BadInput(
            f"{len(ordered)} labelled people, {kept_out} of them for validation: nobody is left "
            "to train on; give more people, or a smaller 'validation_share'"
        )
    drawn = seeds.stream(seed, "validation").permutation(len(ordered))
    parts = drawn[kept_out:], drawn[:kept_out]
    return tuple(tuple(sorted(int(ordered[i]) for i in part)) for part in parts)


def load(paths: Sequence[Path], height_px: int, width_px: int, threads: int) -> Tensor:
    """Read and resize pictures as an embedder does, `uint8 (N, 3, height_px, width_px)`.

    Raises:
        BadInput: one is missing or is not a whole picture.
    """

    def one(path: Path) -> np.ndarray:
        picture = Image.fromarray(read_image(path))
        return np.asarray(picture.resize((width_px, height_px), Image.Resampling.BICUBIC))

    with ThreadPoolExecutor(threads) as pool:
        stacked = np.stack(list(pool.map(one, paths)))
    return torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)))


def normalised(images: Tensor, encoder: Encoder) -> Tensor:
    """Bytes as the network takes them: `float (B, 3, H, W)`, less the mean, over the deviation."""
    mean, deviation = (
        sent(torch.tensor(values), images.device)[:, None, None]
        for values in (encoder.mean, encoder.deviation)
    )
    return (images.float() / 255 - mean) / deviation
