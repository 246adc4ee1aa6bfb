"""Which crop gives the key of a query: a small file a kind, behind one interface."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from passerby.errors import BadInput
from passerby.pretrain.cropset import CropSet
from passerby.settings import Pretrain
from passerby.training.processes import Group

NOBODY = -1
"""Label of a crop that shares its identity with no other, as far as this kind knows."""
NO_LABEL = -3
"""Fills up rows of `friends`: neither a crop nor the noise in a new queue has this label."""


LEAST_NEGATIVES = 16
"""Keys in the queue that a query's negatives may be on average, where cameras choose them."""


class Positives:
    """A kind of positive; this base is one that masks nothing and learns nothing.

    Attributes:
        labels: int64 `(N,)`; a key whose label is the query's, and not `NOBODY`, is no negative.
        cameras: int64 `(L,)`: the camera of each label; empty where labels have none.
        friends: int64 `(L, F)`: to each label others whose keys are no negatives of it either,
            filled up with `NO_LABEL`.
        columns: What it adds to the history.
        account: What a run says of it at its start.
    """

    columns: tuple[str, ...] = ()

    def __init__(self, labels: np.ndarray, account: str) -> None:
        self.labels = np.asarray(labels, dtype=np.int64)
        self.friends = np.empty((int(self.labels.max(initial=NOBODY)) + 1, 0), dtype=np.int64)
        self.cameras = np.empty(0, dtype=np.int64)
        self.account = account

    def partners(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The crops that give the keys of the crops `rows`, both int64 `(n,)`."""
        raise NotImplementedError

    def wants_features(self, epoch: int) -> bool:
        """Whether, before this epoch begins, it wants the features of all crops."""
        return False

    def learn(self, features: np.ndarray, group: Group) -> None:
        """Take the features of all crops as they are now, float32 `(N, D)`, of length 1.

        Args:
            features: The same in all processes.
            group: All processes; each of them learns the same.
        """
        raise NotImplementedError

    def figures(self) -> dict[str, float]:
        """What stands in the history under `columns`."""
        return {}

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it, beside what follows from the crops."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state."""


def kind(arm: Pretrain, crops: CropSet) -> Positives:
    """The kind of positive that an arm asks for, over its crops.

    Raises:
        BadInput: the crops have not what it takes.
    """
    from passerby.pretrain.positives.mined import Mined
    from passerby.pretrain.positives.tracklet import Tracklet
    from passerby.pretrain.positives.view import View

    if arm.positives == "view":
        if arm.negatives == "camera":
            raise BadInput("pretrain: negatives 'camera' need tracks: ask for other positives")
        return View(len(crops))
    if not (crops.track >= 0).any():
        raise BadInput(
            f"pretrain: positives '{arm.positives}' need tracks, and no crop has one: "
            "track people in 'detect', or ask for 'view'"
        )
    found = (
        Tracklet(crops.track, crops.frame, arm.min_gap_frames)
        if arm.positives == "tracklet"
        else Mined(crops, arm.min_gap_frames, arm.mining)
    )
    tracked = crops.track >= 0
    found.cameras = np.zeros(len(found.friends), np.int64)
    found.cameras[crops.track[tracked]] = crops.camera[tracked]
    if arm.negatives == "camera":
        _require_negatives(crops.camera[tracked], arm.queue)
    return found


def _require_negatives(camera: np.ndarray, queue: int) -> None:
    """Refuse what would train nothing: a queue that holds next to no key of a query's camera."""
    shares = np.unique(camera, return_counts=True)[1] / len(camera)
    expected = queue * np.square(shares).sum()
    if expected < LEAST_NEGATIVES:
        raise BadInput(
            f"pretrain: negatives 'camera' leave {expected:.1f} keys of a queue of {queue:,} to a "
            f"crop, over {len(shares):,} cameras; {LEAST_NEGATIVES} are wanted: ask for 'all', or "
            "for a larger 'queue'"
        )
