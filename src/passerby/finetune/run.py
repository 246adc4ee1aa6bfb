"""One finetuning from start to model artifact, and on from where a killed one was.

Checkpoints lie in scratch and are made between two steps. On a CPU equal input gives equal bytes on
one machine, also after a kill. On a GPU torch is set to do the same (`training.repeatable`), which
has not been measured.
"""

import gc
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from passerby import files, sealed
from passerby.errors import BadInput, Stopped, listing
from passerby.finetune import model, recipes
from passerby.finetune.compat import fastreid
from passerby.finetune.job import Job
from passerby.finetune.start import Start
from passerby.finetune.trainer import Trainer
from passerby.finetune.validation import COLUMNS as SCORES
from passerby.finetune.validation import Best, Judge
from passerby.models import init_file
from passerby.models.artifact import ModelCard
from passerby.progress import Progress
from passerby.sealed import Damaged
from passerby.text import say
from passerby.training import checkpoint, launch, precision, processes, stopping
from passerby.training.calibration import calibrate
from passerby.training.history import History
from passerby.training.repeatable import repeatable

MODULE = "passerby.finetune.main"
JOB, CHECKPOINT, HISTORY, VALIDATION = (
    "job.json",
    "checkpoint.pt",
    "history.tsv",
    "validation.tsv",
)
MODEL = "model"
"""Folder in scratch where the finished model lies."""
COLUMNS = ("iteration", "loss", "loss_cls", "loss_triplet", "accuracy", "lr")
LAST = "last"
"""Folder within the model where the last weights lie, if the model has the best."""


def finetune(job: Job, out: str | Path, quiet: bool = False) -> ModelCard:
    """Train with fast-reid on a share of a benchmark's labels, and write the model.

    Args:
        job: What is trained, from where and on what.
        out: Folder of the model artifact, its `history.tsv` and, where people were held out,
            `validation.tsv`; emptied first.
        quiet: Whether to show no progress.

    Returns:
        The card of the model.

    Raises:
        BadInput: more processes than there are GPUs, weights for another encoder, batches that
            cannot be made, a network that cannot be kept as a model, a damaged image, a loss that
            is no number.
        Stopped: SIGTERM came; what was done is in scratch.
    """
    kind = processes.device_kind()
    count = launch.processes(torch.cuda.device_count() if kind == "cuda" else 0, default=1)
    job = job.model_copy(
        update={
            "processes": count,
            "number_format": precision.decide(job.plan.precision, kind),
            "init": str(Path(job.init).resolve()),
            "index": str(Path(job.index).resolve()),
            "root": str(Path(job.root).resolve()),
        }
    )
    job.check()
    contract = job.contract_of_run()
    with files.scratch(job.name, contract) as folder:
        checkpoint.begin(folder, contract)
        files.write_json(folder / JOB, job.model_dump(mode="json"))
        if count > 1:
            launch.torchrun(MODULE, folder, count, job.threads)
        else:
            with stopping.watched() as stop_asked:
                train(job, folder, stop_asked, quiet)
            # Network and trainer hold each other: their memory is to be free before the next fold.
            gc.collect()
        return model.move(folder / MODEL, out)


def train(job: Job, folder: Path, stop_asked: Callable[[], bool], quiet: bool = False) -> None:
    """One process's part of a run: train from the checkpoint if there is one, leave the model.

    Args:
        job: What is trained.
        folder: Scratch of the run.
        stop_asked: Whether somebody wants the run to stop.
        quiet: Whether to show no progress.

    Raises:
        BadInput: see `finetune`.
        Stopped: it was asked to stop, and saved what it has.
    """
    state, header = init_file.read(job.init)
    start = Start(state, header, job.encoder)
    cfg = recipes.config(job.plan, job.encoder, len(job.people), len(job.images))
    with repeatable(job.threads):
        if fastreid.utils.comm.is_main_process() and not model.is_plain(cfg):
            model.require_writable(folder, start.build(cfg), job, header)
        trainer = Trainer(
            cfg, job.images, job.schedule, job.plan, start, job.seed, job.number_format
        )
        if fastreid.utils.comm.is_main_process():
            say(f"{job.name}: {start.account}", sys.stderr)
        keeper = Keeper(job, trainer, folder, stop_asked, quiet)
        keeper.run()
        if fastreid.utils.comm.is_main_process():
            keeper.write_model(folder / MODEL, header)


