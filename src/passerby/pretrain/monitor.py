"""The encoder as a re-ID model on training identities, while it is trained: a curve, no more.

What is scored is the backbone's feature, which is what transfer takes on, not the head's output.
The people are drawn from the training part of a benchmark; of their images one a person and camera
is a query. Nothing is chosen by it within a run: people compare settings with it, and for that they
may have the same people left out of pretraining (`hold_out`).
"""

import numpy as np

from passerby import seeds
from passerby.datasets.index import Benchmark, Items
from passerby.errors import BadInput
from passerby.evaluation import evaluate
from passerby.models.artifact import ModelCard
from passerby.models.backbones import Backbone
from passerby.models.embedder import BATCH, Embedder, read_image
from passerby.models.networks import ReidNet, TorchNetwork
from passerby.settings import Encoder
from passerby.settings.pretraining import Monitor as Asked

COLUMNS = ("epoch", "map", "rank_1")


def people(benchmark: Benchmark, asked: Asked) -> tuple[int, ...]:
    """The training identities that are looked at, sorted.

    Raises:
        BadInput: the benchmark has fewer.
    """
    there = benchmark.people("train")
    if len(there) < asked.people:
        raise BadInput(
            f"pretrain.monitor: {asked.people} people wanted, {benchmark.name} has {len(there)} "
            "training identities; set a smaller 'people'"
        )
    drawn = seeds.stream(asked.seed, "monitor").permutation(there)[: asked.people]
    return tuple(sorted(int(person) for person in drawn))


def queries(items: Items, seed: int) -> np.ndarray:
    """Which images are queries: one of each person and camera, bool `(N,)`."""
    chosen = np.zeros(len(items), bool)
    seen: set[tuple[int, int]] = set()
    for row in seeds.stream(seed, "monitor queries").permutation(len(items)).tolist():
        key = int(items.person[row]), int(items.camera[row])
        chosen[row] = key not in seen
        seen.add(key)
    return chosen


class Monitor:
    """Scores backbones on the same images each time.

    Args:
        benchmark: Whose training images are looked at.
        asked: Section `pretrain.monitor`.
        encoder: The network.
        size: Height and width of its input in pixels.
        threads: That embed.

    Raises:
        BadInput: an image cannot be read; too few people; nobody is in two cameras.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        asked: Asked,
        encoder: Encoder,
        size: tuple[int, int],
        threads: int,
    ) -> None:
        self._items = benchmark.split("train").of_people(people(benchmark, asked))
        self._queries = queries(self._items, asked.seed)
        self._images = [read_image(path) for path in self._items.paths]
        self._threads, self._kind = threads, benchmark.kind
        self._card = ModelCard.of(
            encoder,
            height_px=size[0],
            width_px=size[1],
            embedding_size=1,
            distance="cosine",
            trained_on="nothing with labels",
        )

    def score(self, backbone: Backbone) -> dict[str, float]:
        """mAP and rank-1, in [0, 1], of features as they are."""
        card = self._card.model_copy(update={"embedding_size": backbone.dim})
        net = ReidNet(card)
        net.backbone.load_state_dict(backbone.state_dict())
        embedder = Embedder(TorchNetwork(net, card), card)
        features = embedder.embed(self._images, BATCH, threads=self._threads)
        query, gallery = self._queries, ~self._queries
        found = evaluate(
            query_features=features[query],
            gallery_features=features[gallery],
            query_people=self._items.person[query],
            gallery_people=self._items.person[gallery],
            query_cameras=self._items.views[query],
            gallery_cameras=self._items.views[gallery],
            protocol=self._kind,
            distance="cosine",
            ranks=(1,),
            fars=(0.01,),
        )
        return {"map": found.map, "rank_1": found.ranking.cmc(1)}
