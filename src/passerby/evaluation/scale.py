"""Features at a scale where float32 products neither overflow nor vanish.

A power of two multiplies exactly, so features that are scaled keep every bit of their distances;
those that need no scaling are left as they are.

Features are called collapsed when they are nearly all alike: their distances are then differences
of nearly equal numbers, which are taken from the middle of all features instead.
"""

import numpy as np

from passerby.errors import BadInput, listing

SAFE = 40
"""Numbers up to 2^40 and down to 2^-40 have squares and sums of squares that float32 can hold."""
COLLAPSED = 1e-4
"""Mean squared distance from the middle, as a share of the mean squared length: a spread of 1 %."""
UNUSUAL = 2.0**20
"""Squared length above which a feature is unusual, in median squared lengths of the gallery."""
_ROWS = 1 << 12


def by_row(features: np.ndarray) -> np.ndarray:
    """The features, `float32 (N, D)`; each row whose numbers are extreme times a power of two.

    The direction of a feature does not change by it.
    """
    exponent = _exponents(features)
    extreme = np.abs(exponent) > SAFE
    if extreme.any():
        features = np.ldexp(features.astype(np.float64), -np.where(extreme, exponent, 0)[:, None])
    return np.ascontiguousarray(features, np.float32)


def together(
    query: np.ndarray, gallery: np.ndarray, least: int = -SAFE, most: int = SAFE
) -> tuple[np.ndarray, np.ndarray, int]:
    """Both sides times one power of two, if their greatest number is extreme.

    Args:
        query: `(Q, D)`.
        gallery: `(G, D)`.
        least: Exponent below which the greatest number is extreme.
        most: Exponent above which it is extreme.

    Returns:
        Both sides, and the exponent of the power of two that gives their first scale back.
    """
    exponent = max(int(_exponents(side).max()) for side in (query, gallery))
    if least <= exponent <= most:
        return query, gallery, 0
    return (
        np.ldexp(query.astype(np.float64), -exponent),
        np.ldexp(gallery.astype(np.float64), -exponent),
        exponent,
    )


def of_usual_length(query: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray | slice, bool]:
    """Which features are not a thousand times as long as most.

    One such feature, as a network gives for a picture that makes it overflow, would take the mean
    of all so far away that float32 could not tell the others apart from there.

    Args:
        query: `(Q, D)`, of numbers whose squares float64 can hold.
        gallery: `(G, D)`, as `query`.

    Returns:
        The places of the gallery's, and whether there are no others on either side.
    """
    of_query, of_gallery = squares(query), squares(gallery)
    most = UNUSUAL * float(np.median(of_gallery))
    usual = of_gallery <= most
    if usual.all():
        return slice(None), bool((of_query <= most).all())
    return usual, False


def fitting(features: np.ndarray) -> np.ndarray:
    """The features in float32; in float64 where the numbers of a row are extreme."""
    extreme = bool((np.abs(_exponents(features)) > SAFE).any())
    return features.astype(np.float64 if extreme else np.float32, copy=False)


def _exponents(features: np.ndarray) -> np.ndarray:
    """For each row the exponent of the power of two just above its greatest number."""
    most, least = features.max(axis=1).astype(np.float64), features.min(axis=1).astype(np.float64)
    return np.frexp(np.maximum(most, -least))[1]


def squares(features: np.ndarray) -> np.ndarray:
    """Squared length of each feature, float64."""
    return np.einsum("nd,nd->n", features, features, dtype=np.float64)


def check_directions(of_features: np.ndarray, name: str) -> None:
    """Refuse features without a direction.

    Args:
        of_features: Their squared lengths.
        name: What messages call them.

    Raises:
        BadInput: lengths of 0, and where.
    """
    empty = np.flatnonzero(of_features == 0)
    if len(empty):
        raise BadInput(
            f"{name}: features {listing(list(empty))} are all zero, so their cosine is undefined; "
            "use the euclidean distance, or look at the model that gave them"
        )


def unit(features: np.ndarray, name: str) -> np.ndarray:
    """The features scaled to length 1, `float32 (N, D)`.

    Raises:
        BadInput: one of length 0.
    """
    scaled = by_row(features)
    of_features = squares(scaled)
    check_directions(of_features, name)
    return (scaled / np.sqrt(of_features)[:, None]).astype(np.float32, copy=False)


def collapsed(query: np.ndarray, gallery: np.ndarray, kind: str) -> bool:
    """Whether all features, of both sides together, are nearly alike.

    Args:
        query: `(Q, D)`.
        gallery: `(G, D)`.
        kind: `cosine` asks for their directions, `euclidean` for the features themselves.

    Raises:
        BadInput: for `cosine` a feature of length 0.

    Example:
        >>> collapsed(np.eye(2), np.eye(2), "cosine"), collapsed(np.ones((2, 2)), np.eye(2), "x")
        (False, False)
        >>> collapsed(np.ones((2, 2)), 3 * np.ones((4, 2)), "cosine")
        True
    """
    total, length = np.zeros(query.shape[1]), 0.0
    if kind == "cosine":
        for side, name in ((by_row(query), "query"), (by_row(gallery), "gallery")):
            of_side = squares(side)
            check_directions(of_side, name)
            total += (1 / np.sqrt(of_side)).astype(np.float32) @ side
            length += len(side)
    else:
        for side in together(query, gallery)[:2]:
            total += side.sum(axis=0, dtype=np.float64)
            length += float(squares(side).sum())
    return bool(total @ total / (len(query) + len(gallery)) >= (1 - COLLAPSED) * length)


def from_the_middle(
    query: np.ndarray, gallery: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of collapsed features as seen from the middle of the gallery, float32.

    Differences of features are as before; for `cosine` they are those of directions. Equal
    features stay equal, to the last bit.
    """
    if kind == "euclidean":
        query, gallery, _ = together(query, gallery)
    middle = sum(_rows(gallery, part, kind).sum(axis=0) for part in _parts(len(gallery)))
    middle = middle / len(gallery)
    found = []
    for side in (query, gallery):
        seen = np.empty(side.shape, np.float32)
        for part in _parts(len(side)):
            seen[part] = _rows(side, part, kind) - middle
        found.append(seen)
    return found[0], found[1]


def directions(features: np.ndarray) -> np.ndarray:
    """The features in float64, scaled to length 1; none may be all zero."""
    return _rows(features, slice(None), "cosine")


def _parts(count: int) -> list[slice]:
    return [slice(start, start + _ROWS) for start in range(0, count, _ROWS)]


def _rows(features: np.ndarray, part: slice, kind: str) -> np.ndarray:
    """Some rows in float64, for `cosine` of length 1; each row's depend on that row alone."""
    rows = features[part].astype(np.float64)
    if kind == "cosine":
        rows = np.ldexp(rows, -_exponents(rows)[:, None])
        rows /= np.sqrt((rows * rows).sum(axis=1))[:, None]
    return rows
