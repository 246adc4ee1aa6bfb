"""What the command `passerby evaluate` does with a file of features."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from passerby.evaluation.assessment import FARS, RANKS, evaluate
from passerby.evaluation.distance import Kind
from passerby.evaluation.result import Result
from passerby.evaluation.results import read_embeddings


def evaluate_file(
    path: str | Path,
    protocol: str = "market1501",
    distance: Kind = "cosine",
    ranks: Sequence[int] = RANKS,
    fars: Sequence[float] = FARS,
    draws: int = 0,
) -> Result:
    """Evaluate the features of an `.npz` file.

    Args:
        path: A file with the arrays of `results.KEYS`.
        protocol: A name of `protocols.PROTOCOLS`.
        distance: `cosine` or `euclidean`.
        ranks: Ranks k of CMC@k.
        fars: False-accept rates at which TAR is given.
        draws: How often people are drawn anew for intervals; 0 for none.

    Raises:
        BadInput: as `results.read_embeddings` and `evaluate`.
    """
    arrays: dict[str, Any] = read_embeddings(path)
    return evaluate(
        **arrays, protocol=protocol, distance=distance, ranks=ranks, fars=fars, draws=draws
    )
