"""Which crop gives the key of a query: a small file a kind, behind one interface."""

from typing import Protocol

import numpy as np

from passerby.crops.store import CropStore
from passerby.errors import BadInput

NOBODY = -1
"""Label of a crop that shares its identity with no other, as far as this kind knows."""


class Positives(Protocol):
    """A kind of positive.

    Attributes:
        labels: `int64 (N,)`; a key whose label is the query's, and not `NOBODY`, is no negative.
        alone: Crops that have no partner; they are their own, as with `view`.
    """

    labels: np.ndarray
    alone: int

    def partners(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The crops that give the keys of the crops `rows`, both `int64 (n,)`."""
        ...


def kind(name: str, store: CropStore) -> Positives:
    """The kind of positive called `name`, over the crops of a store."""
    from passerby.pretrain.positives.tracklet import Tracklet
    from passerby.pretrain.positives.view import View

    if name == "view":
        return View(len(store))
    if name == "tracklet":
        return Tracklet(store.track)
    raise BadInput(f"positives: no kind is called '{name}'; known: view, tracklet")
