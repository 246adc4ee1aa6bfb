"""`tracklet`: the key is another crop of the query's track; keys of that track are no negatives.

Another frame of the same walk has another pose, other light and another cut of the scene: to tell
that it is the same person takes what re-identification needs, and no label.
"""

import numpy as np

from passerby.pretrain.positives import Positives


class Tracklet(Positives):
    """Partners are drawn from the other crops of a crop's track, each as likely as another.

    Args:
        track: int64 `(N,)`, -1 for a crop without one; such a crop is its own partner.
        frame: int32 `(N,)`, when each was seen; -1 where that is not known.
        min_gap_frames: Partners are at least so far apart; a crop without such a one is its own.

    Attributes:
        alone: bool `(N,)`: crops that are their own partners.

    Example:
        >>> kind = Tracklet(np.array([0, 0, 1, -1]), np.array([3, 9, 3, 5]))
        >>> kind.partners(np.arange(4), np.random.default_rng(0)).tolist()
        [1, 0, 2, 3]
        >>> kind.account
        '2 tracks; 2 of 4 crops are their own partners: 1 without a track, 1 alone in theirs'
    """

    def __init__(self, track: np.ndarray, frame: np.ndarray, min_gap_frames: int = 0) -> None:
        track, frame = np.asarray(track, np.int64), np.asarray(frame, np.int64)
        # Crops by track and time: a track is a stretch of `_order`, and so are the crops of it that
        # are too near in time to one of them.
        self._order = np.lexsort((frame, track))
        place = np.empty(len(track), np.int64)
        place[self._order] = np.arange(len(track))
        key = _line(track, frame, max(min_gap_frames, 1))
        ordered = key[self._order]
        first = np.searchsorted(track[self._order], track, side="left")
        length = np.searchsorted(track[self._order], track, side="right") - first
        if min_gap_frames:
            near = np.searchsorted(ordered, key - min_gap_frames, side="right")
            beyond = np.searchsorted(ordered, key + min_gap_frames, side="left")
        else:
            near, beyond = place, place + 1
        self._near, self._beyond = near, beyond
        self._first = first
        self._choices = np.where(track < 0, 0, length - (beyond - near))
        self.alone = self._choices == 0
        super().__init__(track, _account(track, length, self.alone, min_gap_frames))

    def partners(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Another crop of each crop's track, or the crop itself where there is none."""
        choices = self._choices[rows]
        drawn = self._first[rows] + np.floor(rng.random(len(rows)) * choices).astype(np.int64)
        # Past the stretch that is too near: it lies inside the track's.
        skip = np.where(drawn >= self._near[rows], self._beyond[rows] - self._near[rows], 0)
        at = np.where(choices > 0, drawn + skip, 0)
        return np.where(choices > 0, self._order[at], rows)


def _line(track: np.ndarray, frame: np.ndarray, gap: int) -> np.ndarray:
    """Track and time as one number, so that different tracks are further apart than `gap`."""
    span = int(frame.max(initial=0)) - int(frame.min(initial=0)) + 1 + gap
    return track * span + frame


def _account(track: np.ndarray, length: np.ndarray, alone: np.ndarray, gap: int) -> str:
    """How many tracks there are, and why crops are their own partners."""
    without = track < 0
    single = ~without & (length == 1)
    reasons = [f"{without.sum():,} without a track", f"{single.sum():,} alone in theirs"]
    if gap:
        near = alone & ~without & ~single
        reasons.append(f"{near.sum():,} with none {gap} frames away")
    tracks = len(np.unique(track[~without]))
    said = f"{tracks:,} tracks; {alone.sum():,} of {len(track):,} crops are their own partners: "
    return said + ", ".join(reasons)
