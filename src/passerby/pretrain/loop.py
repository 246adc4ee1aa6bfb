"""The loop: epochs of steps, what they measure, checkpoints, and stopping when asked to."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from passerby.errors import Stopped
from passerby.pretrain import features, monitor
from passerby.pretrain.feed import Feed
from passerby.pretrain.monitor import Monitor
from passerby.pretrain.trainer import MEASURED, Trainer
from passerby.progress import Progress
from passerby.text import say
from passerby.training import checkpoint, processes
from passerby.training.boards import Board
from passerby.training.history import History

CHECKPOINT = "checkpoint.pt"
HISTORY, MONITOR = "history.tsv", "monitor.tsv"
ROWS_PER_EPOCH = 5
_LOOK_AROUND = 10
"""Steps between two looks at the clock and for a request to stop; ranks look together."""


class Loop:
    """Trains to the end, from the last checkpoint where there is one.

    Args:
        trainer: At its start.
        feed: Of the same settings.
        scratch: Where the checkpoint lies.
        out: Where histories grow, for everybody to look at.
        contract: What decides the result.
        stop_asked: Whether somebody wants this process to stop.
        watch: The monitor, in the process that has one.
        board: Curves for those who ask.

    Raises:
        BadInput: the checkpoint is of another contract.
    """

    def __init__(
        self,
        trainer: Trainer,
        feed: Feed,
        scratch: Path,
        out: Path,
        contract: Mapping[str, Any],
        stop_asked: Callable[[], bool],
        watch: Monitor | None = None,
        board: Board | None = None,
    ) -> None:
        self.trainer, self.feed, self.group = trainer, feed, trainer.group
        self._path, self._contract, self._stop_asked = scratch / CHECKPOINT, contract, stop_asked
        self._watch, self._board = watch, board or Board("")
        saved = checkpoint.load(self._path, contract, quiet=self.group.rank > 0)
        self.group.wait()  # nobody saves before all have looked
        rows = saved["rows"] if saved else {HISTORY: "", MONITOR: ""}
        self._seen = torch.zeros(len(MEASURED) + 1, dtype=torch.float64, device=self.group.device)
        if saved:
            self._restore(saved)
        self._first = self.group.rank == 0
        if self._first:
            columns = ("step", "epoch", *MEASURED, *feed.positives.columns)
            self._history = History(out / HISTORY, columns, rows[HISTORY])
            self._scores = History(out / MONITOR, monitor.COLUMNS, rows[MONITOR])

    def run(self) -> None:
        """Train.

        Raises:
            Stopped: it was asked to stop, and saved what it has.
        """
        trainer, per_epoch = self.trainer, self.feed.sampler.steps_per_epoch
        steps = trainer.arm.epochs * per_epoch
        self._saved_s = time.monotonic()
        with Progress("pretrain", steps, "steps", trainer.step, quiet=not self._first) as progress:
            while trainer.step < steps:
                epoch = self.feed.sampler.epoch(trainer.step)
                if trainer.step == epoch * per_epoch:
                    self._begin(epoch)
                self._epoch(epoch, steps, progress)
            trainer.require_finite_weights()
            self._save()

    def _begin(self, epoch: int) -> None:
        """Look at the encoder before an epoch: for the monitor, and for partners."""
        arm, positives = self.trainer.arm, self.feed.positives
        if positives.wants_features(epoch):
            backbone, group = self.trainer.backbone(), self.group
            count = len(positives.labels)
            form = self.trainer.number_format
            found = features.of_crops(backbone, self.feed, count, group, form)
            positives.learn(found, group)
            self.trainer.friendship(positives)
        if arm.monitor.every_epochs and epoch % arm.monitor.every_epochs == 0:
            self._look(epoch)

    def _look(self, epoch: int) -> None:
        """Score the backbone after so many epochs."""
        backbone = self.trainer.backbone()
        if self._watch:
            found = self._watch.score(backbone)
            self._scores.append({"epoch": epoch, **found})
            self._board.add(self.trainer.step, {f"monitor/{key}": v for key, v in found.items()})

    def _epoch(self, epoch: int, steps: int, progress: Progress) -> None:
        """The rest of an epoch."""
        trainer, per_epoch = self.trainer, self.feed.sampler.steps_per_epoch
        every, last = max(per_epoch // ROWS_PER_EPOCH, 1), (epoch + 1) * per_epoch
        begun_s, first_step, waited_s = time.monotonic(), trainer.step, 0.0
        batches = self.feed.batches(trainer.step, last)
        while trainer.step < last:
            wait_s = time.monotonic()
            batch = next(batches)
            waited_s += time.monotonic() - wait_s
            measured = trainer.train_step(batch, steps)
            self._seen += torch.cat([measured.double(), measured.new_ones(1).double()])
            if trainer.step % every == 0 or trainer.step == steps:
                row = self._row(epoch)  # on a GPU it waits until the steps before it are done
                took_s = time.monotonic() - begun_s
                pairs = (trainer.step - first_step) * trainer.arm.batch / took_s
                progress.step(0, f"{row}  {pairs:,.0f} pairs/s  data {waited_s / took_s:.0%}")
            if trainer.step == steps and trainer.arm.monitor.every_epochs:
                self._look(epoch + 1)
            progress.step()
            if trainer.step % _LOOK_AROUND == 0:
                self._look_around(steps)

    def _row(self, epoch: int) -> str:
        """Add the means since the last row; returns what the progress line shows of them."""
        self.trainer.require_finite()
        total = self.group.mean(self._seen)
        self._seen.zero_()
        means = dict(zip(MEASURED, (total[:-1] / total[-1]).tolist(), strict=True))
        if self._first:
            row = {"step": self.trainer.step, "epoch": epoch, **means}
            self._history.append(row | self.feed.positives.figures())
            self._board.add(self.trainer.step, means)
        return f"loss {means['loss']:.3f}  accuracy {means['accuracy']:.2f}"

    def _look_around(self, steps: int) -> None:
        """Save what is due, and stop if anybody wants it: all do the same at the same step."""
        due = time.monotonic() - self._saved_s > self.trainer.arm.checkpoint_s
        stop, due = processes.anybody(self._stop_asked(), due)
        if stop or due:
            self._save()
            self._saved_s = time.monotonic()
        if stop:
            done = self.trainer.step
            raise Stopped(f"pretrain: stopped at step {done:,} of {steps:,}, saved")

    def _save(self) -> None:
        """Keep everything that decides the future; it is good, or the run ends here.

        Raises:
            BadInput: a weight is not a number.
        """
        self.trainer.require_finite_weights()
        state = {
            "trainer": self.trainer.state(),
            "positives": self.feed.positives.state(),
            "seen": self.group.gathered(self._seen.unsqueeze(0)),
        }
        if self._first:
            rows = {HISTORY: self._history.text, MONITOR: self._scores.text}
            checkpoint.save(self._path, self._contract, {**state, "rows": rows})
        self.trainer.saved_step = self.trainer.step
        self.group.wait()

    def _restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.trainer.restore(saved["trainer"])
        self.feed.positives.restore(saved["positives"])
        self.trainer.friendship(self.feed.positives)
        before, now = len(saved["seen"]), self.group.world
        seen: Tensor = saved["seen"][self.group.rank] if before == now else saved["seen"].mean(0)
        self._seen.copy_(seen)
        if before != now and self.group.rank == 0:
            say(
                f"pretrain: {before} processes saved step {self.trainer.step:,}, {now} go on: "
                "the same batches and negatives, but no longer the same bytes"
            )
