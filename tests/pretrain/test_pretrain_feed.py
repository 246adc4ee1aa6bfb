import numpy as np
import pytest
import torch
from pretrain_samples import ARM, ENCODER, write_crops

from passerby.crops.store import CropStore
from passerby.errors import BadInput
from passerby.pretrain import positives
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.feed import Batch, Feed
from passerby.pretrain.pictures import Resident, Streaming
from passerby.training.processes import Group

CPU = torch.device("cpu")
SIZE = (ARM.height_px, ARM.width_px)


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> CropSet:
    path = tmp_path_factory.mktemp("feed") / "crops.lmdb"
    write_crops(path)
    return CropSet.of(CropStore(path))


def feed(crops: CropSet, rank: int = 0, world: int = 1, threads: int = 1, **changes) -> Feed:
    arm = ARM.model_copy(update=changes)
    kind = positives.kind(arm, crops)
    pictures = Resident(crops, SIZE, threads, CPU, quiet=True)
    return Feed(crops, pictures, kind, arm, ENCODER, Group(rank, world, CPU), threads)


def test_a_batch_has_views_labels_and_the_way_back_to_the_queries_order(crops):
    batch = feed(crops).batch(3)
    assert batch.queries.shape == batch.keys.shape == (16, 3, 32, 16)
    assert torch.equal(batch.labels, batch.key_labels)
    assert sorted(batch.unshuffle.tolist()) == list(range(16))
    assert batch.unshuffle.tolist() != list(range(16))


def test_unshuffled_keys_are_their_queries_partners(crops):
    """Crops that are black or white by track show whose key is whose."""
    made = feed(crops, views="ori-cj")
    made._pictures.pictures[:] = torch.from_numpy(crops.track % 16 * 15).view(-1, 1, 1, 1)
    for step in range(4):
        batch = made.batch(step)
        keys = batch.keys[batch.unshuffle]
        queries, keys = batch.queries.mean((1, 2, 3)), keys.mean((1, 2, 3))
        torch.testing.assert_close(keys, queries, atol=1e-4, rtol=0)
        assert len(queries.round(decimals=3).unique()) > 3


def test_a_symmetric_batch_has_each_view_as_query_and_as_the_others_key(crops):
    plain, both = feed(crops).batch(2), feed(crops, symmetric=True).batch(2)
    assert both.queries.shape == both.keys.shape == (32, 3, 32, 16)
    keys = both.keys[both.unshuffle]
    assert torch.equal(both.queries[:16], plain.queries)
    assert torch.equal(both.queries[16:], plain.keys[plain.unshuffle])
    assert torch.equal(keys, both.queries.roll(16, dims=0))
    assert torch.equal(both.labels[:16], plain.labels)
    assert torch.equal(both.key_labels, both.labels.roll(16))


def test_processes_share_a_batch_and_change_nothing_in_it(crops):
    alone = feed(crops)
    for step in (0, 5):
        whole = alone.batch(step)
        parts = [feed(crops, rank, 4).batch(step) for rank in range(4)]
        for name in ("queries", "keys"):
            together = torch.cat([getattr(part, name) for part in parts])
            torch.testing.assert_close(together, getattr(whole, name), atol=1e-5, rtol=0)
        assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)
        for part in parts:
            assert torch.equal(part.key_labels, whole.key_labels)
            assert torch.equal(part.unshuffle, whole.unshuffle)


def test_a_batch_follows_from_its_step_alone(crops):
    forth = feed(crops)
    batches = [forth.batch(step) for step in range(6)]
    late = feed(crops).batch(5)
    assert equal(late, batches[5])
    assert not torch.equal(batches[4].queries, late.queries)
    assert not torch.equal(late.queries, late.keys[late.unshuffle])
    other = feed(crops, seed=1).batch(5)
    assert not torch.equal(other.queries, late.queries)


def test_fewer_crops_than_a_batch_are_refused(crops):
    with pytest.raises(BadInput, match="found 64 items to train on, a batch takes 65"):
        feed(crops, batch=65)


def equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in vars(one))


def test_streaming_and_any_number_of_threads_give_the_same_bytes(crops):
    kept, arm = feed(crops), ARM
    for threads in (1, 3):
        pictures = Streaming(crops, SIZE, threads, CPU)
        kind = positives.kind(arm, crops)
        streamed = Feed(crops, pictures, kind, arm, ENCODER, Group(0, 1, CPU), threads)
        for step, batch in zip(range(1, 4), streamed.batches(1, 4), strict=True):
            assert equal(batch, kept.batch(step))


def test_batches_come_in_order_and_end(crops):
    made = feed(crops)
    batches = list(made.batches(2, 4))
    assert len(batches) == 2
    assert all(equal(batch, made.batch(step)) for step, batch in enumerate(batches, start=2))


def test_whole_crops_are_the_pictures_themselves(crops):
    made = feed(crops)
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (ENCODER.mean, ENCODER.deviation))
    rows = np.array([9, 40])
    pictures = made._pictures.take(rows).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(made.whole(rows), (pictures - mean) / deviation)
