"""The loop: steps, what they measure, checkpoints, and stopping when asked to."""

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from passerby.errors import BadInput, Stopped
from passerby.pretrain import moco
from passerby.pretrain.feed import Batch, Feed
from passerby.pretrain.queue import Queue
from passerby.progress import Progress
from passerby.settings import Pretrain
from passerby.training import checkpoint, precision, schedule
from passerby.training.history import History
from passerby.training.processes import Group

COLUMNS = ("step", "epoch", "loss", "accuracy", "spread", "lr")
ROWS_PER_EPOCH = 5
_LOOK_AROUND = 10
"""Steps between two looks at the clock and for a request to stop; ranks look together."""


class Trainer:
    """One run of MoCo: everything that decides its future, and one step of it.

    Args:
        encoder: The query encoder, its start loaded.
        arm: Settings of the run.
        group: The processes that share each batch.
        number_format: `fp32` or `bf16`, of the forward passes.
    """

    def __init__(
        self, encoder: moco.Encoder, arm: Pretrain, group: Group, number_format: str
    ) -> None:
        _require_whole_shares(arm, group)
        encoder.to(group.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.query_encoder, self.key_encoder = moco.pair(encoder, arm.bn_groups // group.world)
        self.queue = Queue(arm.queue, arm.dim, arm.seed).to(group.device)
        self.distributed = _distributed(self.query_encoder, group)
        self.optimiser = torch.optim.SGD(
            self.query_encoder.parameters(),
            lr=arm.lr,
            momentum=arm.sgd_momentum,
            weight_decay=arm.weight_decay,
        )
        self.arm, self.group, self.number_format, self.step = arm, group, number_format, 0

    def train_step(self, batch: Batch, steps: int) -> Tensor:
        """One step; returns loss, accuracy, spread and rate of this process's share, `(4,)`."""
        arm, group = self.arm, self.group
        peak = arm.lr * arm.batch / 256
        rate = schedule.cosine(self.step, steps, peak, arm.warmup_steps)
        self.optimiser.param_groups[0]["lr"] = rate
        with precision.autocast(group.device.type, self.number_format):
            queries = self.distributed(batch.queries)  # n x D
        with torch.no_grad(), precision.autocast(group.device.type, self.number_format):
            moco.follow(self.key_encoder, self.query_encoder, arm.momentum)
            shuffled = F.normalize(self.key_encoder(batch.keys).float())  # n x D
        keys = group.gathered(shuffled)[batch.unshuffle]  # N x D
        masked = moco.same(batch.labels, self.queue.labels)  # n x K
        mine = group.share(arm.batch)
        losses, nearest = moco.info_nce(
            queries, keys[mine], self.queue.keys, arm.temperature, masked
        )
        loss = losses.mean()
        self._require_finite(group.mean(loss), rate)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.queue.enqueue(keys, batch.key_labels)
        self.step += 1
        with torch.no_grad():
            directions = group.gathered(F.normalize(queries.float()))  # N x D
            spread = directions.std(dim=0).mean() * arm.dim**0.5
            return torch.stack([loss, nearest.float().mean(), spread, loss.new_tensor(rate)])

    def _require_finite(self, loss: Tensor, rate: float) -> None:
        if not torch.isfinite(loss):
            raise BadInput(
                f"pretrain: the loss is {loss.item()} at step {self.step}, learning rate {rate:g}; "
                "nothing was updated, and the last checkpoint is from before it. "
                "A lower 'lr', a longer 'warmup_steps' or 'precision: fp32' may help"
            )

    def require_finite_weights(self) -> None:
        """Refuse what the last step, whose loss was measured before it, may have made.

        Raises:
            BadInput: a weight is not a number.
        """
        if not all(weight.isfinite().all() for weight in self.query_encoder.parameters()):
            raise BadInput(
                f"pretrain: weights that are no numbers after step {self.step}; "
                "a lower 'lr', a longer 'warmup_steps' or 'precision: fp32' may help"
            )

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of this run."""
        return {
            "step": self.step,
            "query_encoder": self.query_encoder.state_dict(),
            "key_encoder": self.key_encoder.state_dict(),
            "queue": self.queue.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        self.step = state["step"]
        self.query_encoder.load_state_dict(state["query_encoder"])
        self.key_encoder.load_state_dict(state["key_encoder"])
        self.queue.load_state_dict(state["queue"])
        self.optimiser.load_state_dict(state["optimiser"])


def _require_whole_shares(arm: Pretrain, group: Group) -> None:
    """Refuse sub-batches that would differ in size, or lie in two processes."""
    if arm.batch % arm.bn_groups:
        raise BadInput(
            f"pretrain: bn_groups {arm.bn_groups} does not divide batch {arm.batch}: "
            "set one of them so that it does"
        )
    if arm.bn_groups % group.world:
        raise BadInput(
            f"pretrain: {group.world} processes, which do not divide bn_groups {arm.bn_groups} "
            f"and batch {arm.batch}; set PASSERBY_PROCESSES to a number that does"
        )


def _distributed(encoder: moco.Encoder, group: Group) -> DistributedDataParallel:
    """The encoder whose gradients are the mean of all processes'."""
    with warnings.catch_warnings():
        # torch renames `broadcast_buffers`, whose new name older releases do not know.
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(
            encoder,
            device_ids=[group.device] if group.device.type == "cuda" else None,
            broadcast_buffers=False,  # statistics are averaged once, at the end
            gradient_as_bucket_view=True,
        )


def run(
    trainer: Trainer,
    feed: Feed,
    folder: Path,
    contract: dict[str, Any],
    stop_asked: Callable[[], bool],
) -> None:
    """Train to the end, from the last checkpoint where there is one.

    Args:
        trainer: At its start.
        feed: Of the same settings.
        folder: Scratch: checkpoints and histories of all processes lie there.
        contract: What decides the result.
        stop_asked: Whether somebody wants this process to stop.

    Raises:
        Stopped: it was asked to stop, and saved what it has.
    """
    group, arm = trainer.group, trainer.arm
    saved = _last(folder, contract, group)
    if saved:
        trainer.restore(saved["trainer"])
    first = group.rank == 0
    history = History(folder / f"history-{group.rank}.tsv", COLUMNS, saved["rows"] if saved else "")
    seen = saved["seen"] if saved else torch.zeros(5, dtype=torch.float64)
    steps = arm.epochs * feed.sampler.steps_per_epoch
    every = max(feed.sampler.steps_per_epoch // ROWS_PER_EPOCH, 1)

    def save() -> None:
        state = {"trainer": trainer.state(), "seen": seen, "rows": history.text}
        checkpoint.save(_path(folder, trainer.step, group.rank), contract, state)
        group.wait()
        for older in folder.glob(f"checkpoint-*-{group.rank}.pt"):
            if older != _path(folder, trainer.step, group.rank):
                older.unlink()

    saved_s = time.monotonic()
    with Progress("pretrain", steps, "steps", done=trainer.step, quiet=not first) as progress:
        while trainer.step < steps:
            measured = trainer.train_step(feed.batch(trainer.step), steps)
            seen += torch.cat([measured.double().cpu(), torch.ones(1, dtype=torch.float64)])
            if trainer.step % every == 0 or trainer.step == steps:
                epoch = feed.sampler.epoch(trainer.step - 1)
                note = _add_row(history, trainer.step, epoch, group.mean(seen))
                seen.zero_()
                progress.step(0, note)
            progress.step()
            if trainer.step % _LOOK_AROUND == 0:
                stop, due = _anybody(
                    group, stop_asked(), time.monotonic() - saved_s > arm.checkpoint_s
                )
                if stop or due:
                    save()
                    saved_s = time.monotonic()
                if stop:
                    raise Stopped(f"pretrain: stopped at step {trainer.step:,} of {steps:,}, saved")
        trainer.require_finite_weights()
        save()


def _add_row(history: History, step: int, epoch: int, seen: Tensor) -> str:
    """Add the means since the last row; returns what the progress line shows of them."""
    loss, accuracy, spread, rate = (seen[:4] / seen[4]).tolist()
    values = (step, epoch, loss, accuracy, spread, rate)
    history.append(dict(zip(COLUMNS, values, strict=True)))
    return f"loss {loss:.3f}  accuracy {accuracy:.2f}"


def _anybody(group: Group, *wishes: bool) -> list[bool]:
    """Each wish, if any process has it: all must do the same thing at the same step."""
    total = group.mean(torch.tensor(wishes, dtype=torch.float32, device=group.device))
    return [bool(wish) for wish in (total > 0).tolist()]


def _path(folder: Path, step: int, rank: int) -> Path:
    return folder / f"checkpoint-{step}-{rank}.pt"


def _last(folder: Path, contract: dict[str, Any], group: Group) -> dict[str, Any] | None:
    """The state of the last step that every process saved: a kill may come between two saves."""
    steps = {int(path.name.split("-")[1]) for path in folder.glob("checkpoint-*-*.pt")}
    whole = [s for s in steps if all(_path(folder, s, r).exists() for r in range(group.world))]
    group.wait()  # nobody saves or clears before all have looked
    return checkpoint.load(_path(folder, max(whole), group.rank), contract) if whole else None
