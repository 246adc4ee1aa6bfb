"""fast-reid's trainer as we drive it: weights in, steps that train, refusals that name the step."""

import logging
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.finetune import bridge, recipes
from passerby.finetune.compat import fastreid
from passerby.finetune.start import Start
from passerby.finetune.trainer import Trainer, can_skip
from passerby.models import init_file
from passerby.settings import Encoder, Finetune

Make = Callable[..., Trainer]


@pytest.fixture
def make(benchmark_set: Benchmark, plan: Finetune, encoder: Encoder, start: Path) -> Make:
    def trainer(lowered: str = "fp32", seed: int = 0, **changes: Any) -> Trainer:
        changed = Finetune.model_validate({**plan.model_dump(), **changes})
        images = bridge.items(benchmark_set, range(1, 9))
        cfg = recipes.config(changed, encoder, 8, len(images))
        begin = Start(*init_file.read(start), encoder)
        run = recipes.schedule(changed, len(images))
        return Trainer(cfg, images, run, changed, begin, seed, lowered)

    return trainer


def unchanged(trainer: Trainer) -> list[str]:
    """Train to the end; the trainable tensors that are what they were."""
    before = {
        name: value.detach().clone()
        for name, value in trainer.model.named_parameters()
        if value.requires_grad
    }
    assert len(before) == 62
    trainer.train()
    after = dict(trainer.model.named_parameters())
    return [name for name, value in before.items() if torch.equal(value, after[name])]


@pytest.mark.parametrize("lowered", ["fp32", "bf16"])
def test_s1_one_step_changes_every_trainable_tensor(make: Make, lowered: str) -> None:
    assert unchanged(make(lowered, iterations=1, iterations_per_epoch=1)) == []


@pytest.mark.slow
def test_s1_without_the_repair_no_step_changes_any(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = fastreid.solver.build.build_optimizer
    monkeypatch.setattr(Trainer, "build_optimizer", lambda self, cfg, model: stock(cfg, model))
    assert len(unchanged(make(iterations=3, iterations_per_epoch=3))) == 62


def test_c2_every_tensor_of_the_start_is_in_the_model(make: Make, start: Path) -> None:
    trainer, (state, _) = make(), init_file.read(start)
    own = trainer.model.backbone.state_dict()
    assert str(trainer.start.account) == "120 of 120 backbone tensors"
    assert own.keys() == state.keys()
    assert all(torch.equal(own[name], state[name]) for name in state)


def test_bf16_stays_inside_the_backbone_and_out_of_inference(make: Make) -> None:
    backbone = make("bf16").model.backbone
    exact = make("fp32").model.backbone
    pictures = torch.rand(8, 3, 32, 16)
    rough, smooth = backbone.train()(pictures), exact.train()(pictures)
    assert (rough.dtype, backbone.conv1.weight.dtype) == (torch.float32, torch.float32)
    assert not torch.equal(rough, smooth)
    torch.testing.assert_close(rough.mean(), smooth.mean(), rtol=0.02, atol=0)
    backbone.load_state_dict(exact.state_dict())
    assert torch.equal(backbone.eval()(pictures), exact.eval()(pictures))


def test_a_loss_that_is_no_number_stops_before_the_update(make: Make) -> None:
    trainer = make(lr=1e30, iterations=4, iterations_per_epoch=4)
    with pytest.raises(BadInput) as error:
        trainer.train()
    assert str(error.value) == (
        "finetune: the loss of iteration 2 is no finite number; the weights were not changed by it."
        " Lower 'finetune.lr', or start from other weights"
    )
    steps = {int(state["step"]) for state in trainer.optimizer.state.values()}
    assert steps == {1}


def late(trainer: Trainer) -> Trainer:
    """Let it read numbers late, as on a GPU; fused optimisers of a CPU can skip steps, too."""
    trainer._late = trainer._trainer._late = True
    return trainer


def test_g5_rows_that_are_read_a_step_late_are_the_same_and_all_there(make: Make) -> None:
    at_once, later = make(iterations=4), late(make(iterations=4))
    seen: list[tuple[int, int]] = []
    at_once.train(lambda: seen.append((at_once.iter, len(at_once.rows))))
    later.train(lambda: seen.append((later.iter, len(later.rows))))
    assert seen == [(1, 1), (2, 2), (3, 3), (4, 4), (1, 0), (2, 1), (3, 2), (4, 3)]
    assert later.rows == at_once.rows
    assert [row["iteration"] for row in later.rows] == [1, 2, 3, 4]
    for name, value in at_once.network.state_dict().items():
        assert torch.equal(value, later.network.state_dict()[name]), name


@pytest.mark.parametrize("iterations", [2, 4])
def test_a_loss_that_is_read_late_and_is_no_number_has_changed_no_weight(
    make: Make, iterations: int
) -> None:
    trainer = late(make(lr=1e30, iterations=iterations, iterations_per_epoch=2))
    after: list[dict[str, torch.Tensor]] = []

    def look() -> None:
        after.append({name: p.detach().clone() for name, p in trainer.network.named_parameters()})

    with pytest.raises(BadInput, match="the loss of iteration 2 is no finite number; the weights"):
        trainer.train(look)
    assert [row["iteration"] for row in trainer.rows] == [1]
    assert {int(state["step"]) for state in trainer.optimizer.state.values()} == {1}
    for name, value in trainer.network.named_parameters():
        assert torch.equal(value, after[0][name]), name


def test_an_optimiser_that_cannot_skip_on_the_device_is_known() -> None:
    layer = torch.nn.Linear(2, 2)
    assert can_skip(torch.optim.Adam(layer.parameters(), fused=True))
    assert not can_skip(torch.optim.Adam(layer.parameters()))
    assert not can_skip(torch.optim.RMSprop(layer.parameters()))


@pytest.mark.slow
def test_the_same_workers_serve_all_epochs_and_end_with_the_training(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = fastreid.data.common.CommDataset.__getitem__

    def noted(self: Any, index: int) -> Any:
        (tmp_path / "pids" / str(os.getpid())).touch()
        return read(self, index)

    (tmp_path / "pids").mkdir()
    monkeypatch.setattr(fastreid.data.common.CommDataset, "__getitem__", noted)
    make(iterations=8, iterations_per_epoch=2, workers=2).train()
    assert len(list((tmp_path / "pids").iterdir())) == 2
    assert multiprocessing.active_children() == []


def test_d10_equal_seeds_make_equal_heads_and_first_batches(make: Make) -> None:
    one, same, other = make(), make(), make(seed=1)
    assert torch.equal(one.model.heads.weight, same.model.heads.weight)
    assert not torch.equal(one.model.heads.weight, other.model.heads.weight)
    batches = [next(iter(trainer.data_loader))["images"] for trainer in (one, same, other)]
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])


