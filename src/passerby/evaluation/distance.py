"""Distances between features, in blocks of queries.

Products and distances are float32, as all re-ID code has them; lengths are summed in float64. For
the cosine the gallery is not copied: its lengths divide a block's columns. For the Euclidean
distance features are seen from the gallery's mean, and pairs so near that squares cancel are
measured by their difference. A block is the caller's to write in.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Literal, get_args

import numpy as np

from passerby.errors import BadInput, listing

Kind = Literal["cosine", "euclidean"]
KINDS: tuple[str, ...] = get_args(Kind)
BLOCK_PAIRS = 1 << 22
Multiply = Callable[[np.ndarray], np.ndarray]
"""Queries `(b, D)` to their products with a gallery, `float32 (b, G)`."""
CANCELLED = 1e-4
"""Of the sum of squares: a squared distance below it has lost three of float32's seven digits."""
Block = tuple[slice, np.ndarray]
"""Some rows of queries, and their distances from the whole gallery, `float32 (b, G)`."""


def on_cpu(gallery: np.ndarray) -> Multiply:
    """Products with a gallery by numpy."""
    return lambda query: query @ gallery.T


def pairwise(query: np.ndarray, gallery: np.ndarray, kind: Kind) -> np.ndarray:
    """Distance of every query from every gallery item.

    Args:
        query: Features `(Q, D)`.
        gallery: Features `(G, D)`.
        kind: `cosine` is 1 - cosine, in [0, 2]; `euclidean` is the root of the squared differences.

    Returns:
        `float32 (Q, G)`; smaller is more alike.

    Raises:
        BadInput: as `blocks`.

    Example:
        >>> pairwise(np.eye(2), np.array([[3.0, 0.0], [0.0, -2.0]]), "cosine")
        array([[0., 1.],
               [1., 2.]], dtype=float32)
    """
    return np.concatenate([block for _, block in blocks(query, gallery, kind)])


def blocks(
    query: np.ndarray,
    gallery: np.ndarray,
    kind: Kind,
    multiplier: Callable[[np.ndarray], Multiply] = on_cpu,
    only: Collection[int] | None = None,
) -> Iterator[Block]:
    """The same, a block of `b` queries at a time; memory grows with neither side.

    Args:
        query: Features `(Q, D)`.
        gallery: Features `(G, D)`.
        kind: As in `pairwise`.
        multiplier: What makes `Multiply` of a gallery.
        only: The queries that are wanted: blocks without any of them are passed over.
            The others are as they would be, to the last bit.

    Raises:
        BadInput: an unknown kind; for `cosine` a feature of length 0, which has no direction.
    """
    if kind not in KINDS:
        raise BadInput(f"distance: '{kind}' found, one of {', '.join(KINDS)} wanted")
    if kind == "euclidean":
        middle = np.mean(gallery, axis=0, dtype=np.float64)
        query, gallery = query - middle, gallery - middle
    query = np.ascontiguousarray(query, np.float32)
    gallery = np.ascontiguousarray(gallery, np.float32)
    of_query, of_gallery = _squares(query), _squares(gallery)
    if kind == "cosine":
        _check_directions(of_query, "query")
        _check_directions(of_gallery, "gallery")
    multiply = multiplier(gallery)
    step = max(1, BLOCK_PAIRS // len(gallery))
    for start in range(0, len(query), step):
        rows = slice(start, min(start + step, len(query)))
        if only is not None and not any(rows.start <= q < rows.stop for q in only):
            continue
        block = multiply(query[rows])
        if kind == "cosine":
            _to_cosine(block, of_query[rows], of_gallery)
        else:
            _to_euclidean(block, query[rows], gallery, of_query[rows], of_gallery)
        yield rows, block


def unit(features: np.ndarray, name: str) -> np.ndarray:
    """The features scaled to length 1, `float32 (N, D)`.

    Raises:
        BadInput: one of length 0.
    """
    squares = _squares(features)
    _check_directions(squares, name)
    return (features / np.sqrt(squares)[:, None]).astype(np.float32, copy=False)


def _squares(features: np.ndarray) -> np.ndarray:
    """Squared length of each feature, float64."""
    return np.einsum("nd,nd->n", features, features, dtype=np.float64)


def _check_directions(squares: np.ndarray, name: str) -> None:
    empty = np.flatnonzero(squares == 0)
    if len(empty):
        raise BadInput(
            f"{name}: features {listing(list(empty))} are all zero, so their cosine is undefined; "
            "use the euclidean distance, or look at the model that gave them"
        )


def _to_cosine(block: np.ndarray, of_query: np.ndarray, of_gallery: np.ndarray) -> None:
    """1 - q g / (|q| |g|), in place."""
    block /= np.sqrt(of_query)[:, None].astype(np.float32)
    block /= np.sqrt(of_gallery)[None, :].astype(np.float32)
    np.subtract(1, block, out=block)
    np.clip(block, 0, 2, out=block)


def _to_euclidean(
    block: np.ndarray,
    query: np.ndarray,
    gallery: np.ndarray,
    of_query: np.ndarray,
    of_gallery: np.ndarray,
) -> None:
    """The root of |q - g|^2 = |q|^2 + |g|^2 - 2 q g, in place."""
    squares = of_query[:, None].astype(np.float32) + of_gallery[None, :].astype(np.float32)
    block *= -2
    block += squares
    row, item = np.nonzero(block < CANCELLED * squares)
    for r in np.unique(row):
        near = item[row == r]
        difference = query[r] - gallery[near]
        block[r, near] = np.einsum("nd,nd->n", difference, difference)
    np.sqrt(block, out=block)
