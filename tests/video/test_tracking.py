"""Tracks: a person keeps a number, each video begins at 0, unsure boxes only bridge."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from passerby import settings
from passerby.errors import BadInput
from passerby.video import detections, tracking
from passerby.video.detections import Boxes

SECTION = settings.Detect(method="yolox", model="x")


def two_walkers(unsure: range = range(0)) -> Boxes:
    """Two people who walk to the right, one above the other, in shuffled order within a frame."""
    frame, box, confidence = [], [], []
    for number in range(20):
        rows = [(10 + 4 * number, 10), (30 + 3 * number, 200)]
        for at, (x, y) in enumerate(rows if number % 3 else rows[::-1]):
            frame.append(number)
            box.append([x, y, x + 40, y + 100])
            lower = (at == 1) == bool(number % 3)
            confidence.append(0.2 if lower and number in unsure else 0.9)
    return detections.boxes(frame, box, confidence)


def test_a_person_keeps_a_number() -> None:
    found = tracking.track(two_walkers(), range(20), 10.0, SECTION)
    upper = found.box[:, 1] < 100
    for person in (upper, ~upper):
        numbers = found.track[person]
        assert len(set(numbers[2:].tolist())) == 1
        assert numbers[-1] >= 0
    assert set(found.track.tolist()) == {-1, 0, 1}


def test_numbers_begin_anew_and_are_the_same_each_time() -> None:
    first = tracking.track(two_walkers(), range(20), 10.0, SECTION)
    second = tracking.track(two_walkers(), range(20), 10.0, SECTION)
    assert np.array_equal(first.track, second.track)


def test_unsure_boxes_bridge_and_do_not_come_out() -> None:
    found = tracking.track(two_walkers(unsure=range(8, 12)), range(20), 10.0, SECTION)
    lower = found.box[:, 1] > 100
    assert found.frame[lower].tolist() == [*range(8), *range(12, 20)]
    assert len(set(found.track[lower][2:].tolist())) == 1
    assert found.confidence.min() > 0.3


def test_without_a_tracker_there_are_no_tracks() -> None:
    section = SECTION.model_copy(update={"tracker": "none"})
    found = tracking.track(two_walkers(), range(20), 10.0, section)
    assert set(found.track.tolist()) == {-1}
    assert len(found) == 40


def test_empty_frames_and_every_second_frame_are_tracked() -> None:
    every = two_walkers()
    some = every.at((every.frame % 2 == 0) & (every.frame != 10))
    found = tracking.track(some, range(0, 20, 2), 10.0, SECTION)
    upper = found.box[:, 1] < 100
    assert len(set(found.track[upper][2:].tolist())) == 1
    none = tracking.track(detections.boxes(), range(20), 10.0, SECTION)
    assert len(none) == 0


def test_absent_package_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trackers", None)
    with pytest.raises(BadInput, match=r"needs the package 'trackers' .*set detect.tracker: none"):
        tracking.track(two_walkers(), range(20), 10.0, SECTION)


def test_tracks_follow_boxes_not_the_order_of_the_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    class Backwards:
        def __init__(self, frame_rate: float) -> None: ...

        def update(self, found: object) -> object:
            turned = found[np.arange(len(found))[::-1]]  # type: ignore[index, arg-type]
            turned.tracker_id = (turned.xyxy[:, 1] > 100).astype(int)
            return turned

    monkeypatch.setitem(sys.modules, "trackers", SimpleNamespace(ByteTrackTracker=Backwards))
    found = tracking.track(two_walkers(), range(20), 10.0, SECTION)
    assert np.array_equal(found.track, (found.box[:, 1] > 100).astype(int))
