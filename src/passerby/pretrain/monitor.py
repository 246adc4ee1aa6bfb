"""The encoder as a re-ID model on training identities, while it is trained: a curve, no more.

What is scored is the backbone's feature, which is what transfer takes on, not the head's output.
The people are drawn from the training part of a benchmark. Nothing is chosen by it within a run:
people compare settings with it, and for that they may have the same people left out of pretraining
(`hold_out`).
"""

from passerby import seeds
from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.models.artifact import ModelCard
from passerby.models.backbones import Backbone
from passerby.models.embedder import Embedder
from passerby.models.networks import ReidNet, TorchNetwork
from passerby.settings import Encoder
from passerby.settings.pretraining import Monitor as Asked
from passerby.training.panel import Panel

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
        watched = benchmark.split("train").of_people(people(benchmark, asked))
        self._panel = Panel(watched, benchmark.protocol, asked.seed)
        self._threads = threads
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
        return self._panel.score(embedder, self._threads)
