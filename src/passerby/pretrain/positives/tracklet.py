"""`tracklet`: the key is another crop of the query's track; keys of that track are no negatives.

Another frame of the same walk has another pose, other light and another cut of the scene: to tell
that it is the same person takes what re-identification needs, and no label.
"""

import numpy as np


class Tracklet:
    """Partners are drawn from the other crops of a crop's track, each as likely as another.

    Args:
        track: `int64 (N,)`, -1 for a crop without one; such a crop is its own partner.

    Example:
        >>> kind = Tracklet(np.array([0, 0, 1, -1]))
        >>> kind.partners(np.arange(4), np.random.default_rng(0)).tolist(), kind.alone
        ([1, 0, 2, 3], 2)
    """

    def __init__(self, track: np.ndarray) -> None:
        self.labels = np.asarray(track, dtype=np.int64)
        # Crops ordered by track: a track is a stretch of `_order`, found by its first place.
        self._order = np.argsort(self.labels, kind="stable")
        self._place = np.empty(len(self.labels), dtype=np.int64)
        self._place[self._order] = np.arange(len(self.labels))
        by_track = self.labels[self._order]
        self._first = np.searchsorted(by_track, self.labels, side="left")
        self._length = np.searchsorted(by_track, self.labels, side="right") - self._first
        self._length[self.labels < 0] = 1
        self._first[self.labels < 0] = self._place[self.labels < 0]
        self.alone = int((self._length == 1).sum())

    def partners(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Another crop of each crop's track, or the crop itself where there is none."""
        length = self._length[rows]
        ahead = 1 + np.floor(rng.random(len(rows)) * (length - 1)).astype(np.int64)
        inside = (self._place[rows] - self._first[rows] + ahead) % length
        return self._order[self._first[rows] + inside]
