"""Thresholds for a model, chosen on labelled people it was not trained on."""

from collections.abc import Sequence
from pathlib import Path

from passerby import places
from passerby.datasets.index import Benchmark, Items
from passerby.errors import BadInput
from passerby.evaluation import thresholds
from passerby.models import artifact
from passerby.models.artifact import ModelCard
from passerby.models.embedder import Embedder
from passerby.training.panel import Panel

FARS = (1e-4, 1e-3, 1e-2)
DRAWS = 1_000


def calibrate(
    folder: str | Path,
    items: Items,
    protocol: str,
    chosen_on: str,
    threads: int,
    fars: Sequence[float] = FARS,
) -> ModelCard:
    """Choose thresholds on labelled images, and store them in the model's card.

    One image of each person and camera is compared with all images.

    Args:
        folder: Of the model.
        items: Images of people who train nothing.
        protocol: Name of the rules, that of their benchmark.
        chosen_on: Who these people are, in words.
        threads: That embed.
        fars: False-accept rates that are asked for; those too small for so many pairs are left out.

    Returns:
        The card as written.

    Raises:
        BadInput: there are no images; nobody is in two cameras; an image cannot be read.
    """
    if not len(items):
        raise BadInput(f"thresholds: no images of {chosen_on}; choose a set with a training part")
    embedder = Embedder.load(folder)
    panel = Panel(items, protocol, seed=0, whole=True)
    found = panel.assess(
        embedder, threads, distance=embedder.card.distance, fars=tuple(fars), draws=DRAWS
    )
    card = embedder.card.model_copy(update={"thresholds": thresholds.table(found, chosen_on)})
    return artifact.write_card(folder, card)


def calibrate_on(model: str | Path, benchmark: Benchmark, threads: int) -> ModelCard:
    """Choose a model's thresholds on the training people of a set that it was not trained on.

    Returns:
        Its card as written.

    Raises:
        BadInput: it was trained on them; the set has no training part; an image cannot be read.
    """
    card = artifact.read_card(model)
    if card.trained_on == benchmark.name:
        raise BadInput(
            f"{model}: was trained on '{benchmark.name}', whose people it knows too well; choose "
            "another set, or hold people out of training (finetune.validation.folds)"
        )
    places.require_file(Path(model) / artifact.CARD)
    who = f"{benchmark.name}: its training people"
    return calibrate(model, benchmark.split("train"), benchmark.protocol, who, threads)
