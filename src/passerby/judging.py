"""One model on one labelled set: the only place that knows both models and data sets."""

from typing import Any

import numpy as np

from passerby.datasets.index import Benchmark
from passerby.evaluation import Result, evaluate
from passerby.models.embedder import Embedder
from passerby.models.products import where_it_is_fast
from passerby.settings import Evaluate


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
        multiplier=where_it_is_fast,
    )
    return found, arrays
