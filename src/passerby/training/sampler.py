"""Which items a step sees: a new shuffle each epoch, found from the step alone.

There is no state to save: the position of a run is its step.
"""

import numpy as np

from passerby import seeds
from passerby.errors import BadInput


class EpochSampler:
    """Batches of an epoch's shuffle; what does not fill a batch is left for another epoch.

    Args:
        count: Items there are.
        batch: Items in a step, over all processes.
        seed: Of the shuffles.

    Raises:
        BadInput: there are fewer items than a batch takes.

    Example:
        >>> sampler = EpochSampler(count=10, batch=4, seed=0)
        >>> sampler.steps_per_epoch, len(set(sampler.rows(0)) | set(sampler.rows(1)))
        (2, 8)
    """

    def __init__(self, count: int, batch: int, seed: int) -> None:
        if count < batch:
            raise BadInput(
                f"found {count:,} items to train on, a batch takes {batch:,}: "
                "set a smaller 'batch', or give more items"
            )
        self.count, self.batch, self.seed = count, batch, seed
        self.steps_per_epoch = count // batch
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def epoch(self, step: int) -> int:
        """The epoch that a step belongs to, from 0."""
        return step // self.steps_per_epoch

    def rows(self, step: int) -> np.ndarray:
        """The items of a step, int64 `(batch,)`."""
        if self.epoch(step) != self._epoch:
            self._epoch = self.epoch(step)
            self._order = seeds.stream(self.seed, "order", self._epoch).permutation(self.count)
        first = step % self.steps_per_epoch * self.batch
        return self._order[first : first + self.batch]
