"""fast-reid's trainer as we drive it: weights in, steps that train, refusals that name the step."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.finetune import bridge, recipes
from passerby.finetune import trainer as training
from passerby.finetune.compat import fastreid
from passerby.finetune.trainer import Trainer
from passerby.models import backbones, init_file
from passerby.settings import Encoder, Finetune

Make = Callable[..., Trainer]


@pytest.fixture
def make(benchmark_set: Benchmark, plan: Finetune, encoder: Encoder, start: Path) -> Make:
    def trainer(lowered: str = "fp32", seed: int = 0, **changes: Any) -> Trainer:
        changed = Finetune.model_validate({**plan.model_dump(), **changes})
        images = bridge.items(benchmark_set, range(1, 9))
        cfg = recipes.config(changed, encoder, 8)
        return Trainer(cfg, images, changed, encoder, init_file.read(start)[0], seed, lowered)

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
    monkeypatch.setattr(
        fastreid.engine.defaults, "build_optimizer", fastreid.solver.build.build_optimizer
    )
    assert len(unchanged(make(iterations=3, iterations_per_epoch=3))) == 62


def test_c2_every_tensor_of_the_start_is_in_the_model(make: Make, start: Path) -> None:
    trainer, (state, _) = make(), init_file.read(start)
    own = trainer.model.backbone.state_dict()
    assert str(trainer.account) == "120 of 120 backbone tensors"
    assert own.keys() == state.keys()
    assert all(torch.equal(own[name], state[name]) for name in state)


def test_c2_a_start_that_lacks_a_tensor_is_refused(make: Make, encoder: Encoder) -> None:
    state = backbones.build(encoder).state_dict()
    backbone = make().model.backbone
    del state["layer4.1.conv2.weight"]
    with pytest.raises(BadInput, match=r"1 tensor missing: layer4\.1\.conv2\.weight"):
        training.load_start(backbone, state, encoder)


@pytest.mark.parametrize("pooling", ["torchvision", "fastreid"])
@pytest.mark.parametrize("stride", [1, 2])
def test_m2_fast_reids_backbone_computes_what_ours_does(
    plan: Finetune, pooling: str, stride: int
) -> None:
    encoder = Encoder.model_validate({"stem_pooling": pooling, "last_stride": stride})
    ours = backbones.build(encoder, seed=5).eval()
    cfg = recipes.config(plan, encoder, 8)
    theirs = fastreid.modeling.build_model(cfg).backbone.eval()
    training.load_start(theirs, ours.state_dict(), encoder)
    pictures = torch.rand(2, 3, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(theirs(pictures), ours.feature_map(pictures))


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


def test_d10_equal_seeds_make_equal_heads_and_first_batches(make: Make) -> None:
    one, same, other = make(), make(), make(seed=1)
    assert torch.equal(one.model.heads.weight, same.model.heads.weight)
    assert not torch.equal(one.model.heads.weight, other.model.heads.weight)
    hook = training._Streams()
    batches = []
    for hook.trainer in (one, same, other):
        hook.trainer.epoch = 0
        hook.before_epoch()
        batches.append(next(hook.trainer._trainer._data_loader_iter)["images"])
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])


def test_i5_fast_reid_writes_nothing_to_stdout(
    make: Make, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    make(iterations=1, iterations_per_epoch=1).train()
    assert capfd.readouterr().out == ""
    assert logging.getLogger("fastreid").propagate
    assert "Starting training from epoch 0" in caplog.text
