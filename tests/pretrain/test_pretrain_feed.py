import numpy as np
import pytest
import torch
from crop_samples import make_source, picture
from pretrain_samples import ARM, ENCODER, write_crops

from passerby.crops.cut import encoded
from passerby.crops.store import CropStore, writing
from passerby.errors import BadInput
from passerby.pretrain import positives
from passerby.pretrain.feed import Feed
from passerby.pretrain.positives.tracklet import Tracklet
from passerby.pretrain.positives.view import View
from passerby.pretrain.resident import Resident
from passerby.training.processes import Group

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> CropStore:
    path = tmp_path_factory.mktemp("feed") / "crops.lmdb"
    write_crops(path)
    return CropStore(path)


def feed(store: CropStore, rank: int = 0, world: int = 1, **changes: object) -> Feed:
    arm = ARM.model_copy(update=changes)
    kind = positives.kind(arm.positives, store)
    crops = Resident(store, 32, 16, threads=1, quiet=True)
    return Feed(crops, kind, arm, ENCODER, Group(rank, world, CPU))


def test_crops_lie_in_memory_at_one_size_and_keep_their_shape(tmp_path):
    jpegs = [encoded(picture(n), 95) for n in range(300)]
    one = make_source("de+bonn+a", count=0)
    columns = {key: np.zeros((300, *v.shape[1:]), v.dtype) for key, v in one.columns.items()}
    columns |= {"width": columns["width"] + 20, "height": columns["height"] + 40}
    columns["frame"] = np.arange(300, dtype=np.int32)
    source = make_source("de+bonn+a", 300, jpegs=jpegs, columns=columns)
    with writing(tmp_path / "c.lmdb") as writer:
        writer.add(source)
    store = CropStore(tmp_path / "c.lmdb")
    crops = Resident(store, 40, 20, threads=3, quiet=True)  # more than one block of them
    assert crops.pictures.shape == (300, 40, 20, 3)
    assert set(crops.shapes) == {0.5}
    for row in (0, 255, 256, 299):
        np.testing.assert_array_equal(crops.pictures[row], store.image(row))
    np.testing.assert_array_equal(crops.take(np.array([7, 3]), CPU), crops.pictures[[7, 3]])
    half = Resident(store, 20, 10, threads=1, quiet=True)
    blocks = crops.pictures[5].reshape(20, 2, 10, 2, 3).mean((1, 3))  # averaged over the area
    assert np.abs(half.pictures[5] - blocks).max() <= 0.5 + 1e-6


def test_a_batch_has_views_labels_and_the_way_back_to_the_queries_order(store):
    batch = feed(store).batch(3)
    assert batch.queries.shape == batch.keys.shape == (16, 3, 32, 16)
    assert torch.equal(batch.labels, batch.key_labels)
    assert sorted(batch.unshuffle.tolist()) == list(range(16))
    assert batch.unshuffle.tolist() != list(range(16))


def test_unshuffled_keys_are_their_queries_partners(store):
    """Crops that are black or white by track show whose key is whose."""
    crops = Resident(store, 32, 16, threads=1, quiet=True)
    crops.pictures[:] = (store.track % 16 * 15).astype(np.uint8)[:, None, None, None]
    changes = {"views": "ori-cj", "positives": "tracklet"}
    arm = ARM.model_copy(update=changes)
    made = Feed(crops, Tracklet(store.track), arm, ENCODER, Group(0, 1, CPU))
    for step in range(4):
        batch = made.batch(step)
        keys = batch.keys[batch.unshuffle]
        queries, keys = batch.queries.mean((1, 2, 3)), keys.mean((1, 2, 3))
        torch.testing.assert_close(keys, queries, atol=1e-4, rtol=0)
        assert len(queries.round(decimals=3).unique()) > 3


def test_processes_share_a_batch_and_change_nothing_in_it(store):
    alone = feed(store)
    for step in (0, 5):
        whole = alone.batch(step)
        parts = [feed(store, rank, 4).batch(step) for rank in range(4)]
        for name in ("queries", "keys"):
            together = torch.cat([getattr(part, name) for part in parts])
            torch.testing.assert_close(together, getattr(whole, name), atol=1e-5, rtol=0)
        assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)
        for part in parts:
            assert torch.equal(part.key_labels, whole.key_labels)
            assert torch.equal(part.unshuffle, whole.unshuffle)


def test_a_batch_follows_from_its_step_alone(store):
    forth = feed(store)
    batches = [forth.batch(step) for step in range(6)]
    late = feed(store).batch(5)
    for name in vars(late):
        assert torch.equal(getattr(late, name), getattr(batches[5], name))
    assert not torch.equal(batches[4].queries, late.queries)
    assert not torch.equal(late.queries, late.keys[late.unshuffle])
    other = feed(store, seed=1).batch(5)
    assert not torch.equal(other.queries, late.queries)


def test_fewer_crops_than_a_batch_are_refused(store):
    with pytest.raises(BadInput, match="found 64 items to train on, a batch takes 65"):
        feed(store, batch=65)


def test_the_partner_is_another_crop_of_the_track_each_as_likely():
    track = np.array([5, 2, 5, -1, 5, 9, 2, 5, -1, 5])
    kind = Tracklet(track)
    assert kind.alone == 3  # two without a track, and one alone in its
    assert kind.labels.tolist() == track.tolist()
    rng = np.random.default_rng(0)
    rows = np.tile(np.arange(10), 8000)
    partners = kind.partners(rows, rng)
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (rows, partners), 1)
    for row in range(10):
        others = [n for n in range(10) if track[n] == track[row] >= 0 and n != row]
        assert np.flatnonzero(counts[row]).tolist() == (others or [row])
        share = counts[row][others or [row]] / 8000
        np.testing.assert_allclose(share, 1 / len(share), atol=0.03)


def test_partners_equal_a_slow_twins():
    rng = np.random.default_rng(1)
    track = rng.integers(-1, 12, 60)
    kind = Tracklet(track)
    rows = rng.permutation(60)[:40]
    found = kind.partners(rows, np.random.default_rng(2))
    numbers = np.random.default_rng(2).random(40)
    for row, number, partner in zip(rows, numbers, found, strict=True):
        crops = [n for n in range(60) if track[n] == track[row]] if track[row] >= 0 else [row]
        place = crops.index(row)
        others = crops[place + 1 :] + crops[:place]
        assert partner == (others[int(number * len(others))] if others else row)


def test_view_gives_the_crop_itself_and_masks_nothing():
    kind = View(5)
    rows = np.array([3, 1])
    assert kind.partners(rows, np.random.default_rng(0)).tolist() == [3, 1]
    assert (kind.labels.tolist(), kind.alone) == ([-1] * 5, 0)


def test_kinds_of_positives_go_by_name(store):
    assert isinstance(positives.kind("view", store), View)
    assert positives.kind("tracklet", store).alone == 2
    with pytest.raises(BadInput) as refused:
        positives.kind("camera", store)
    assert str(refused.value) == "positives: no kind is called 'camera'; known: view, tracklet"
