"""The one loop of the baselines: epochs, early stopping, a falling rate, exact resume.

It knows no report: a task says what a batch's loss is and how it is validated. All random state is
a function of seed and epoch, so a checkpoint at an epoch's end holds the whole future of a run.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from passerby import seeds
from passerby.errors import BadInput
from passerby.progress import Progress
from passerby.training import checkpoint
from passerby.training.history import History
from passerby.training.processes import Watched
from passerby.training.repeatable import drawing_from

CHECKPOINT = "checkpoint.pt"
HISTORY = "history.tsv"
COLUMNS = ("epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "lr")


class Task(Protocol):
    """What is trained, as the loop sees it."""

    @property
    def network(self) -> nn.Module:
        """What is trained."""

    @property
    def optimizer(self) -> Optimizer:
        """What trains it, with one group of parameters at least."""

    @property
    def steps_per_epoch(self) -> int:
        """Training batches in an epoch."""

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Loss (with its gradient's graph) and accuracy of a training batch; steps count from 0."""

    def validate(self) -> tuple[float, float]:
        """Loss and accuracy on what is kept out of training."""


@dataclass(frozen=True)
class Course:
    """How long training goes on, and when its rate falls.

    Attributes:
        name: Of the baseline, which is its section in the settings.
        seed: Of what the network draws itself (dropout).
        epochs: At most.
        patience: Epochs without a lower validation loss after which training stops.
        plateau_patience: Epochs without one that are borne before the rate falls.
        plateau_factor: What the rate is then multiplied with.
    """

    name: str
    seed: int
    epochs: int
    patience: int
    plateau_patience: int
    plateau_factor: float


@dataclass(frozen=True)
class Best:
    """The epoch with the least validation loss, its weights and the run's history."""

    epoch: int
    loss: float
    weights: dict[str, Tensor]
    history: str


def train(
    task: Task, course: Course, scratch: Path, contract: Mapping[str, Any], quiet: bool = False
) -> Best:
    """Train until the validation loss falls no more, on from the checkpoint if there is one.

    Args:
        task: What is trained; left with the weights of the last epoch.
        course: How long.
        scratch: Folder of checkpoint and growing history.
        contract: What decides the result; a checkpoint of another one is refused.
        quiet: Whether to show no progress.

    Raises:
        BadInput: a loss is no finite number.
    """
    saved = checkpoint.load(scratch / CHECKPOINT, contract)
    plateau = ReduceLROnPlateau(
        task.optimizer, factor=course.plateau_factor, patience=course.plateau_patience
    )
    history = History(scratch / HISTORY, COLUMNS, saved["history"] if saved else "")
    best = _resumed(task, plateau, saved) if saved else Best(-1, math.inf, {}, "")
    done = saved["epoch"] if saved else 0
    steps = task.steps_per_epoch
    with Progress(course.name, course.epochs * steps, "steps", done * steps, quiet) as progress:
        while done < course.epochs and done - best.epoch <= course.patience:
            lr = task.optimizer.param_groups[0]["lr"]
            row = _epoch(task, course, done, lambda loss: progress.step(note=loss))
            history.append({"epoch": done, "lr": lr, **row})
            plateau.step(row["validation_loss"])
            if row["validation_loss"] < best.loss:
                best = Best(done, row["validation_loss"], _copied(task.network), "")
            done += 1
            state = _state(task, plateau, best, done)
            checkpoint.save(scratch / CHECKPOINT, contract, {**state, "history": history.text})
    return Best(best.epoch, best.loss, best.weights, history.text)


def _epoch(task: Task, course: Course, epoch: int, told: Callable[[str], None]) -> dict[str, float]:
    """Train for an epoch and validate: means over its batches."""
    task.network.train()
    device = next(task.network.parameters()).device
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    shown: deque[Watched] = deque(maxlen=2)
    with drawing_from(seeds.number(course.seed, course.name, "epoch", epoch)):
        for place in range(task.steps_per_epoch):
            loss, accuracy = task.batch(epoch * task.steps_per_epoch + place)
            task.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            task.optimizer.step()
            sums += torch.stack([loss.detach(), accuracy]).double()
            shown.append(Watched(loss.detach()))
            # The loss of the step before, so that the host does not wait for the present one.
            told(f"epoch {epoch}  loss {shown[0].read():.3f}")
    task.network.eval()
    with torch.inference_mode():
        validation_loss, validation_accuracy = task.validate()
    train_loss, train_accuracy = (sums / task.steps_per_epoch).tolist()
    _require_finite(course, epoch, {"training": train_loss, "validation": validation_loss})
    return {
        "loss": train_loss,
        "accuracy": train_accuracy,
        "validation_loss": validation_loss,
        "validation_accuracy": validation_accuracy,
    }


def _require_finite(course: Course, epoch: int, losses: Mapping[str, float]) -> None:
    broken = [
        f"the {name} loss is {loss}" for name, loss in losses.items() if not math.isfinite(loss)
    ]
    if broken:
        raise BadInput(
            f"{course.name}: in epoch {epoch} {' and '.join(broken)}, a finite number was wanted; "
            f"lower '{course.name}.lr'"
        )


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def _state(task: Task, plateau: ReduceLROnPlateau, best: Best, done: int) -> dict[str, Any]:
    """All that decides how the run goes on."""
    return {
        "epoch": done,
        "network": task.network.state_dict(),
        "optimizer": task.optimizer.state_dict(),
        "plateau": plateau.state_dict(),
        "best": {"epoch": best.epoch, "loss": best.loss, "weights": best.weights},
    }


def _resumed(task: Task, plateau: ReduceLROnPlateau, saved: Mapping[str, Any]) -> Best:
    task.network.load_state_dict(saved["network"])
    task.optimizer.load_state_dict(saved["optimizer"])
    plateau.load_state_dict(saved["plateau"])
    return Best(**saved["best"], history="")
