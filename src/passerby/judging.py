"""One model on one labelled set, or what one left: where models, sets and figures meet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np

from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.evaluation import (
    Result,
    TrialsResult,
    classic_cuhk03,
    cuhk01,
    draw_test_sets,
    evaluate,
    evaluate_trials,
    saved,
)
from passerby.evaluation.distance import Kind
from passerby.evaluation.expansion import Expand
from passerby.evaluation.reranking import Rerank
from passerby.evaluation.trials import Shots
from passerby.models import torch_features
from passerby.models.embedder import Embedder
from passerby.models.products import where_it_is_fast
from passerby.settings import Evaluate, Reranking

CLASSIC_PEOPLE = 100
"""In a test set of CUHK03's classic protocol."""


def with_more(section: Evaluate, flip: bool, rerank: bool) -> Evaluate:
    """The section `evaluate` and what was asked for besides: that adds to it, never takes away.

    Args:
        section: Of the settings.
        flip: Whether to average over mirror images.
        rerank: Whether to re-rank, with the published parameters if the section has none.
    """
    more: dict[str, Any] = {"flip": True} if flip else {}
    if rerank and section.rerank is None:
        more |= {"rerank": Reranking()}
    return section.model_copy(update=more)


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


def assess(
    path: Path, queries: int | None, protocol: str, distance: Kind, rerank: bool
) -> tuple[Result, dict[str, np.ndarray]]:
    """Evaluate features that somebody saved.

    Args:
        path: `evaluation.saved` and, for what torch saved, `models.torch_features` say which.
        queries: Of fast-reid's batches, how many features are of queries; of nothing else.
        protocol: A name of `protocols.PROTOCOLS`.
        distance: `cosine` or `euclidean`.
        rerank: Whether to re-rank, too.

    Returns:
        What was found, and the arrays that it was found from (`evaluate`'s arguments by name).

    Raises:
        BadInput: no such features, or they or their labels cannot be evaluated.
    """
    arrays: Any
    if path.suffix in (".pt", ".pth"):
        arrays = saved.named(torch_features.read(path, queries), str(path))
    elif queries is not None:
        raise BadInput(f"{path}: says itself which are queries; leave --queries out")
    else:
        arrays = saved.read(path)
    found = evaluate(
        **arrays,
        protocol=protocol,
        distance=distance,
        draws=Evaluate().draws,
        rerank=Rerank() if rerank else None,
        multiplier=where_it_is_fast,
    )
    return found, arrays


def trials(
    benchmark: Benchmark, arrays: Mapping[str, np.ndarray], distance: Kind
) -> list[TrialsResult]:
    """CUHK03 and CUHK01 by their protocols of repeated trials too, of the same features.

    Of CUHK03, twenty test sets of a hundred of the test people (all, if they are not more: the
    rules then say that the sets are the same) in the classic way; of CUHK01, the split's test
    people there and back, multi and single shot.

    Args:
        benchmark: The set.
        arrays: What `judge` evaluated.
        distance: The model's.
    """
    features, people, views = (
        np.concatenate([arrays[f"{side}_{name}"] for side in ("query", "gallery")])
        for name in ("features", "people", "cameras")
    )
    in_both = np.intersect1d(people[views == 1], people[views == 2])
    if benchmark.protocol == "cuhk03-np" and len(in_both):
        size = min(CLASSIC_PEOPLE, len(in_both))
        asked = [classic_cuhk03(people, views, draw_test_sets(people, views, size=size))]
    elif benchmark.protocol == "cuhk01":
        tested = [tuple(np.unique(people).tolist())]
        asked = [cuhk01(people, views, tested, shots) for shots in get_args(Shots)]
    else:
        asked = []
    return [evaluate_trials(features, people, views, one, distance=distance) for one in asked]
