import copy
from dataclasses import replace

import needs
import pytest
import torch
import torch.nn.functional as F
from pretrain_samples import write_crops
from trainer_samples import arm, made

from passerby.crops.store import CropStore
from passerby.errors import BadInput
from passerby.pretrain import trainer as trainers
from passerby.pretrain.cropset import CropSet
from passerby.training.processes import Group


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> CropSet:
    path = tmp_path_factory.mktemp("trainer") / "crops.lmdb"
    write_crops(path)
    return CropSet.of(CropStore(path))


def test_processes_that_do_not_divide_the_sub_batches_are_refused(crops):
    with pytest.raises(BadInput) as refused:
        made(crops, Group(0, 3, torch.device("cpu")))
    assert str(refused.value) == (
        "pretrain: 3 processes, which do not divide bn_groups 4 and batch 16; "
        "set PASSERBY_PROCESSES to a number that does"
    )


SLOW_CHANGES = [
    {},
    {"symmetric": True},
    {"mask_positives": False, "momentum": 0.9, "momentum_end": 1.0, "temperature": 0.2},
    {"negatives": "camera", "bn_groups": 2},
    {"positives": "view", "schedule": "step", "steps_share": (0.05,)},
]


@pytest.mark.slow
@pytest.mark.parametrize("changes", SLOW_CHANGES)
def test_a_step_is_algorithm_1(group, crops, changes):
    """Two steps against the same written out, without DDP, fused updates or in-place tricks.

    In float64, because BatchNorm over four pictures makes much of a rounding.
    """
    size = {"height_px": 32, "width_px": 16}
    ours, source = made(crops, group, torch.float64, warmup_steps=0, **size, **changes)
    asked, both = ours.arm, 1 + ours.arm.symmetric
    query, key = copy.deepcopy(ours.query_encoder), copy.deepcopy(ours.key_encoder)
    queue, labels = ours.queue.keys.clone(), ours.queue.labels.clone()
    velocity = {name: torch.zeros_like(p) for name, p in query.named_parameters()}
    falls = 0.1 if asked.schedule == "step" else 0.982962913144534  # of 12 steps
    momenta = [0.9, 1 - 0.1 * 0.982962913144534] if asked.momentum_end else [0.99, 0.99]
    for step, rate in ((0, 0.05 / 16), (1, 0.05 / 16 * falls)):
        batch = source.batch(step)
        batch = replace(batch, queries=batch.queries.double(), keys=batch.keys.double())
        measured = ours.train_step(batch, 12)
        q = F.normalize(query(batch.queries))
        with torch.no_grad():
            for name, parameter in key.named_parameters():
                m = momenta[step]
                parameter.copy_(m * parameter + (1 - m) * query.get_parameter(name))
            k = F.normalize(key(batch.keys))[batch.unshuffle]
        scores = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.double().T], 1)
        logits = scores / asked.temperature
        for i, label in enumerate(batch.labels if asked.mask_positives else ()):
            logits[i, 1:][(labels == label) & (label >= 0)] = -torch.inf
        if asked.negatives == "camera":
            camera = torch.from_numpy(source.positives.cameras)
            for i, own in enumerate(batch.key_labels):
                for j, other in enumerate(labels):
                    if own >= 0 and other >= 0 and camera[own] != camera[other]:
                        logits[i, 1 + j] = -torch.inf
        loss = F.cross_entropy(logits, torch.zeros(16 * both, dtype=torch.int64))
        gradients = torch.autograd.grad(loss, list(query.parameters()))
        with torch.no_grad():
            for (name, parameter), gradient in zip(
                query.named_parameters(), gradients, strict=True
            ):
                velocity[name] = 0.9 * velocity[name] + gradient + 1e-4 * parameter
                parameter -= rate * velocity[name]
        for one, (it, label) in enumerate(zip(k.float(), batch.key_labels, strict=True)):
            place = (one + 16 * both * step) % 40
            queue[place], labels[place] = it, label
        wanted = [loss.detach(), (logits.argmax(1) == 0).double().mean()]
        torch.testing.assert_close(
            measured[:2], torch.stack(wanted).to(measured.dtype), atol=1e-5, rtol=1e-5
        )
        assert measured[5].item() == pytest.approx(rate)
    for ours_now, slow in ((ours.query_encoder, query), (ours.key_encoder, key)):
        for name, tensor in ours_now.state_dict().items():
            torch.testing.assert_close(tensor, slow.state_dict()[name], atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(ours.queue.keys, queue, atol=1e-5, rtol=0)
    assert torch.equal(ours.queue.labels, labels)
    assert ours.step == 2


def test_the_rate_grows_with_the_whole_batch():
    asked = arm(lr=0.06, batch=512, warmup_steps=0)
    assert trainers.learning_rate(asked, 0, 100) == pytest.approx(0.12)


@pytest.mark.slow
@pytest.mark.parametrize(("lr", "step"), [(1e9, 1), (float("inf"), 0)])
def test_a_loss_that_is_no_number_ends_the_run_before_the_update(group, crops, lr, step):
    ours, source = made(crops, group, lr=min(lr, 1e9), warmup_steps=0)
    if step == 0:  # the start itself is broken
        ours.query_encoder.head[-1].bias.data.fill_(float("nan"))
        ours.saved_step = 40
    with pytest.raises(BadInput) as refused:
        for at in range(12):
            before = copy.deepcopy(ours.query_encoder.state_dict())
            ours.train_step(source.batch(at), 12)
    assert ours.step >= step
    for name, parameter in ours.query_encoder.named_parameters():
        assert torch.equal(parameter.isnan(), before[name].isnan())
        known = ~parameter.isnan()
        assert torch.equal(parameter[known], before[name][known]), name
    rate = trainers.learning_rate(ours.arm, ours.step, 12)
    saved = "of step 40" if step == 0 else "not made yet"
    assert str(refused.value).startswith(
        f"pretrain: the loss is nan at step {ours.step}, learning rate {rate:g}; nothing was "
        f"updated, and the last good checkpoint is {saved}. A lower 'lr'"
    )


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["sgd", "lars"])
def test_a_loss_that_is_read_a_step_late_updates_nothing_either(group, crops, optimiser):
    ours, source = made(crops, group, warmup_steps=0, optimiser=optimiser)
    ours._unread_at_most = 1  # as on a GPU
    ours.train_step(source.batch(0), 12)
    ours.query_encoder.head[-1].bias.data.fill_(float("nan"))
    before = copy.deepcopy(dict(ours.query_encoder.named_parameters()))
    ours.train_step(source.batch(1), 12)
    with pytest.raises(BadInput, match=r"the loss is nan at step 1, .* nothing was updated"):
        ours.train_step(source.batch(2), 12)
    for name, parameter in ours.query_encoder.named_parameters():
        torch.testing.assert_close(parameter, before[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.slow
def test_a_loss_that_nobody_has_read_yet_is_read_before_a_row_or_a_checkpoint(group, crops):
    ours, source = made(crops, group, warmup_steps=0)
    ours._unread_at_most = 1
    ours.query_encoder.head[-1].bias.data.fill_(float("nan"))
    ours.train_step(source.batch(0), 12)
    with pytest.raises(BadInput, match="the loss is nan at step 0"):
        ours.require_finite()


@pytest.mark.slow
def test_weights_that_are_no_numbers_are_refused(group, crops):
    ours, _ = made(crops, group)
    ours.require_finite_weights()
    ours.query_encoder.head[0].weight.data[0, 0] = torch.inf
    with pytest.raises(BadInput, match=r"weights that are no numbers after step 0. A lower 'lr'"):
        ours.require_finite_weights()


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["sgd", "lars"])
def test_every_weight_moves_and_the_key_encoder_follows(group, crops, optimiser):
    ours, source = made(crops, group, optimiser=optimiser, warmup_steps=0)
    begun = copy.deepcopy(ours.query_encoder.state_dict())
    for step in range(2):
        ours.train_step(source.batch(step), 12)
    for name, parameter in ours.query_encoder.named_parameters():
        assert not torch.equal(parameter, begun[name]), name
        assert not torch.equal(ours.key_encoder.get_parameter(name), begun[name]), name
        assert ours.key_encoder.get_parameter(name).grad is None


@pytest.mark.slow
def test_both_encoders_begin_alike(group, crops):
    ours, _ = made(crops, group)
    query, key = ours.query_encoder.state_dict(), ours.key_encoder.state_dict()
    assert all(torch.equal(tensor, key[name]) for name, tensor in query.items())


@pytest.mark.slow
def test_state_of_two_processes_goes_on_in_one_from_the_mean_of_their_statistics(group, crops):
    ours, source = made(crops, group)
    ours.train_step(source.batch(0), 12)
    state = ours.state()
    one = state["processes"][0]
    state["processes"] = torch.stack([one, one + 2])
    other, _ = made(crops, group)
    other.restore(state)
    assert other.step == other.saved_step == 1
    buffers = [b for b in other.query_encoder.buffers() if b.is_floating_point()]
    before = [b for b in ours.query_encoder.buffers() if b.is_floating_point()]
    for mean, was in zip(buffers, before, strict=True):
        torch.testing.assert_close(mean, was + 1)


@pytest.mark.slow
def test_the_backbone_that_is_looked_at_is_a_copy_that_trains_nothing(group, crops):
    ours, source = made(crops, group)
    ours.train_step(source.batch(0), 12)
    backbone = ours.backbone()
    assert not backbone.training
    assert ours.query_encoder.backbone.training
    for name, tensor in ours.query_encoder.backbone.state_dict().items():
        assert torch.equal(backbone.state_dict()[name], tensor), name
    with torch.no_grad():
        next(backbone.parameters()).zero_()
    assert next(ours.query_encoder.backbone.parameters()).abs().sum() > 0


@pytest.mark.slow
def test_compiled_encoders_train_what_plain_ones_do(group, crops):
    needs.require("a C++ compiler")
    plain, source = made(crops, group, torch.float64)
    compiled, _ = made(crops, group, torch.float64, compile=True)
    for step in range(2):
        batch = source.batch(step)
        batch = replace(batch, queries=batch.queries.double(), keys=batch.keys.double())
        for one in (plain, compiled):
            one.train_step(batch, 12)
    assert list(compiled.state()["query_encoder"]) == list(plain.state()["query_encoder"])
    for name, tensor in plain.query_encoder.state_dict().items():
        torch.testing.assert_close(compiled.query_encoder.state_dict()[name], tensor)
