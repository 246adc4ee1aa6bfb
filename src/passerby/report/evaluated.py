"""One set evaluated by one model: what its pictures are drawn of, and whose queries they show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from passerby import seeds
from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.evaluation.distance import Kind
from passerby.evaluation.ranked_list import RankedList, ranked_lists
from passerby.evaluation.ranking import Ranking
from passerby.evaluation.result import Result


@dataclass(frozen=True)
class PictureFiles:
    """The pictures that features are of, in their order; names are relative to the root."""

    root: Path
    query: tuple[str, ...]
    gallery: tuple[str, ...]


@dataclass(frozen=True)
class Evaluated:
    """What one evaluation found, of what."""

    title: str
    """The model, and the set."""
    result: Result
    arrays: Mapping[str, Any]
    """The six arrays that `evaluate` takes, by its argument names."""
    files: PictureFiles | None = None
    """`None` where there are features alone."""

    def lists(self, queries: Sequence[int]) -> list[RankedList]:
        """The ranked list of each of these queries."""
        return ranked_lists(self.arrays, queries, cast(Kind, self.result.distance))

    def standing(self, query: int) -> tuple[float, int]:
        """Average precision of a query, in [0, 1], and the rank of its first match.

        Raises:
            BadInput: the query has no match, so it was not evaluated.
        """
        ranking = self.result.ranking
        place = int(np.searchsorted(ranking.query, query))
        if place == len(ranking.query) or ranking.query[place] != query:
            raise BadInput(
                f"query {query}: not among the {len(ranking.query):,} queries that have a match by "
                "another camera; ask for one that was evaluated"
            )
        return float(ranking.average_precision[place]), int(ranking.first_rank[place])


def files_of(benchmark: Benchmark) -> PictureFiles:
    """The pictures of a set, in the order in which `judging.judge` embeds them."""
    root = benchmark.root
    query, gallery = (
        tuple(path.relative_to(root).as_posix() for path in benchmark.split(side).paths)
        for side in ("query", "gallery")
    )
    return PictureFiles(root, query, gallery)


def hardest(ranking: Ranking, count: int) -> list[int]:
    """The queries of the lowest average precision, lowest first; of two as low, the earlier.

    Args:
        ranking: Of the queries that have a match.
        count: How many; all, where there are fewer.
    """
    order = np.argsort(ranking.average_precision, kind="stable")
    return [int(query) for query in ranking.query[order[:count]]]


def drawn(ranking: Ranking, count: int, seed: int = 0) -> list[int]:
    """Queries drawn by a seed, as many as there are at most; in their order."""
    rng = seeds.stream(seed, "report", "queries")
    count = min(count, len(ranking.query))
    return sorted(int(q) for q in rng.choice(ranking.query, count, replace=False))


def camera_text(camera: int) -> str:
    """What a camera is called; one that is not known has a number below 0 (`Items.views`).

    Example:
        >>> camera_text(3), camera_text(-8)
        ('camera 3', 'camera not known')
    """
    return f"camera {camera}" if camera >= 0 else "camera not known"