def test_i5_fast_reid_writes_nothing_to_stdout(
    make: Make, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    make(iterations=1, iterations_per_epoch=1).train()
    logging.getLogger("fastreid.engine").info("heard")
    assert capfd.readouterr().out == ""
    assert "heard" in caplog.text


def names(trainer: Trainer, status: str) -> set[str]:
    """Parameters in groups of one freeze status."""
    known = {id(value): name for name, value in trainer.network.named_parameters()}
    groups = [g for g in trainer.optimizer.param_groups if g["freeze_status"] == status]
    return {known[id(value)] for group in groups for value in group["params"]}


def test_while_the_backbone_is_frozen_heads_alone_are_trained(make: Make) -> None:
    trainer = make(iterations=4, iterations_per_epoch=4, freeze_share=0.5)
    begun = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    moved: list[set[str]] = []

    def look() -> None:
        now = trainer.network.state_dict()
        moved.append({name for name in begun if not torch.equal(begun[name], now[name])})

    trainer.train(look)
    assert {name.split(".")[0] for name in moved[1]} == {"heads"}
    assert "heads.weight" in moved[0]
    assert names(trainer, "freeze") <= moved[2]  # and BatchNorm's statistics with them
    assert "backbone.bn1.running_mean" in moved[2]


def test_what_came_with_the_start_has_a_rate_of_its_own(make: Make, start: Path) -> None:
    state, header = init_file.read(start)
    init_file.write(start, state, header.model_copy(update={"fresh": ("layer4.*.conv2.*",)}))
    trainer = make(loaded_lr_factor=0.1, lr=1e-2)
    rates: dict[float, set[str]] = {}
    known = {id(value): name for name, value in trainer.network.named_parameters()}
    for group in trainer.optimizer.param_groups:
        held = {known[id(value)] for value in group["params"]}
        rates.setdefault(round(group["initial_lr"], 9), set()).update(held)
    fresh = {f"backbone.layer4.{block}.conv2.weight" for block in (0, 1)}
    assert rates.keys() == {1e-3, 1e-2}
    assert rates[1e-2] == {"heads.weight", "heads.bottleneck.0.weight", *fresh}


def test_a_random_start_is_fresh_as_a_whole(make: Make, start: Path) -> None:
    state, header = init_file.read(start)
    init_file.write(start, state, header.model_copy(update={"fresh": ("*",)}))
    trainer = make(loaded_lr_factor=0.1, lr=1e-2)
    assert {group["initial_lr"] for group in trainer.optimizer.param_groups} == {1e-2}


def test_averaged_weights_are_the_mean_of_those_after_the_last_steps(make: Make) -> None:
    trainer = make(iterations=4, iterations_per_epoch=2, average_share=0.5)
    after: list[dict[str, torch.Tensor]] = []

    def look() -> None:
        after.append({name: value.clone() for name, value in trainer.network.state_dict().items()})

    trainer.train(look)
    found = trainer.weights()
    for name, last in after[-1].items():
        mean = (after[2][name] + last) / 2 if last.is_floating_point() else last
        torch.testing.assert_close(found[name], mean)


def test_what_a_network_draws_follows_from_the_step_alone(make: Make) -> None:
    trainer = make()
    pictures = torch.rand(8, 3, 32, 16)
    drawn = []
    with fastreid.utils.events.EventStorage(0):
        for trainer.iter in (0, 1, 0):
            trainer.network({"images": pictures, "targets": torch.arange(8) // 2})
            drawn.append(float(torch.rand(1)))
    assert drawn[0] == drawn[2] != drawn[1]
