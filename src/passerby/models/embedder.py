"""Features of pictures of people, by a model artifact.

Pictures are prepared as fast-reid prepares them (turned as their EXIF says, RGB, resized by Pillow,
bicubic unless the card says otherwise), so features are those of its inference.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from passerby.errors import BadInput, listing
from passerby.images import read_image
from passerby.models import networks
from passerby.models.artifact import ModelCard
from passerby.models.networks import Network
from passerby.progress import Progress

BATCH = 128
THREADS = 2


class Embedder:
    """Turns pictures of people into features.

    Features are never normalised: `card.distance` says by which distance they are to be compared.
    Equal pictures and batch give equal bytes, with any number of threads; another batch may move
    the last digits.

    Example:
        `features = Embedder.load("data/models/moco-published-100-0").embed([image, another])`
    """

    def __init__(self, network: Network, card: ModelCard) -> None:
        self._network = network
        self.card = card

    @classmethod
    def load(cls, folder: str | Path) -> "Embedder":
        """Make a model artifact ready to embed.

        Raises:
            BadInput: the folder holds no finished model, or weights that do not fit its card.
        """
        return cls(*networks.load(folder))

    def embed(
        self,
        images: Sequence[np.ndarray],
        batch: int = BATCH,
        flip: bool = False,
        threads: int = THREADS,
    ) -> np.ndarray:
        """Features of pictures in memory, `float32 (N, D)`.

        Args:
            images: Each `uint8 (H, W, 3)` RGB, of any size.
            batch: Pictures that go through the network at once.
            flip: Whether a feature is the mean of the picture's and of its mirror image's.
            threads: Batches in work at once, each on a thread of its own.

        Raises:
            BadInput: something else than pictures (its place in `images` is named), or what
                `embed_files` raises for features and batches.
        """
        for place, image in enumerate(images):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise BadInput(
                    f"image {place}: found {image.dtype} {image.shape}, "
                    "wanted uint8 (H, W, 3) in RGB"
                )
        names = [f"image {place}" for place in range(len(images))]
        progress = Progress("embed", len(images), "images", quiet=True)
        return self._features(images, names, self._resized, batch, flip, threads, progress)

    def embed_files(
        self,
        paths: Sequence[str | Path],
        batch: int = BATCH,
        flip: bool = False,
        threads: int = THREADS,
        progress: bool = True,
    ) -> np.ndarray:
        """Features of picture files, `float32 (N, D)`, in the order of `paths`.

        Args:
            paths: Files that Pillow reads.
            batch: Pictures that go through the network at once.
            flip: Whether a feature is the mean of the picture's and of its mirror image's.
            threads: Batches in work at once, each on a thread of its own.
            progress: Whether to show a progress line.

        Raises:
            BadInput: a file is missing or is not a whole picture, or its feature is not finite (it
                is named); a batch of no picture.
        """
        line = Progress("embed", len(paths), "images", quiet=not progress)
        return self._features(
            paths, paths, lambda path: self._resized(read_image(path)), batch, flip, threads, line
        )

    def _resized(self, image: np.ndarray) -> np.ndarray:
        size = (self.card.width_px, self.card.height_px)
        if self.card.interpolation == "opencv-bilinear":
            return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        way = Image.Resampling[self.card.interpolation.upper()]
        return np.asarray(Image.fromarray(image).resize(size, way))

    def _features(
        self,
        items: Sequence[Any],
        names: Sequence[str | Path],
        prepare: Callable[[Any], np.ndarray],
        batch: int,
        flip: bool,
        threads: int,
        progress: Progress,
    ) -> np.ndarray:
        for what, number in (("batch", batch), ("threads", threads)):
            if number < 1:
                raise BadInput(f"{what}: {number} found, a number from 1 wanted")

        def work(some: Sequence[Any]) -> np.ndarray:
            pictures = np.stack([prepare(item) for item in some])
            features = self._network(pictures)
            if not flip:
                return features
            mirrored = np.ascontiguousarray(pictures[:, :, ::-1])
            return (features + self._network(mirrored)) / 2

        if batch < 1 or threads < 1:
            raise BadInput(f"a batch of {batch} on {threads} threads; at least 1 of each wanted")
        batches = [items[begin : begin + batch] for begin in range(0, len(items), batch)]
        found = [np.empty((0, self.card.embedding_size), np.float32)]
        with progress, networks.workers(threads) as pool:
            for some, features in zip(batches, pool.map(work, batches), strict=True):
                _check_finite(features, some, progress.done)
                found.append(features)
                progress.step(len(features))
        return np.concatenate(found)


def _check_finite(features: np.ndarray, items: Sequence[Any], first: int) -> None:
    """Refuse features that hold NaN or infinity; `first` is the place of the first item.

    Raises:
        BadInput: the pictures that have them.
    """
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1)).tolist()
    if broken:
        named = [
            f"image {first + place}" if isinstance(items[place], np.ndarray) else items[place]
            for place in broken
        ]
        raise BadInput(
            f"{listing(named)}: the network's features of these pictures hold NaN or infinity; "
            "nothing can be compared with them: the network is broken, use another one"
        )
