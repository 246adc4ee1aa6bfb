"""Distances between features, in blocks of queries.

Sums run in float64 and results are rounded to float32: then equal features are equally far from a
query in (nearly) every place of the gallery, and ties are ties. Blocks depend on the size of the
gallery alone, so two passes over them see the same bits.
"""

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np

from passerby.errors import BadInput, listing

Kind = Literal["cosine", "euclidean"]
KINDS: tuple[str, ...] = get_args(Kind)
BLOCK_PAIRS = 1 << 22


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
    query: np.ndarray, gallery: np.ndarray, kind: Kind
) -> Iterator[tuple[slice, np.ndarray]]:
    """The same, a block of `b` queries at a time.

    Yields:
        The block's rows of `query`, and its distances `float32 (b, G)`.

    Raises:
        BadInput: an unknown kind; for `cosine` a feature of length 0, which has no direction.
    """
    if kind not in KINDS:
        raise BadInput(f"distance: '{kind}' found, one of {', '.join(KINDS)} wanted")
    of_block = _cosine if kind == "cosine" else _euclidean
    if kind == "cosine":
        query, gallery = _directions(query, "query"), _directions(gallery, "gallery")
    gallery = np.ascontiguousarray(gallery, np.float64)
    rows = max(1, BLOCK_PAIRS // len(gallery))
    for start in range(0, len(query), rows):
        block = slice(start, min(start + rows, len(query)))
        found = of_block(np.asarray(query[block], np.float64), gallery)
        yield block, found.astype(np.float32)


def _directions(features: np.ndarray, name: str) -> np.ndarray:
    """The features scaled to length 1, float64."""
    wide = np.asarray(features, np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    empty = np.flatnonzero(lengths == 0)
    if len(empty):
        raise BadInput(
            f"{name}: features {listing(list(empty))} are all zero, so their cosine is undefined; "
            "use the euclidean distance, or look at the model that gave them"
        )
    return wide / lengths


def _cosine(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    return np.clip(1 - query @ gallery.T, 0, 2)


def _euclidean(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """|q - g|^2 = |q|^2 + |g|^2 - 2 q g, which rounding may leave a little below zero."""
    squares = np.einsum("qd,qd->q", query, query)[:, None] + np.einsum("gd,gd->g", gallery, gallery)
    return np.sqrt(np.maximum(squares - 2 * (query @ gallery.T), 0))
