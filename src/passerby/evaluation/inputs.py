"""What is given to an evaluation, looked at before anything is computed."""

from collections.abc import Sequence

import numpy as np

from passerby.errors import BadInput, listing
from passerby.evaluation.pairs import Pairs


def features(given: np.ndarray, name: str) -> np.ndarray:
    """Features that were looked at.

    Args:
        given: `(N, D)`.
        name: What messages call them.

    Raises:
        BadInput: not numbers of two dimensions; none; values that are not finite, and where.
    """
    array = np.asarray(given)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise BadInput(
            f"{name}: {array.dtype} of shape {array.shape} found, numbers of shape (N, D) wanted"
        )
    if array.dtype.itemsize > np.dtype(np.float64).itemsize:
        with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused
            array = array.astype(np.float64)
    if not array.size:
        raise BadInput(f"{name}: empty, of shape {array.shape}; at least one feature wanted")
    broken = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(broken):
        raise BadInput(
            f"{name}: {len(broken)} of {len(array):,} rows hold NaN or infinity: "
            f"{listing(list(broken))}; the model that gave them is broken"
        )
    return array


def check_sizes(query: np.ndarray, gallery: np.ndarray, pairs: Pairs) -> None:
    """Refuse features of unequal dimensions, and other than one to each label.

    Raises:
        BadInput: both numbers.
    """
    if query.shape[1] != gallery.shape[1]:
        raise BadInput(
            f"query_features have {query.shape[1]} dimensions, gallery_features "
            f"{gallery.shape[1]}; both must come of one model"
        )
    for side, features, people in (
        ("query", query, pairs.query_people),
        ("gallery", gallery, pairs.gallery_people),
    ):
        if len(features) != len(people):
            raise BadInput(
                f"{side}: {len(features):,} features, but {len(people):,} labels; one each wanted"
            )


def check_asked(ranks: Sequence[int], fars: Sequence[float]) -> None:
    """Refuse ranks below 1 and rates that are none.

    Raises:
        BadInput: those that were found.
    """
    if any(k < 1 for k in ranks):
        raise BadInput(f"ranks: {listing(list(ranks))} found; they count from 1")
    if any(not 0 < far < 1 for far in fars):
        raise BadInput(f"fars: {listing(list(fars))} found; rates above 0 and below 1 wanted")
