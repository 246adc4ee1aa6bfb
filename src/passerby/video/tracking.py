"""Joining boxes of one video into tracks: ByteTrack, of the package `trackers`.

Boxes that are too unsure to come out still help: ByteTrack bridges gaps with them. Track numbers
begin at 0 in each video.
"""

import warnings

import numpy as np

from passerby.errors import BadInput
from passerby.settings import Detect
from passerby.video.detections import Boxes


def track(found: Boxes, looked_at: range, fps: float, section: Detect) -> Boxes:
    """Number the tracks of one video's boxes, and leave out boxes that only bridged.

    Args:
        found: Boxes of the video, sorted by frame.
        looked_at: The frames that the detector saw, with boxes or without.
        fps: Frames a second of the video.
        section: Which tracker, and how sure a box must be to come out.

    Returns:
        The boxes of at least `min_confidence`, with tracks.

    Raises:
        BadInput: the package is absent.
    """
    numbers = np.full(len(found), -1, np.int32)
    if section.tracker == "bytetrack":
        numbers = bytetrack(found, looked_at, fps / looked_at.step)
    sure = found.confidence >= section.min_confidence
    return Boxes(found.frame, found.box, found.confidence, numbers).at(sure)


def bytetrack(found: Boxes, looked_at: range, rate: float) -> np.ndarray:
    """The track of each box by ByteTrack with its own defaults, -1 for none: `(N,)` int32.

    Args:
        found: Boxes of one video, sorted by frame.
        looked_at: The frames that the detector saw.
        rate: How many of them there are in a second.

    Raises:
        BadInput: the package `trackers` is absent.
    """
    try:
        import supervision
        import trackers
    except ImportError as error:
        raise BadInput(
            f"detect.tracker 'bytetrack' needs the package 'trackers' ({error}): install it as "
            "requirements/ does, or set detect.tracker: none"
        ) from None
    tracker = trackers.ByteTrackTracker(frame_rate=rate or 30.0)
    numbers = np.full(len(found), -1, np.int32)
    begins = np.searchsorted(found.frame, looked_at)
    ends = np.searchsorted(found.frame, looked_at, side="right")
    for first, last in zip(begins, ends, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations among its own packages
            joined = tracker.update(
                supervision.Detections(
                    xyxy=found.box[first:last].astype(np.float64),
                    confidence=found.confidence[first:last].astype(np.float64),
                    data={"row": np.arange(first, last)},
                )
            )
        if len(joined):  # it changes the order
            numbers[np.asarray(joined.data["row"])] = np.asarray(joined.tracker_id)
    return numbers
