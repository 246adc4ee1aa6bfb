"""A step that is captured in a CUDA graph gives the same bytes as one that is not."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from gpu_samples import STEPS, moved, on_gpu, parts
from torch import nn
from trainer_samples import made

from passerby.pretrain.cropset import CropSet
from passerby.pretrain.feed import Feed
from passerby.pretrain.trainer import Trainer
from passerby.settings import Mining
from passerby.training import cuda_graph
from passerby.training.cuda_graph import Captured
from passerby.training.processes import Group

KINDS = {
    "view": {"positives": "view"},
    "lars": {"positives": "view", "optimiser": "lars", "symmetric": True},
    "tracklet": {"positives": "tracklet", "negatives": "camera", "momentum_end": 1.0},
    "mined": {
        "positives": "mined",
        "mining": Mining(from_epoch=0, every_epochs=1, min_similarity=-1),
    },
}


@pytest.fixture(autouse=True)
def repeatable() -> Iterator[None]:
    """Convolutions whose sums are always in the same order."""
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


def never_captured(trainer: Trainer) -> Trainer:
    assert trainer._captured
    trainer._captured._warm_ups = 10**9
    return trainer


def trained(trainer: Trainer, feed: Feed, first: int, last: int) -> torch.Tensor:
    """Train some steps of a run; returns what they measured."""
    device = trainer.group.device
    found = [trainer.train_step(moved(feed.batch(at), device), STEPS) for at in range(first, last)]
    return torch.stack(found).cpu()


def learnt(trainer: Trainer, feed: Feed, seed: int) -> None:
    """Find pairs anew, as before an epoch."""
    rng = np.random.default_rng(seed)
    feed.positives.learn(rng.standard_normal((64, 8), np.float32), trainer.group)
    trainer.friendship(feed.positives)


@on_gpu
@pytest.mark.parametrize("kind", KINDS)
def test_captured_steps_train_what_others_do_byte_by_byte(
    group: Group, crops: CropSet, kind: str
) -> None:
    """Rates, momentum and partners change from step to step; the queue goes round."""
    changes = {"height_px": 32, "width_px": 16, "warmup_steps": 3, **KINDS[kind]}
    found, weights = [], []
    for captured in (True, False):
        trainer, feed = made(crops, group, **changes)
        if not captured:
            never_captured(trainer)
        seen = []
        for first in (0, 4, 8):
            if kind == "mined":
                learnt(trainer, feed, seed=first)
            seen.append(trained(trainer, feed, first, first + 4))
        found.append(torch.cat(seen))
        weights.append(parts(trainer))
        assert trainer._captured
        assert bool(trainer._captured._graph) == captured
    assert torch.equal(*found)
    assert len(found[0][:, 0].unique()) == 12  # no step gave what another had given
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name


@on_gpu
def test_a_captured_run_goes_back_to_an_earlier_state(group: Group, crops: CropSet) -> None:
    trainer, feed = made(crops, group, height_px=32, width_px=16)
    trained(trainer, feed, 0, 5)
    state = {
        name: {key: value.clone() for key, value in part.items()}
        if name in ("query_encoder", "key_encoder", "queue")
        else part
        for name, part in trainer.state().items()
    }
    state["optimiser"] = torch.utils._pytree.tree_map(
        lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, state["optimiser"]
    )
    wanted = trained(trainer, feed, 5, 11)
    after = parts(trainer)
    trainer.restore(state)
    assert torch.equal(trained(trainer, feed, 5, 11), wanted)
    for name, tensor in parts(trainer).items():
        assert torch.equal(tensor, after[name]), name


@on_gpu
def test_a_function_is_captured_anew_for_other_shapes(device: torch.device) -> None:
    weight = nn.Parameter(torch.ones(3, device=device))
    calls = []

    def work(x: torch.Tensor, factor: torch.Tensor) -> list[torch.Tensor]:
        """A step of gradient descent of which the gradient is known."""
        calls.append(len(x))
        weight.grad = None
        loss = (x * weight).sum()
        loss.backward()
        with torch.no_grad():
            weight.sub_(weight.grad * factor)
        return [loss.detach()]

    captured = Captured(work, device)
    wanted, results = torch.ones(3), []
    for step, rows in enumerate([2, 2, 2, 2, 2, 2, 5, 5, 2]):
        x = torch.randn(rows, 3, generator=torch.Generator().manual_seed(step))
        factor = 0.1 * (1 + step)
        (loss,) = captured(x.to(device), torch.full((), factor, device=device))
        results.append((loss, (x * wanted).sum()))
        wanted = wanted - x.sum(0) * factor
        torch.testing.assert_close(weight.detach().cpu(), wanted)
    assert calls == [*[2] * (cuda_graph._WARM_UPS + 1), 5, 2]
    for found, expected in results:  # later calls have not overwritten what earlier ones returned
        torch.testing.assert_close(found.cpu(), expected)
    captured.forget()
    captured(torch.ones(2, 3, device=device), torch.zeros((), device=device))
    assert calls[-2:] == [2, 2]


@on_gpu
def test_the_variable_switches_the_graph_off(
    group: Group, crops: CropSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cuda_graph.VARIABLE, "0")
    trainer, feed = made(crops, group)
    assert trainer._captured is None
    assert trained(trainer, feed, 0, 5).isfinite().all()
