"""`view`: the key is another view of the query's own crop, as MoCo was published."""

import numpy as np

from passerby.pretrain.positives import NOBODY, Positives


class View(Positives):
    """Every crop is its own partner, and every key of the queue a negative.

    Args:
        count: Crops there are.
    """

    def __init__(self, count: int) -> None:
        super().__init__(np.full(count, NOBODY), "every crop is its own partner")

    def partners(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The crops themselves."""
        return rows
