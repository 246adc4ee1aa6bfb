"""The crops that a run trains on: those of a store, less the people who are held out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from passerby.crops.store import CropStore


@dataclass(frozen=True)
class CropSet:
    """Some crops of a store; every column has one entry for each of the `N` chosen ones.

    Attributes:
        store: Where their pictures are.
        rows: Which crops of the store, int64 `(N,)`.
        track: int64 `(N,)`, -1: none.
        camera: int32 `(N,)`.
        frame: int32 `(N,)`, -1: not known.
        person: int64 `(N,)`, -1: not known; to count with, not to train.
        shape: Width by height of each crop as it was cut, `(N,)`.
    """

    store: CropStore
    rows: np.ndarray
    track: np.ndarray
    camera: np.ndarray
    frame: np.ndarray
    person: np.ndarray
    shape: np.ndarray

    @classmethod
    def of(cls, store: CropStore, left_out: np.ndarray | tuple[()] = ()) -> "CropSet":
        """All crops of a store but those of the people `left_out`, by their numbers in it."""
        rows = np.flatnonzero(~np.isin(store.person, left_out))

        def column(name: str) -> Any:
            return np.asarray(getattr(store, name))[rows]

        shape = column("width") / column("height")
        named = {name: column(name) for name in ("track", "camera", "frame", "person")}
        return cls(store, rows, **named, shape=shape)

    def __len__(self) -> int:
        return len(self.rows)

    def image(self, place: int) -> np.ndarray:
        """One picture, uint8 `(H, W, 3)` RGB."""
        return self.store.image(int(self.rows[place]))
