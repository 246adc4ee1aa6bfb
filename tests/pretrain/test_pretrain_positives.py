import dataclasses

import numpy as np
import pytest
import torch
from pretrain_samples import ARM, write_crops

from passerby.crops.store import CropStore
from passerby.errors import BadInput
from passerby.pretrain import positives
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.positives import NO_LABEL
from passerby.pretrain.positives.mined import Mined
from passerby.pretrain.positives.tracklet import Tracklet
from passerby.pretrain.positives.view import View
from passerby.settings import Mining
from passerby.training.processes import Group

ALONE = Group(0, 1, torch.device("cpu"))
NOW = np.zeros(10, int)


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> CropSet:
    path = tmp_path_factory.mktemp("positives") / "crops.lmdb"
    write_crops(path)
    return CropSet.of(CropStore(path))


def counted(kind, count: int, draws: int = 8000) -> np.ndarray:
    """How often each crop is the partner of each."""
    rows = np.tile(np.arange(count), draws)
    counts = np.zeros((count, count), int)
    np.add.at(counts, (rows, kind.partners(rows, np.random.default_rng(0))), 1)
    return counts


def test_the_partner_is_another_crop_of_the_track_each_as_likely():
    track = np.array([5, 2, 5, -1, 5, 9, 2, 5, -1, 5])
    kind = Tracklet(track, NOW)
    assert np.flatnonzero(kind.alone).tolist() == [3, 5, 8]
    assert kind.labels.tolist() == track.tolist()
    assert kind.account == (
        "3 tracks; 3 of 10 crops are their own partners: 2 without a track, 1 alone in theirs"
    )
    counts = counted(kind, 10)
    for row in range(10):
        others = [n for n in range(10) if track[n] == track[row] >= 0 and n != row]
        assert np.flatnonzero(counts[row]).tolist() == (others or [row])
        share = counts[row][others or [row]] / 8000
        np.testing.assert_allclose(share, 1 / len(share), atol=0.03)


@pytest.mark.parametrize("gap", [0, 1, 3, 8, 100])
def test_partners_are_at_least_the_gap_away_in_time(gap):
    """The slow twin: all crops of the track that are far enough, each as likely."""
    rng = np.random.default_rng(1)
    track, frame = rng.integers(-1, 4, 30), rng.integers(0, 25, 30)
    kind = Tracklet(track, frame, gap)
    counts = counted(kind, 30, 4000)
    for row in range(30):
        others = [
            n
            for n in range(30)
            if track[n] == track[row] >= 0 and n != row and abs(frame[n] - frame[row]) >= gap
        ]
        assert np.flatnonzero(counts[row]).tolist() == (others or [row])
        assert kind.alone[row] == (not others)
        share = counts[row][others or [row]] / 4000
        np.testing.assert_allclose(share, 1 / len(share), atol=0.05)
    near = kind.alone.sum() - (track < 0).sum()
    if gap == 100:
        assert f"{near} with none 100 frames away" in kind.account


def test_view_gives_the_crop_itself_and_masks_nothing():
    kind = View(5)
    rows = np.array([3, 1])
    assert kind.partners(rows, np.random.default_rng(0)).tolist() == [3, 1]
    assert kind.labels.tolist() == [-1] * 5
    assert kind.account == "every crop is its own partner"
    assert not kind.wants_features(0)
    assert kind.state() == {}


def test_kinds_of_positives_go_by_name(crops):
    for name, wanted in (("view", View), ("tracklet", Tracklet), ("mined", Mined)):
        arm = ARM.model_copy(update={"positives": name})
        assert type(positives.kind(arm, crops)) is wanted


def test_crops_without_tracks_and_of_one_camera_are_refused_where_that_matters(crops):
    loose = dataclasses.replace(crops, track=crops.track * 0 - 1)
    alone = dataclasses.replace(crops, camera=crops.camera * 0)
    mined = ARM.model_copy(update={"positives": "mined"})
    positives.kind(ARM.model_copy(update={"positives": "view"}), loose)
    with pytest.raises(BadInput, match="positives 'tracklet' need tracks, and no crop has one"):
        positives.kind(ARM, loose)
    with pytest.raises(BadInput, match="min_common 0 need tracks of 2 cameras, and there are 1"):
        positives.kind(mined, alone)


def test_pairs_that_must_agree_need_a_third_camera_and_drop_those_that_do_not(crops):
    """Two people; the first is in three cameras, the second in two."""
    with pytest.raises(BadInput, match="min_common 1 need tracks of 3 cameras, and there are 2"):
        mined(crops, min_common=1)
    columns = {"track": [0, 1, 2, 3, 4], "camera": [0, 0, 1, 1, 2], "person": [7, 8, 7, 8, 7]}
    five = dataclasses.replace(
        crops,
        rows=np.arange(5),
        frame=np.zeros(5, np.int32),
        shape=np.full(5, 0.5),
        **{name: np.array(values) for name, values in columns.items()},
    )
    features = np.eye(5, dtype=np.float32)[[0, 1, 0, 1, 0]]
    for least, wanted in ((0, 4), (1, 3)):
        kind = mined(five, min_common=least, min_similarity=0.9)
        kind.learn(features, ALONE)
        assert kind.figures() == {
            "pairs": wanted,
            "paired_tracks": 1.0 if wanted == 4 else 0.6,
            "right_pairs": 1.0,
        }


