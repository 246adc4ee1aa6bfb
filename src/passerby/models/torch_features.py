"""Features that `torch.save` wrote, under the names of `passerby.evaluation.evaluate`.

- fast-reid: the list that its evaluator keeps (`ReidEvaluator._predictions`), a dict of `feats`,
  `pids` and `camids` a batch; the first so many are the queries, as its loader has them;
- a dict of arrays or tensors by the names of `passerby.evaluation.saved`.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from passerby.errors import BadInput
from passerby.foreign import reading, tensors

BATCH = {"feats", "pids", "camids"}


def read(path: str | Path, queries: int | None = None) -> dict[str, np.ndarray]:
    """Read what was saved; no code in it is run.

    Args:
        path: A file that `torch.save` wrote.
        queries: How many of fast-reid's features are of queries; they come first. `None` for a
            dict.

    Returns:
        Arrays by name: of a list of batches the six of `evaluate`, of a dict those it has.

    Raises:
        BadInput: it is missing, is something else, or how many queries there are is not said of a
            list, or said of a dict.
    """
    held = tensors.load(path)
    if isinstance(held, dict):
        if queries is not None:
            raise BadInput(f"{path}: says itself which are queries; leave --queries out")
        return dict(_arrays(held, path))
    if not _is_batches(held):
        raise BadInput(
            f"{path}: holds a {type(held).__name__}; wanted a dict of arrays, or fast-reid's list "
            f"of dicts with {', '.join(sorted(BATCH))}"
        )
    return _split(held, queries, path)


def _arrays(held: dict[Any, Any], path: str | Path) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors, and the lists that are arrays; what else lies there is left alone."""
    for name, value in held.items():
        if isinstance(value, torch.Tensor):
            yield str(name), tensors.array(value, f"{path}, '{name}'")
        elif isinstance(value, list):
            with contextlib.suppress(BadInput):
                yield str(name), tensors.array(value, f"{path}, '{name}'")


def _is_batches(held: Any) -> bool:
    return (
        isinstance(held, list)
        and bool(held)
        and all(isinstance(batch, dict) and set(batch) >= BATCH for batch in held)
    )


def _split(
    batches: list[dict[str, Any]], queries: int | None, path: str | Path
) -> dict[str, np.ndarray]:
    parts = {
        key: [tensors.array(batch[key], f"{path}, '{key}'") for batch in batches] for key in BATCH
    }
    with reading(path, f"batches of {', '.join(sorted(BATCH))} that fit each other"):
        whole = {key: np.concatenate(arrays) for key, arrays in parts.items()}
    count = len(whole["feats"])
    if queries is None or not 0 < queries < count:
        raise BadInput(
            f"{path}: {count:,} features; say with --queries how many of them, the first ones, are "
            f"of queries (found {queries}; Market-1501 has 3368)"
        )
    names = {"feats": "features", "pids": "people", "camids": "cameras"}
    return {
        f"{side}_{names[key]}": whole[key][part]
        for side, part in (("query", slice(queries)), ("gallery", slice(queries, None)))
        for key in names
    }
