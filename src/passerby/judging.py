"""One model on one labelled set: the only place that knows both models and data sets."""

from pathlib import Path
from typing import Any

import numpy as np

from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.evaluation import Result, evaluate
from passerby.evaluation.expansion import Expand
from passerby.evaluation.reranking import Rerank
from passerby.models import artifact
from passerby.models.artifact import ModelCard
from passerby.models.embedder import Embedder
from passerby.models.products import where_it_is_fast
from passerby.settings import Evaluate
from passerby.training import calibration


def judge(
    embedder: Embedder, benchmark: Benchmark, asked: Evaluate, threads: int
) -> tuple[Result, dict[str, np.ndarray]]:
    """Embed the queries and the gallery of a set and evaluate them under its rules.

    Returns:
        What was found, and the arrays that it was found from (`evaluate`'s arguments by name).

    Raises:
        BadInput: a picture cannot be read, or the features or the labels cannot be evaluated.
    """
    arrays: dict[str, Any] = {}
    for side in ("query", "gallery"):
        items = benchmark.split(side)
        arrays[f"{side}_features"] = embedder.embed_files(
            items.paths, asked.batch, asked.flip, threads
        )
        arrays |= {f"{side}_people": items.person, f"{side}_cameras": items.views}
    found = evaluate(
        **arrays,
        protocol=benchmark.protocol,
        distance=embedder.card.distance,
        ranks=asked.ranks,
        fars=asked.fars,
        draws=asked.draws,
        rerank=Rerank(**asked.rerank.model_dump()) if asked.rerank else None,
        expand=Expand(**asked.expand.model_dump()) if asked.expand else None,
        multiplier=where_it_is_fast,
    )
    return found, arrays


def calibrate(model: Path, benchmark: Benchmark, threads: int) -> ModelCard:
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
    who = f"{benchmark.name}: its training people"
    return calibration.calibrate(model, benchmark.split("train"), benchmark.protocol, who, threads)
