import cv2
import numpy as np
import pytest
from crop_samples import picture, write_video

from passerby import seeds
from passerby.crops.cut import cut_video, look, shrunk
from passerby.errors import BadInput
from passerby.images import encoded
from passerby.settings import Crops
from passerby.video import detections

SIZE = (96, 64)
SETTINGS = Crops(every=1, min_height_px=20, min_width_px=8, min_visible=0.5, max_same_bits=-1)


def frame_of(number):
    return picture(500 + number, *SIZE)


@pytest.fixture
def video(tmp_path):
    """Thirty frames, each a picture of its own."""
    path = tmp_path / "de+bonn+a.mp4"
    write_video(path, [frame_of(n) for n in range(30)])
    return path


def boxes(*rows):
    """Boxes from rows of `(frame, track, box)`."""
    frame, track, box = zip(*rows, strict=True)
    return detections.boxes(frame, box, track=track)


def cut(path, found, settings=SETTINGS, size=SIZE):
    return cut_video(path, "de+bonn+a", found, size, settings)


def test_crops_are_the_pixels_of_their_boxes(video):
    found = boxes(
        (0, 4, (10, 5, 30, 45)),
        (0, 6, (40.5, 20.2, 60.1, 58.9)),
        (7, 4, (-4, 30, 16, 70)),
        (29, -1, (70, 10, 90, 50)),
    )
    source = cut(video, found)
    cuts = [(0, 10, 5, 30, 45), (0, 40, 20, 61, 59), (7, 0, 30, 16, 64), (29, 70, 10, 90, 50)]
    for jpeg, (number, left, top, right, bottom) in zip(source.jpegs, cuts, strict=True):
        assert jpeg == encoded(frame_of(number)[top:bottom, left:right], 95)
    columns = source.columns
    assert columns["frame"].tolist() == [0, 0, 7, 29]
    assert columns["index"].tolist() == [0, 1, 0, 0]
    assert columns["track"].tolist() == [4, 6, 4, -1]
    assert columns["width"].tolist() == [20, 21, 16, 20]
    assert columns["height"].tolist() == [40, 39, 34, 40]
    assert columns["box"][2].tolist() == [0, 30, 16, 64]
    assert (source.boxes, source.left_out, source.cameras) == (4, {}, ("de+bonn+a",))


def test_every_box_is_accounted_for(video):
    rng = seeds.stream(5, "cut")
    corner = rng.uniform(-10, 80, (120, 2))
    box = np.concatenate([corner, corner + rng.uniform(4, (30, 60), (120, 2))], axis=1)
    frame = np.sort(rng.integers(0, 30, 120))
    found = detections.boxes(frame, box, track=rng.integers(-1, 4, 120))
    settings = SETTINGS.model_copy(update={"every": 3, "max_same_bits": 20, "min_sharpness": 1.0})
    source = cut(video, found, settings)
    assert len(source.jpegs) + sum(source.left_out.values()) == source.boxes == 120
    assert {"cut", "small", "aspect", "every", "repeat"} <= set(source.left_out)


def test_the_number_of_a_box_in_its_frame_counts_boxes_that_were_left_out(video):
    found = boxes((3, 1, (0, 0, 5, 5)), (3, 2, (10, 5, 30, 45)))
    source = cut(video, found)
    assert source.columns["index"].tolist() == [1]
    assert source.left_out == {"small": 1}


def test_high_crops_are_shrunk_before_they_are_stored(video):
    settings = SETTINGS.model_copy(update={"store_height_px": 20, "jpeg_quality": 80})
    source = cut(video, boxes((2, 1, (10, 5, 30, 45))), settings)
    small = cv2.resize(frame_of(2)[5:45, 10:30], (10, 20), interpolation=cv2.INTER_AREA)
    assert source.jpegs == [encoded(small, 80)]
    assert (source.columns["width"][0], source.columns["height"][0]) == (10, 20)


def test_a_low_crop_is_not_enlarged():
    assert shrunk(picture(1), 256).shape == (40, 20, 3)


@pytest.fixture
def still(tmp_path):
    """Twelve times one picture, then another."""
    path = tmp_path / "still.mp4"
    write_video(path, [frame_of(0)] * 12 + [frame_of(1)])
    return path


def test_a_repeat_of_the_tracks_last_crop_is_left_out(still):
    here = (10, 5, 30, 45)
    found = boxes((0, 1, here), (3, 2, here), (5, 1, here), (12, 1, here))
    settings = SETTINGS.model_copy(update={"max_same_bits": 0})
    source = cut(still, found, settings)
    # another track may show the same; after the scene has changed the track goes on
    assert source.columns["frame"].tolist() == [0, 3, 12]
    assert source.left_out == {"repeat": 1}
    everything = cut(still, found)
    assert len(everything.jpegs) == 4


def test_boxes_without_track_repeat_any_of_the_last_frame(still):
    one, other = (10, 5, 30, 45), (60, 5, 80, 45)
    found = boxes((0, -1, one), (0, -1, other), (5, -1, other), (12, -1, other))
    settings = SETTINGS.model_copy(update={"max_same_bits": 0})
    source = cut(still, found, settings)
    assert source.columns["frame"].tolist() == [0, 0, 12]
    assert source.left_out == {"repeat": 1}


def test_a_blurred_crop_is_named_so_before_a_repeat():
    flat = np.full((40, 20, 3), 90, np.uint8)
    settings = SETTINGS.model_copy(update={"min_sharpness": 5.0, "max_same_bits": 64})
    assert look(flat, [0], settings)[0] == "blurred"
    assert look(flat, [0], settings.model_copy(update={"min_sharpness": 0.0}))[0] == "repeat"
    assert look(flat, [], settings.model_copy(update={"min_sharpness": 0.0}))[0] is None


def test_boxes_in_damaged_frames_are_counted_and_said(video, capsys):
    data = bytearray(video.read_bytes())
    begin = data.index(b"mdat") + len(data) // 2
    data[begin : begin + len(data) // 6] = bytes(len(data) // 6)
    video.write_bytes(data)
    found = boxes(*((n, n, (10, 5, 30, 45)) for n in range(30)))
    source = cut(video, found)
    assert source.boxes == 30
    assert source.left_out == {"damaged": 30 - len(source.jpegs)}
    assert 0 < len(source.jpegs) < 30
    for jpeg, number in zip(source.jpegs, source.columns["frame"].tolist(), strict=True):
        assert jpeg == encoded(frame_of(number)[5:45, 10:30], 95)
    said = capsys.readouterr().err
    assert said.startswith(f"crop: {video}: damaged frames: {30 - len(source.jpegs)} (")


def test_a_video_of_another_size_or_length_than_its_boxes_is_refused(video):
    box = (10, 5, 30, 45)
    with pytest.raises(BadInput) as error:
        cut(video, boxes((0, 1, box)), size=(192, 128))
    assert str(error.value) == (
        f"{video}: 30 frames of 96x64 found, its boxes are of 192x128 and go up to frame 0: "
        "another rendition of the video; run 'dvc repro detect'"
    )
    with pytest.raises(BadInput, match="go up to frame 30"):
        cut(video, boxes((30, 1, box)))


def test_a_video_that_was_cut_short_is_refused(video):
    video.write_bytes(video.read_bytes()[:2000])
    with pytest.raises(BadInput, match=r"de\+bonn\+a\.mp4"):
        cut(video, boxes((0, 1, (10, 5, 30, 45))))
