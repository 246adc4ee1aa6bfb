"""`mined`: partners of a track are also tracks that other cameras saw, found by features.

For videos of a network of cameras that see the same people. Tracks whose mean features are each
other's nearest between two cameras, and near also among all cameras, become partners, every few
epochs anew. No label is used: where the people are known, the history tells how many pairs are
right.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from passerby.errors import BadInput
from passerby.pretrain import pairing
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.positives import NO_LABEL
from passerby.pretrain.positives.tracklet import Tracklet
from passerby.settings import Mining
from passerby.training.processes import Group


class Mined(Tracklet):
    """Tracklets, and for a share of the draws a crop of a partner track.

    Args:
        crops: With tracks, and two cameras more than `min_common`.
        min_gap_frames: As `Tracklet`.
        mining: When and how partners are found.

    Raises:
        BadInput: there are too few cameras.
    """

    columns = ("pairs", "paired_tracks", "right_pairs")

    def __init__(self, crops: CropSet, min_gap_frames: int, mining: Mining) -> None:
        super().__init__(crops.track, crops.frame, min_gap_frames)
        self._mining, self._cameras = mining, crops.camera
        self._tracks, first = np.unique(self.labels, return_index=True)
        tracked = self._tracks >= 0
        self._tracks, first = self._tracks[tracked], first[tracked]
        self._camera, self._person = crops.camera[first], crops.person[first]
        cameras, wanted = len(np.unique(self._camera)), 2 + mining.min_common
        if cameras < wanted:
            raise BadInput(
                f"pretrain: positives 'mined' with min_common {mining.min_common} need tracks of "
                f"{wanted} cameras, and there are {cameras}: give more videos, a smaller "
                "'min_common', or ask for 'tracklet'"
            )
        self._begin = np.searchsorted(self.labels[self._order], self._tracks, side="left")
        self._end = np.searchsorted(self.labels[self._order], self._tracks, side="right")
        self._take(np.empty((0, 2), np.int64))

    def wants_features(self, epoch: int) -> bool:
        """From an epoch on, every few epochs."""
        since = epoch - self._mining.from_epoch
        return since >= 0 and since % self._mining.every_epochs == 0

    def learn(self, features: np.ndarray, group: Group) -> None:
        """Find the pairs again: the first process does it on its device, and sends them to all."""
        self._take(group.told(self._found(features, group.device) if group.rank == 0 else None))

    def _found(self, features: np.ndarray, device: torch.device) -> np.ndarray:
        told = self._mining
        alike = pairing.standardised(features, self._cameras) if told.per_camera else features
        means = pairing.means(alike[self._order], self._begin, self._end)
        on_device = torch.from_numpy(means).to(device)
        pairs = pairing.mutual_nearest(
            on_device, self._camera, told.min_similarity, told.neighbours
        )
        return pairing.agreeing(pairs, len(means), told.min_common)

    def partners(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A crop of the own track or, for a share of the draws, of a partner track."""
        own = super().partners(rows, rng)
        luck, which, where = rng.random((3, len(rows)))
        number = np.searchsorted(self._tracks, self.labels[rows])  # of the track, from 0
        number = np.where(self.labels[rows] < 0, 0, number)
        many = np.where(self.labels[rows] < 0, 0, self._partner_count[number])
        chosen = self._partner_begin[number] + np.floor(which * many).astype(np.int64)
        has = (many > 0) & (luck < self._mining.share)
        partner = self._partner[np.where(has, chosen, 0)] if has.any() else number
        length = self._end[partner] - self._begin[partner]
        at = self._begin[partner] + np.floor(where * length).astype(np.int64)
        return np.where(has, self._order[at], own)

    def figures(self) -> dict[str, float]:
        """Pairs, share of the tracks that are in one, and share of right pairs among the known."""
        pairs = self._pairs
        known = (self._person[pairs] >= 0).all(axis=1)
        right = self._person[pairs[known, 0]] == self._person[pairs[known, 1]]
        return {
            "pairs": len(pairs),
            "paired_tracks": len(np.unique(pairs)) / len(self._tracks),
            "right_pairs": float(right.mean()) if known.any() else float("nan"),
        }

    def state(self) -> dict[str, Any]:
        """The pairs: with which tracks the present epoch goes on."""
        return {"pairs": torch.from_numpy(self._pairs)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with these pairs."""
        self._take(state["pairs"].numpy())

    def _take(self, pairs: np.ndarray) -> None:
        """Make pairs of track numbers, `(P, 2)`, those that count from here on."""
        self._pairs = pairs
        both = np.concatenate([pairs, pairs[:, ::-1]])
        both = both[np.lexsort(both.T[::-1])]
        self._partner = both[:, 1]
        self._partner_begin = np.searchsorted(both[:, 0], np.arange(len(self._tracks)))
        self._partner_count = np.bincount(both[:, 0], minlength=len(self._tracks))
        most = int(self._partner_count.max(initial=0))
        self.friends = np.full((int(self._tracks[-1]) + 1, most), NO_LABEL, np.int64)
        place = np.arange(len(both)) - self._partner_begin[both[:, 0]]
        self.friends[self._tracks[both[:, 0]], place] = self._tracks[both[:, 1]]
