import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from pretrain_samples import ARM, ENCODER, write_crops

from passerby.crops.store import CropStore
from passerby.errors import BadInput, Stopped
from passerby.models import backbones
from passerby.pretrain import loop, moco, positives
from passerby.pretrain.feed import Feed
from passerby.pretrain.resident import Resident
from passerby.training.processes import Group

CPU = torch.device("cpu")
QUICK = {"height_px": 16, "width_px": 8, "epochs": 3}


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> CropStore:
    path = tmp_path_factory.mktemp("loop") / "crops.lmdb"
    write_crops(path)
    return CropStore(path)


def trainer(group: Group, dtype: torch.dtype = torch.float32, **changes: object) -> loop.Trainer:
    arm = ARM.model_copy(update=QUICK | changes)
    encoder = moco.seeded(backbones.build(ENCODER), arm.dim, arm.mlp, arm.seed)
    return loop.Trainer(encoder.to(dtype), arm, group, "fp32")


def feed(crops: CropStore, group: Group, **changes: object) -> Feed:
    arm = ARM.model_copy(update=QUICK | changes)
    resident = Resident(crops, arm.height_px, arm.width_px, threads=1, quiet=True)
    return Feed(resident, positives.kind(arm.positives, crops), arm, ENCODER, group)


def never() -> bool:
    return False


@pytest.mark.parametrize(
    ("world", "changes", "words"),
    [
        (
            3,
            {},
            "pretrain: 3 processes, which do not divide bn_groups 4 and batch 16; "
            "set PASSERBY_PROCESSES to a number that does",
        ),
        (
            1,
            {"bn_groups": 5},
            "pretrain: bn_groups 5 does not divide batch 16: set one of them so that it does",
        ),
    ],
)
def test_shares_that_are_not_whole_are_refused(world, changes, words):
    with pytest.raises(BadInput) as refused:
        trainer(Group(0, world, CPU), **changes)
    assert str(refused.value) == words


