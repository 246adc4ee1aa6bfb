"""Labelled training images on which an encoder is scored while it is trained.

One image of each person and camera is a query. Such a score compares settings and draws curves; no
test set takes part.
"""

from typing import Any

import numpy as np

from passerby import seeds
from passerby.datasets.index import Items
from passerby.evaluation import Result, evaluate
from passerby.images import read_image
from passerby.models.embedder import BATCH, Embedder


def queries(items: Items, seed: int) -> np.ndarray:
    """Which images are queries: one of each person and camera, bool `(N,)`."""
    chosen = np.zeros(len(items), bool)
    seen: set[tuple[int, int]] = set()
    for row in seeds.stream(seed, "monitor queries").permutation(len(items)).tolist():
        key = int(items.person[row]), int(items.camera[row])
        chosen[row] = key not in seen
        seen.add(key)
    return chosen


class Panel:
    """Scores encoders on the same images each time.

    Args:
        items: The images.
        protocol: Name of the rules, that of the benchmark.
        seed: Draws which images are queries.
        whole: Whether queries are in the gallery too. Where a person has few images it is empty
            otherwise; no query meets itself, since its own camera's matches are left out.

    Raises:
        BadInput: an image cannot be read.
    """

    def __init__(self, items: Items, protocol: str, seed: int, whole: bool = False) -> None:
        self._items, self._protocol = items, protocol
        self._queries = queries(items, seed)
        self._gallery = np.ones(len(items), bool) if whole else ~self._queries
        self._images = [read_image(path) for path in items.paths]

    def score(self, embedder: Embedder, threads: int) -> dict[str, float]:
        """mAP and rank-1, in [0, 1], by the cosine of features.

        Raises:
            BadInput: nobody is in two cameras.
        """
        found = self.assess(embedder, threads, distance="cosine", ranks=(1,), fars=(0.01,))
        return {"map": found.map, "rank_1": found.ranking.cmc(1)}

    def assess(self, embedder: Embedder, threads: int, **asked: Any) -> Result:
        """The whole evaluation of the images.

        Args:
            embedder: The encoder.
            threads: That embed.
            asked: Further arguments of `evaluate`.

        Raises:
            BadInput: nobody is in two cameras.
        """
        features = embedder.embed(self._images, BATCH, threads=threads)
        query, gallery = self._queries, self._gallery
        return evaluate(
            query_features=features[query],
            gallery_features=features[gallery],
            query_people=self._items.person[query],
            gallery_people=self._items.person[gallery],
            query_cameras=self._items.views[query],
            gallery_cameras=self._items.views[gallery],
            protocol=self._protocol,
            **asked,
        )