class Keeper:
    """What happens between two steps: rows, progress, validation, checkpoints, and stopping.

    Args:
        job: What is trained.
        trainer: Who trains.
        folder: Scratch of the run.
        stop_asked: Whether somebody wants the run to stop.
        quiet: Whether to show no progress.
    """

    def __init__(
        self,
        job: Job,
        trainer: Trainer,
        folder: Path,
        stop_asked: Callable[[], bool],
        quiet: bool,
    ) -> None:
        self._job, self._trainer, self._folder = job, trainer, folder
        self._stop_asked, self._contract = stop_asked, job.contract_of_run()
        self._main = fastreid.utils.comm.is_main_process()
        checkpoint.require_begun(folder, self._contract)
        self._best = Best(folder / "best.pt")
        saved = self._saved()
        if saved:
            trainer.resume(saved)
            self._best.row = saved["best"]
        texts = saved["texts"] if saved else {HISTORY: "", VALIDATION: ""}
        self._quiet, self._judge, self._tables = quiet or not self._main, None, {}
        if self._main:
            self._tables[HISTORY] = History(folder / HISTORY, COLUMNS, texts[HISTORY])
            if job.held_out:
                table = History(folder / VALIDATION, SCORES, texts[VALIDATION])
                self._tables[VALIDATION] = table
                self._judge = Judge(job.labelled, job.held_out, job.plan, job.seed, job.threads)
        self._saved_at = time.monotonic()

    def _saved(self) -> dict[str, Any] | None:
        """The checkpoint, if it and the best weights that belong to it are there and whole."""
        quiet = not self._main
        saved = checkpoint.load(self._folder / CHECKPOINT, self._contract, quiet)
        try:
            if saved and saved["best"]:
                self._best.weights()
        except Damaged as error:
            if not quiet:
                sealed.say_again(self._job.name, error, "the run begins anew")
            return None
        return saved

    def run(self) -> None:
        """Train to the end.

        Raises:
            BadInput: a loss or a weight that is no number, a damaged image.
            Stopped: it was asked to stop, and saved what it has.
        """
        trainer = self._trainer
        line = Progress("finetune", trainer.max_iter, "iterations", trainer.iter, self._quiet)
        with line if self._main else nullcontext():
            self._line = line
            trainer.train(self._between_steps)

    def _between_steps(self) -> None:
        trainer = self._trainer
        over = trainer.iter % trainer.iters_per_epoch == 0 or trainer.iter == trainer.max_iter
        due = time.monotonic() - self._saved_at > self._job.plan.checkpoint_s
        stop, due = processes.anybody(self._stop_asked(), due)
        if over or stop or due:
            trainer.settle()
        self._record()
        if over:
            self._require_numbers()
            self._validate()
        if stop or due:
            self._save()
        if stop:
            raise Stopped(
                f"{self._job.name}: stopped at iteration {trainer.iter:,} of "
                f"{trainer.max_iter:,}, saved"
            )

    def _record(self) -> None:
        """Write the rows whose numbers have arrived, and show the progress."""
        rows, self._trainer.rows = self._trainer.rows, []
        if self._main:
            for row in rows:
                self._tables[HISTORY].append(row)
                self._line.step(note=f"loss {row['loss']:.3f}")

    def _validate(self) -> None:
        """Score the held-out people if it is time, and keep the weights if they are the best."""
        trainer, every = self._trainer, self._job.plan.validation.every_epochs
        epochs = -(-trainer.iter // trainer.iters_per_epoch)
        if self._judge is None or (epochs % every and trainer.iter < trainer.max_iter):
            return
        weights = trainer.weights()
        row = {"iteration": trainer.iter, **self._judge.score(trainer.network, weights)}
        self._tables[VALIDATION].append(row)
        self._best.offer(row, weights)

    def _require_numbers(self) -> None:
        """Refuse to keep weights that are no finite numbers."""
        broken = _not_finite(self._trainer.network.state_dict())
        if broken:
            raise BadInput(
                f"finetune: after iteration {self._trainer.iter} {len(broken)} tensors hold values "
                f"that are no finite numbers: {listing(broken)}. Lower 'finetune.lr'"
            )

    def _save(self) -> None:
        """Write the checkpoint."""
        self._require_numbers()
        if self._main:
            texts = {HISTORY: "", VALIDATION: ""}
            texts |= {name: table.text for name, table in self._tables.items()}
            state = {**self._trainer.state(), "best": self._best.row, "texts": texts}
            checkpoint.save(self._folder / CHECKPOINT, self._contract, state)
        self._saved_at = time.monotonic()

    def write_model(self, folder: Path, header: init_file.InitHeader) -> None:
        """Write the model with its tables; where it has the best weights, the last beside it."""
        trainer, keep = self._trainer, self._job.plan.validation.keep
        out = files.empty_folder(folder)
        last = trainer.weights()
        scores = self._last_scores()
        if keep == "best":
            self._write(out / LAST, header, last, scores)
            self._write(out, header, self._best.weights(), self._best.row)
        else:
            self._write(out, header, last, scores)
        for name, table in self._tables.items():
            files.write_text(out / name, table.text)

    def _last_scores(self) -> dict[str, float]:
        if VALIDATION not in self._tables:
            return {}
        last = self._tables[VALIDATION].text.splitlines()[-1].split("\t")
        return {name: float(value) for name, value in zip(SCORES, last, strict=True)}

    def _write(
        self,
        folder: Path,
        header: init_file.InitHeader,
        weights: Mapping[str, Any],
        scores: Mapping[str, float],
    ) -> None:
        network, job = self._trainer.network, self._job
        network.load_state_dict(weights)
        plain = network.cpu().to(memory_format=torch.contiguous_format).eval()
        model.write(folder, plain, self._trainer.cfg, job, header, scores)
        if job.held_out:
            items = job.labelled.split("train").of_people(job.held_out)
            who = f"{job.benchmark.name}: {len(job.held_out)} people held out of its training"
            calibrate(folder, items, job.labelled.protocol, who, job.threads)


def _not_finite(state: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that hold a number that is not finite.

    A sum is much faster to check, and is finite only if all its numbers are. All sums are fetched
    from the device at once.
    """
    sums = torch.stack([value.sum().isfinite() for value in state.values()]).tolist()
    suspects = [name for name, finite in zip(state, sums, strict=True) if not finite]
    return [name for name in suspects if not state[name].isfinite().all()]