@pytest.mark.slow
def test_a_step_is_algorithm_1(group, crops):
    """Two steps against the same written out, without DDP, fused updates or in-place tricks.

    In float64, because BatchNorm over four pictures makes much of a rounding.
    """
    made, source = trainer(group, torch.float64, warmup_steps=0), feed(crops, group)
    query, key = copy.deepcopy(made.query_encoder), copy.deepcopy(made.key_encoder)
    queue, labels = made.queue.keys.clone(), made.queue.labels.clone()
    velocity = {name: torch.zeros_like(p) for name, p in query.named_parameters()}
    for step, rate in ((0, 0.05 / 16), (1, 0.05 / 16 * 0.982962913144534)):  # of 12 steps
        batch = source.batch(step)
        batch = replace(batch, queries=batch.queries.double(), keys=batch.keys.double())
        measured = made.train_step(batch, 12)
        q = F.normalize(query(batch.queries))
        with torch.no_grad():
            for name, parameter in key.named_parameters():
                parameter.copy_(0.99 * parameter + 0.01 * query.get_parameter(name))
            k = F.normalize(key(batch.keys))[batch.unshuffle]
        logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.double().T], 1) / 0.1
        for i, label in enumerate(batch.labels):
            logits[i, 1:][(labels == label) & (label >= 0)] = -torch.inf
        loss = F.cross_entropy(logits, torch.zeros(16, dtype=torch.int64))
        gradients = torch.autograd.grad(loss, list(query.parameters()))
        with torch.no_grad():
            for (name, parameter), gradient in zip(
                query.named_parameters(), gradients, strict=True
            ):
                velocity[name] = 0.9 * velocity[name] + gradient + 1e-4 * parameter
                parameter -= rate * velocity[name]
        places = (torch.arange(16) + 16 * step) % 40
        queue[places], labels[places] = k.float(), batch.key_labels
        spread = q.detach().std(0).mean() * 4
        wanted = torch.stack([loss.detach(), (logits.argmax(1) == 0).float().mean(), spread])
        torch.testing.assert_close(measured[:3], wanted.float(), atol=1e-5, rtol=1e-5)
        assert measured[3].item() == pytest.approx(rate)
    for ours, slow in ((made.query_encoder, query), (made.key_encoder, key)):
        for name, tensor in ours.state_dict().items():
            torch.testing.assert_close(tensor, slow.state_dict()[name], atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(made.queue.keys, queue, atol=1e-5, rtol=0)
    assert torch.equal(made.queue.labels, labels)
    assert made.step == 2


@pytest.mark.slow
@pytest.mark.parametrize(("lr", "step"), [(1e9, 1), (float("inf"), 0)])
def test_a_loss_that_is_no_number_ends_the_run_with_step_and_rate(group, crops, lr, step):
    arm = {"lr": lr, "warmup_steps": 0}
    made, source = trainer(group, **arm), feed(crops, group, **arm)
    if step == 0:  # the start itself is broken
        made.query_encoder.head[-1].bias.data.fill_(float("nan"))
        made.arm = made.arm.model_copy(update={"lr": 16.0})
    with pytest.raises(BadInput) as refused:
        for at in range(12):
            made.train_step(source.batch(at), 12)
    assert made.step >= step
    rate = made.optimiser.param_groups[0]["lr"]
    assert str(refused.value).startswith(
        f"pretrain: the loss is nan at step {made.step}, learning rate {rate:g}; nothing was"
    )


@pytest.mark.slow
def test_weights_that_are_no_numbers_do_not_come_out(group, crops, tmp_path):
    made, source = trainer(group), feed(crops, group)
    made.query_encoder.head[0].weight.data[0, 0] = torch.inf
    made.step = 12
    with pytest.raises(BadInput, match="weights that are no numbers after step 12; a lower 'lr'"):
        made.require_finite_weights()
    del source


@pytest.mark.slow
def test_a_run_writes_its_history_and_one_checkpoint(group, crops, tmp_path):
    loop.run(trainer(group), feed(crops, group), tmp_path, {"a": 1}, never)
    rows = [line.split("\t") for line in (tmp_path / "history-0.tsv").read_text().splitlines()]
    assert rows[0] == ["step", "epoch", "loss", "accuracy", "spread", "lr"]
    assert [row[:2] for row in rows[1:]] == [[str(n + 1), str(n // 4)] for n in range(12)]
    assert [float(row[5]) for row in rows[1:5]] == pytest.approx(
        [0.05 / 64 * n for n in (1, 2, 3, 4)]
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-12-0.pt",
        "history-0.tsv",
    ]


@pytest.mark.slow
def test_a_stopped_run_says_so_and_goes_on_to_the_same_bytes(group, crops, tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    whole.mkdir()
    halves.mkdir()
    undisturbed = trainer(group)
    loop.run(undisturbed, feed(crops, group), whole, {"a": 1}, never)
    with pytest.raises(Stopped) as stopped:
        loop.run(trainer(group), feed(crops, group), halves, {"a": 1}, lambda: True)
    assert str(stopped.value) == "pretrain: stopped at step 10 of 12, saved"
    with (halves / "history-0.tsv").open("a") as file:
        file.write("11\ta row that a killed run left behind\n")
    resumed = trainer(group)
    loop.run(resumed, feed(crops, group), halves, {"a": 1}, never)
    assert (whole / "history-0.tsv").read_bytes() == (halves / "history-0.tsv").read_bytes()
    for name, tensor in undisturbed.query_encoder.state_dict().items():
        assert torch.equal(tensor, resumed.query_encoder.state_dict()[name]), name
    assert torch.equal(undisturbed.queue.keys, resumed.queue.keys)


@pytest.mark.slow
def test_a_checkpoint_of_other_settings_lists_them(group, crops, tmp_path):
    with pytest.raises(Stopped):
        loop.run(trainer(group), feed(crops, group), tmp_path, {"arm": {"queue": 40}}, lambda: True)
    with pytest.raises(BadInput) as refused:
        loop.run(trainer(group), feed(crops, group), tmp_path, {"arm": {"queue": 41}}, never)
    assert "  arm.queue: saved 40, asked 41\n" in str(refused.value)


def test_of_two_processes_checkpoints_the_last_that_both_have_counts(group, tmp_path):
    from passerby.training import checkpoint

    for step, rank in ((10, 0), (10, 1), (20, 1)):
        checkpoint.save(tmp_path / f"checkpoint-{step}-{rank}.pt", {}, {"step": step})
    two = Group(0, 2, CPU)
    assert loop._last(tmp_path, {}, two)["step"] == 10
    assert loop._last(tmp_path / "none", {}, two) is None
