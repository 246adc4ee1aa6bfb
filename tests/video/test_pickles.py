"""LUPerson's and LUPerson-NL's pickles, and how they are checked against the video."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passerby.errors import BadInput
from passerby.video import pickles
from passerby.video.decode import VideoInfo

INFO = VideoInfo(frames=20, fps=30.0, width=1280, height=720)
BOX = [618.625, 81.75, 1031.375, 709.25]


def element(index: int = 0, box: Any = BOX, **more: Any) -> list[Any]:
    return [index, {"bbox": np.array(box, np.float32), "conf": 0.75, **more}]


def read(
    path: Path, content: Any, first_frame: int = 0, with_tracks: bool = True, info: VideoInfo = INFO
) -> pickles.Read:
    path.write_bytes(pickle.dumps(content))
    return pickles.read(path, first_frame, with_tracks, info)


def test_luperson_nl_is_read_with_its_tracks_in_order(tmp_path: Path) -> None:
    content = {
        7: [element(1, pid=4), element(0, pid=9)],
        0: [element(0, [1, 2, 3, 4], pid=4)],
        9: [],
    }
    found = read(tmp_path / "x.pkl", content).boxes
    assert found.frame.tolist() == [0, 7, 7]
    assert found.track.tolist() == [4, 9, 4]
    assert found.box[0].tolist() == [1, 2, 3, 4]
    assert found.confidence.tolist() == [0.75] * 3
    assert (found.frame.dtype, found.box.dtype) == (np.int32, np.float32)


def test_luperson_is_read_from_frame_one_without_tracks(tmp_path: Path) -> None:
    pose = {"pose": np.zeros((17, 2), np.float32), "prob": np.zeros((17, 1), np.float32)}
    content = {1: [element(**pose)], 20: [element(**pose)]}
    found = read(tmp_path / "x.pkl", content, first_frame=1, with_tracks=False).boxes
    assert found.frame.tolist() == [0, 19]
    assert found.track.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("frames", "first", "said"),
    [
        (
            [1, 20],
            0,
            "detect.first_frame: 0 gives frames 1 to 20, the video has frames 0 to 19; it looks "
            "1-based",
        ),
        ([0, 19], 1, r"gives frames -1 to 18, .* it looks 0-based \(LUPerson-NL\): set .*: 0"),
        ([0, 39], 0, r"gives frames 0 to 39, .* at another rate than 30 frames/s"),
        ([-5], 0, "made on another video"),
    ],
)
def test_frames_that_the_video_has_not_are_refused_with_advice(
    frames: list[int], first: int, said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=said):
        read(tmp_path / "x.pkl", {frame: [element(pid=1)] for frame in frames}, first)


def test_presence_of_tracks_must_be_as_the_settings_say(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"frame 3, box 0 has no 'pid': .* set detect.with_tracks: f"
    ):
        read(tmp_path / "x.pkl", {3: [element()]})
    with pytest.raises(BadInput, match=r"has a 'pid': this pickle is LUPerson-NL's.*_tracks: true"):
        read(tmp_path / "x.pkl", {3: [element(pid=1)]}, with_tracks=False)
    with pytest.raises(BadInput, match="'pid' -1; a number from 0 on was wanted"):
        read(tmp_path / "x.pkl", {3: [element(pid=-1)]})


def test_few_boxes_without_area_are_counted_and_many_are_refused(tmp_path: Path) -> None:
    good = [element(n, pid=n) for n in range(200)]
    bad = [element(200, [5, 5, 5, 9], pid=0), element(201, [np.nan, 0, 4, 4], pid=0)]
    found = read(tmp_path / "x.pkl", {2: good + bad})
    assert (found.bad, len(found.boxes)) == (2, 200)
    with pytest.raises(BadInput, match="2 of 12 boxes are not finite or have no area"):
        read(tmp_path / "x.pkl", {2: good[:10] + bad})


def test_boxes_of_a_larger_picture_are_refused(tmp_path: Path) -> None:
    small = VideoInfo(20, 30.0, 640, 360)
    content = {n: [element(pid=1)] for n in range(20)}
    with pytest.raises(
        BadInput,
        match=r"20 of 20 boxes have their middle outside the 640x360 picture \(they reach to "
        r"1031x709\): made at another resolution",
    ):
        read(tmp_path / "x.pkl", content, info=small)


def test_boxes_of_a_smaller_picture_leave_a_hint(tmp_path: Path) -> None:
    content = {n: [element(i, [i, 10, i + 20, 180], pid=i) for i in range(4)] for n in range(20)}
    assert read(tmp_path / "x.pkl", content).hint == (
        "all boxes lie in the upper left 2% x 25% of the picture: were they made on a smaller one?"
    )
    assert read(tmp_path / "x.pkl", {3: [element(pid=1)]}).hint == ""


def test_boxes_may_reach_over_the_edge(tmp_path: Path) -> None:
    found = read(tmp_path / "x.pkl", {0: [element(0, [-20.5, -3, 60, 90], pid=1)]})
    assert found.boxes.box.tolist() == [[-20.5, -3, 60, 90]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "found a list, wanted a dictionary of frames"),
        ({"a": []}, "frame 'a': wanted a frame number with a list of boxes"),
        ({0: 5}, "frame 0: wanted a frame number with a list of boxes"),
        ({0: [5]}, r"frame 0: found '5', wanted \[index, \{'bbox': ...\}\]"),
        ({0: [[0, {"pid": 1}]]}, "frame 0, box 0: 'bbox' of four numbers"),
        ({0: [[0, {"bbox": [1, 2, 3], "pid": 1}]]}, "frame 0, box 0: 'bbox' of four numbers"),
    ],
)
def test_pickle_of_something_else_is_refused_with_the_place(
    content: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=f"x.pkl.*{said}"):
        read(tmp_path / "x.pkl", content)


def test_all_missing_pickles_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "a+b+c.pkl").touch()
    with pytest.raises(
        BadInput, match=r"2 of 3 videos have no pickle .*: a\+b\+d, a\+b\+e; unpack"
    ):
        pickles.missing(["a+b+c", "a+b+d", "a+b+e"], tmp_path)


def test_empty_pickle_is_a_video_without_people(tmp_path: Path) -> None:
    assert len(read(tmp_path / "x.pkl", {}).boxes) == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({10**30: [element(pid=1)]}, "frame 1000000000000000000000000000000: wanted a frame num"),
        ({0: [[float("inf"), element(pid=1)[1]]]}, r"wanted \[index, "),
        ({0: [element(pid=float("inf"))]}, "'bbox' of four numbers, 'conf' and 'pid' were wanted"),
        ({0: [element(pid=10**30)]}, "'pid' 1000000000000000000000000000000; a number from 0"),
        ({0: [[0, {"bbox": [10**400] * 4, "pid": 1}]]}, "a whole number of 167 bytes"),
        ({0: [[0, {"bbox": BOX, "conf": 10**400, "pid": 1}]]}, "a whole number of 167 bytes"),
        ({0: [[0, {"bbox": BOX, "conf": [1, 2], "pid": 1}]]}, "'bbox' of four numbers, 'conf'"),
        ({0: [[0, {"bbox": [1e300] * 4, "pid": 1}]]}, "1 of 1 boxes are not finite"),
        ({0: [[0, {"bbox": BOX, "conf": float("nan"), "pid": 1}]]}, "1 of 1 boxes are not finite"),
    ],
)
def test_numbers_that_no_column_has_room_for_are_refused(
    content: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        read(tmp_path / "x.pkl", content)
    assert len(str(caught.value)) < 400