def test_each_track_has_the_camera_that_saw_it_where_negatives_ask_for_it(crops):
    for name in ("tracklet", "mined"):
        kind = positives.kind(ARM.model_copy(update={"positives": name}), crops)
        assert kind.cameras.tolist() == [0] * 4 + [1] * 4
    view = ARM.model_copy(update={"positives": "view", "negatives": "camera"})
    with pytest.raises(BadInput, match="negatives 'camera' need tracks: ask for other positives"):
        positives.kind(view, crops)


def test_a_queue_with_next_to_no_key_of_a_camera_is_refused(crops):
    """Two cameras of four crops each: half of the queue is a query's."""
    for queue, fits in ((32, True), (31, False)):
        arm = ARM.model_copy(update={"negatives": "camera", "queue": queue})
        if fits:
            positives.kind(arm, crops)
        else:
            with pytest.raises(BadInput, match=r"leave 15\.5 keys of a queue of 31 to a crop"):
                positives.kind(arm, crops)


def mined(crops: CropSet, **changes) -> Mined:
    return Mined(crops, 0, Mining(**({"neighbours": 100, "per_camera": False} | changes)))


def features_by(person: np.ndarray, noise: float = 0.05) -> np.ndarray:
    """Near a direction of each person's own."""
    rng = np.random.default_rng(3)
    directions = rng.standard_normal((int(person.max()) + 2, 32))
    made = directions[person] + noise * rng.standard_normal((len(person), 32))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def test_mined_pairs_are_the_same_peoples_where_features_tell_them(crops):
    kind = mined(crops)
    assert kind.figures()["pairs"] == 0
    assert np.isnan(kind.figures()["right_pairs"])
    kind.learn(features_by(crops.person), ALONE)
    assert kind.figures() == {"pairs": 4, "paired_tracks": 1.0, "right_pairs": 1.0}
    # Tracks 0 to 3 are the first camera's, 4 to 7 the second's: the same four people.
    assert kind.friends.tolist() == [[4], [5], [6], [7], [0], [1], [2], [3]]


def test_a_share_of_the_draws_goes_to_partner_tracks(crops):
    kind = mined(crops, share=0.3)
    kind.learn(features_by(crops.person), ALONE)
    counts = counted(kind, 64, 2000) / 2000
    for row in range(64):
        track, person = crops.track[row], crops.person[row]
        own = (crops.track == track) & (np.arange(64) != row)
        other = (crops.person == person) & (crops.camera != crops.camera[row]) & (crops.track >= 0)
        if track < 0:
            assert counts[row, row] == 1
            continue
        assert counts[row][own].sum() == pytest.approx(0.7, abs=0.05)
        np.testing.assert_allclose(counts[row][other], 0.3 / other.sum(), atol=0.03)
        assert counts[row][own | other].sum() == pytest.approx(1)


def test_before_pairs_are_mined_draws_are_tracklets(crops):
    kind, plain = mined(crops), Tracklet(crops.track, crops.frame)
    rows = np.arange(64)
    ours, theirs = (k.partners(rows, np.random.default_rng(5)) for k in (kind, plain))
    np.testing.assert_array_equal(ours, theirs)
    assert kind.friends.shape == (8, 0)


def test_features_are_wanted_from_an_epoch_on_every_few(crops):
    kind = mined(crops, from_epoch=3, every_epochs=2)
    assert [kind.wants_features(epoch) for epoch in range(8)] == [False] * 3 + [True, False] * 2 + [
        True
    ]


def test_state_carries_the_pairs_over(crops):
    one, other = mined(crops), mined(crops)
    one.learn(features_by(crops.person), ALONE)
    other.restore(one.state())
    assert other.friends.tolist() == one.friends.tolist()
    assert other.figures() == one.figures()
    rows = np.arange(64)
    ours, theirs = (k.partners(rows, np.random.default_rng(6)) for k in (one, other))
    np.testing.assert_array_equal(ours, theirs)


def test_pairs_of_people_who_are_not_known_do_not_count_as_wrong(crops):
    unknown = np.where(crops.person == 0, -1, crops.person)
    kind = mined(dataclasses.replace(crops, person=unknown))
    kind.learn(features_by(crops.person), ALONE)
    assert kind.figures() == {"pairs": 4, "paired_tracks": 1.0, "right_pairs": 1.0}


def test_friends_are_filled_up_with_what_no_key_is_labelled(crops):
    kind = mined(crops)
    kind._take(np.array([[0, 4], [0, 5]]))
    assert kind.friends[:, 0].tolist() == [4] + [NO_LABEL] * 3 + [0, 0] + [NO_LABEL] * 2
    assert kind.friends[:, 1].tolist() == [5] + [NO_LABEL] * 7
    assert isinstance(kind.state()["pairs"], torch.Tensor)
