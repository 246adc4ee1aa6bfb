import cv2
import numpy as np
from crop_samples import make_source

from passerby.crops import montage


def test_groups_of_a_montage_are_tracks_spread_over_the_store(make_store):
    store = make_store(*(make_source(f"de+bonn+{name}", count=20) for name in "abcd"))
    groups = montage.by_tracks(store, count=3, each=4)
    tracks = [set(store.track[group].tolist()) for group in groups]
    assert tracks == [{0}, {4}, {7}]  # of 8 tracks
    assert [len(group) for group in groups] == [4, 4, 4]
    members = np.flatnonzero(store.track == 4)
    assert groups[1][[0, -1]].tolist() == members[[0, -1]].tolist()


def test_crops_without_tracks_fill_the_groups_evenly(make_store):
    source = make_source("de+bonn+a", count=20)
    source.columns["track"][:] = -1
    store = make_store(source)
    assert [group.tolist() for group in montage.by_tracks(store, 2, 3)] == [[0, 4, 8], [11, 15, 19]]


def test_a_store_without_crops_has_a_montage(make_store, tmp_path):
    store = make_store()
    montage.draw(store, montage.by_tracks(store, 8, 2), 2, 4, tmp_path / "m.jpg")
    assert cv2.imread(str(tmp_path / "m.jpg")).shape == (130, 4 * 66, 3)


def test_images_keep_their_aspect_in_their_cells():
    wide, high = np.full((20, 40, 3), 200, np.uint8), np.full((256, 64, 3), 100, np.uint8)
    sheet = montage.montage([[wide, high]], each=2, columns=2)
    assert sheet.shape == (130, 132, 3)
    assert (sheet[0:32, 0:64] == 200).all()
    assert (sheet[:128, 66 + 16 : 66 + 48] == 100).all()
    assert (sheet[:, 66 : 66 + 16] == 40).all()
    assert (sheet[32:, :66] == 40).all()


def test_the_montage_is_the_same_each_time(make_store, tmp_path):
    store = make_store(make_source("de+bonn+a", count=30))
    for name in ("one.jpg", "two.jpg"):
        montage.draw(store, montage.by_tracks(store, 2, 8), 8, 8, tmp_path / name)
    assert (tmp_path / "one.jpg").read_bytes() == (tmp_path / "two.jpg").read_bytes()
    shown = cv2.imread(str(tmp_path / "one.jpg"))
    assert shown.shape == (260, 8 * 66, 3)


def test_a_group_begins_in_a_cell_of_its_own():
    one, two, three = (np.full((128, 64, 3), shade, np.uint8) for shade in (50, 100, 150))
    sheet = montage.montage([[one], [two, two], [three]], each=2, columns=4)
    assert sheet.shape == (260, 4 * 66, 3)
    cells = [
        [int(sheet[64 + 130 * row, 32 + 66 * column, 0]) for column in range(4)] for row in range(2)
    ]
    assert cells == [[50, 40, 100, 100], [150, 40, 40, 40]]
