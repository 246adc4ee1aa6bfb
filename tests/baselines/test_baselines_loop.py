"""The loop alone, on a task whose validation losses are given beforehand."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from passerby.baselines import loop
from passerby.baselines.loop import Best, Course
from passerby.errors import BadInput

COURSE = Course("numbers", 0, epochs=10, patience=2, plateau_patience=1, plateau_factor=0.5)


class Numbers:
    """One weight that grows by the rate each step; validation says what it was told to."""

    steps_per_epoch = 2

    def __init__(self, losses: Sequence[float], training: float = 0.0) -> None:
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.network.weight)
        self.optimizer = torch.optim.SGD(self.network.parameters(), 1.0)
        self.losses, self.training, self.asked = list(losses), training, 0

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        loss = -self.network.weight.sum() + self.training
        return loss, torch.tensor(0.25 + step % 2 / 2)

    def validate(self) -> tuple[float, float]:
        self.asked += 1
        return self.losses[self.asked - 1], 0.5


def run(task: Numbers, folder: Path, course: Course = COURSE) -> Best:
    folder.mkdir(exist_ok=True)
    return loop.train(task, course, folder, {"what": 1}, quiet=True)


def test_training_stops_after_patience_and_the_best_weights_are_kept(tmp_path: Path) -> None:
    best = run(Numbers([3, 1, 2, 2, 0, 0]), tmp_path / "a")
    assert (best.epoch, best.loss) == (1, 1)
    assert best.weights["weight"].item() == 4  # two epochs of two steps at rate 1
    lines = [line.split("\t") for line in best.history.splitlines()]
    assert lines[0] == list(loop.COLUMNS)
    assert [line[0] for line in lines[1:]] == ["0", "1", "2", "3"]
    assert [line[3] for line in lines[1:]] == ["3", "1", "2", "2"]
    assert [line[2] for line in lines[1:]] == ["0.5"] * 4


def test_the_rate_falls_on_a_plateau(tmp_path: Path) -> None:
    long = Course("numbers", 0, 6, 9, plateau_patience=1, plateau_factor=0.5)
    best = run(Numbers([3, 1, 2, 2, 2, 2]), tmp_path / "a", long)
    rates = [line.split("\t")[-1] for line in best.history.splitlines()[1:]]
    assert rates == ["1", "1", "1", "1", "0.5", "0.5"]


def test_it_ends_at_the_last_epoch(tmp_path: Path) -> None:
    best = run(Numbers([10 - n for n in range(10)]), tmp_path / "a")
    assert best.epoch == 9
    assert len(best.history.splitlines()) == 11


def test_a_killed_run_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    losses = [5, 4, 3, 3.5, 2, 2.5, 2.6, 1]
    whole = run(Numbers(losses), tmp_path / "whole")
    with pytest.raises(IndexError):
        run(Numbers(losses[:4]), tmp_path / "killed")
    on = run(Numbers(losses[4:]), tmp_path / "killed")
    assert (on.epoch, on.loss, on.history) == (whole.epoch, whole.loss, whole.history)
    assert torch.equal(on.weights["weight"], whole.weights["weight"])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_damaged_checkpoint_is_named_and_the_run_begins_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    losses = [5, 4, 3, 3.5, 2, 2.5, 2.6, 1]
    whole = run(Numbers(losses), tmp_path / "whole")
    with pytest.raises(IndexError):
        run(Numbers(losses[:4]), tmp_path / "killed")
    path = tmp_path / "killed" / loop.CHECKPOINT
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 2
    path.write_bytes(content)
    anew = run(Numbers(losses), tmp_path / "killed")
    assert f"{path}: damaged: " in capsys.readouterr().err
    assert (anew.history, anew.loss) == (whole.history, whole.loss)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (Numbers([1.0], training=math.nan), "in epoch 0 the training loss is nan"),
        (Numbers([1.0, math.inf]), "in epoch 1 the validation loss is inf"),
    ],
)
def test_a_loss_that_is_no_number_is_refused(task: Numbers, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said + r".*lower 'numbers\.lr'"):
        run(task, tmp_path / "a")
