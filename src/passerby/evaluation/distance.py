"""Distances between features, in blocks of queries.

Products and distances are float32, as all re-ID code has them; lengths are summed in float64. For
the cosine the gallery is not copied: its lengths divide a block's columns; pairs so near that
float32 cannot tell their cosines from 1 are multiplied again in float64. For the Euclidean
distance features are seen from the gallery's mean, and pairs so near that squares cancel are
measured by their difference; so are the directions of collapsed features for the cosine (`scale`).
If some features are far longer than most, the mean is that of the others, and all is float64.
A block is the caller's to write in.

Which ties are kept: gallery features that are equal are at the same distance from any query, to the
last bit (a matrix product alone does not promise that). So are all pairs of whole-number features
whose Euclidean distances are equal: their products are exact. Of other features, two whose
distances are equal in exact arithmetic may differ in the last bit.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from passerby.errors import BadInput
from passerby.evaluation import scale

Kind = Literal["cosine", "euclidean"]
KINDS: tuple[str, ...] = get_args(Kind)
BLOCK_PAIRS = 1 << 22
Multiply = Callable[[np.ndarray], np.ndarray]
"""Queries `(b, D)` to their products with a gallery, `float32 (b, G)`."""
CANCELLED = 1e-4
"""Of the sum of squares: a squared distance below it has lost three of float32's seven digits."""
NEARLY_ONE = 1e-5
"""A cosine distance below it has lost five of float32's seven digits."""
LEAST_EXPONENT, MOST_EXPONENT = -100, 120
"""Of two: numbers whose Euclidean distances float32 can hold."""
EXACT_IN_FLOAT32, EXACT_IN_FLOAT64 = 2.0**24, 2.0**53
COLUMNS_LOOKED_AT = 64
ITEMS_AT_ONCE = 1 << 12
"""Gallery items that are put into float64 at once."""
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
        BadInput: an unknown kind; for `cosine` a feature of length 0, which has no direction; for
            `euclidean` features whose distances float32 cannot hold.
    """
    if kind not in KINDS:
        raise BadInput(f"distance: '{kind}' found, one of {', '.join(KINDS)} wanted")
    sides = _prepared(query, gallery, kind)
    multiply = (on_cpu if sides.gallery.dtype == np.float64 else multiplier)(sides.gallery)
    later, first = equal_rows(sides.gallery)
    step = max(1, BLOCK_PAIRS // len(gallery))
    for start in range(0, len(query), step):
        rows = slice(start, min(start + step, len(query)))
        if only is not None and not any(rows.start <= q < rows.stop for q in only):
            continue
        block = sides.distances(rows, multiply(sides.query[rows]))
        if len(later):
            block[:, later] = block[:, first]
        yield rows, block


def equal_rows(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that stand there earlier, too.

    Returns:
        Their places, rising, and for each the place of the first row that is equal:
        `int64 (n,)` both.

    Example:
        >>> equal_rows(np.array([[1.0], [2.0], [1.0], [1.0]]))
        (array([2, 3]), array([0, 0]))
    """
    # A few columns tell nearly all rows apart; only rows that agree in them are compared whole.
    some = _first_equal(features[:, :: -(-features.shape[1] // COLUMNS_LOOKED_AT)])
    suspects = np.flatnonzero(np.bincount(some, minlength=len(some))[some] > 1)
    if not len(suspects):
        return suspects, suspects
    first = suspects[_first_equal(features[suspects])]
    later = first != suspects
    return suspects[later], first[later]


def _first_equal(rows: np.ndarray) -> np.ndarray:
    """For each row the place of the first that is equal to it."""
    plain = np.ascontiguousarray(rows + 0.0)  # -0.0 becomes 0.0: they are equal
    whole = plain.view(np.dtype((np.void, plain.dtype.itemsize * plain.shape[1]))).ravel()
    _, first, which = np.unique(whole, return_index=True, return_inverse=True)
    return first[which]


@dataclass(frozen=True)
class _Sides:
    """What distances are computed from: float32, or float64 where only that is exact."""

    query: np.ndarray
    gallery: np.ndarray
    of_query: np.ndarray
    """Squared lengths, float64."""
    of_gallery: np.ndarray
    kind: str
    """`cosine`; `middle`: the cosine of directions that are seen from their middle; `euclidean`."""
    exponent: int = 0
    """Distances are given times this power of two."""

    def distances(self, rows: slice, block: np.ndarray) -> np.ndarray:
        """Products of some rows become their distances, in place; float32."""
        of_query = self.of_query[rows]
        if self.kind == "cosine":
            _to_cosine(block, of_query, self.of_gallery)
            if block.dtype == np.float32:
                near = block < NEARLY_ONE
                in_float64(block, near, self.query[rows], self.gallery, _cosine_in_float64)
        else:
            _to_squares(block, self.query[rows], self.gallery, of_query, self.of_gallery)
            if self.kind == "middle":
                block /= 2
            else:
                np.sqrt(block, out=block)
        if self.exponent:
            np.ldexp(block, self.exponent, out=block)
        return block.astype(np.float32, copy=False)


def _prepared(query: np.ndarray, gallery: np.ndarray, kind: Kind) -> _Sides:
    if kind == "euclidean":
        return _for_euclidean(query, gallery)
    if scale.collapsed(query, gallery, kind):
        return _sides(*scale.from_the_middle(query, gallery, kind), "middle", False)
    whole = _is_whole(query) and _is_whole(gallery)
    return _sides(scale.by_row(query), scale.by_row(gallery), kind, whole)


def _for_euclidean(query: np.ndarray, gallery: np.ndarray) -> _Sides:
    _, _, beyond = scale.together(query, gallery, LEAST_EXPONENT, MOST_EXPONENT)
    if beyond:
        raise BadInput(
            f"features of numbers up to 2^{beyond}: their Euclidean distances do not fit into "
            "float32; scale the features, or use the cosine distance"
        )
    whole = _is_whole(query) and _is_whole(gallery)
    usual, all_are_usual = scale.of_usual_length(query, gallery)
    middle = np.mean(gallery[usual], axis=0, dtype=np.float64)
    if whole:
        middle = np.rint(middle)
    if not all_are_usual:
        return _cast(query - middle, gallery - middle, "euclidean", 0, np.float64)
    query, gallery, exponent = scale.together(query - middle, gallery - middle)
    return _sides(query, gallery, "euclidean", whole and not exponent, exponent)


def _is_whole(features: np.ndarray) -> bool:
    """Whether all numbers are whole."""
    if features.dtype.kind in "iu":
        return True
    return all(bool((part == np.rint(part)).all()) for part in (features[:1], features))


def _sides(
    query: np.ndarray, gallery: np.ndarray, kind: str, whole: bool, exponent: int = 0
) -> _Sides:
    """In float32; whole numbers in float64 where float32 would round their products."""
    made = _cast(query, gallery, kind, exponent, np.float32)
    most = made.of_query.max() + made.of_gallery.max()
    if whole and EXACT_IN_FLOAT32 < most <= EXACT_IN_FLOAT64:
        return _cast(query, gallery, kind, exponent, np.float64)
    return made


def _cast(query: np.ndarray, gallery: np.ndarray, kind: str, exponent: int, number: type) -> _Sides:
    query, gallery = np.ascontiguousarray(query, number), np.ascontiguousarray(gallery, number)
    of_query, of_gallery = scale.squares(query), scale.squares(gallery)
    if kind == "cosine":
        scale.check_directions(of_query, "query")
        scale.check_directions(of_gallery, "gallery")
    return _Sides(query, gallery, of_query, of_gallery, kind, exponent)


def _to_cosine(block: np.ndarray, of_query: np.ndarray, of_gallery: np.ndarray) -> None:
    """1 - q g / (|q| |g|), in place."""
    block /= np.sqrt(of_query)[:, None].astype(block.dtype)
    block /= np.sqrt(of_gallery)[None, :].astype(block.dtype)
    np.subtract(1, block, out=block)
    np.clip(block, 0, 2, out=block)


def in_float64(
    block: np.ndarray,
    near: np.ndarray,
    query: np.ndarray,
    gallery: np.ndarray,
    apart: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> None:
    """Compute some distances of a block anew, in place.

    Args:
        block: Distances `(b, G)`.
        near: Which, `bool (b, G)`.
        query: Features `(b, D)`.
        gallery: Features `(G, D)`.
        apart: Distances of all rows of the one from all of the other, in float64.
    """
    rows, items = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    for start in range(0, len(items), ITEMS_AT_ONCE):
        some = items[start : start + ITEMS_AT_ONCE]
        place = np.ix_(rows, some)
        block[place] = np.where(near[place], apart(query[rows], gallery[some]), block[place])


def _cosine_in_float64(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    cosine = scale.directions(query) @ scale.directions(gallery).T
    return np.clip(1 - cosine, 0, 2)


def _to_squares(
    block: np.ndarray,
    query: np.ndarray,
    gallery: np.ndarray,
    of_query: np.ndarray,
    of_gallery: np.ndarray,
) -> None:
    """|q - g|^2 = |q|^2 + |g|^2 - 2 q g, in place."""
    squares = of_query[:, None].astype(block.dtype) + of_gallery[None, :].astype(block.dtype)
    block *= -2
    block += squares
    row, item = np.nonzero(block < CANCELLED * squares)
    for r in np.unique(row):
        near = item[row == r]
        difference = query[r] - gallery[near]
        block[r, near] = np.einsum("nd,nd->n", difference, difference)
