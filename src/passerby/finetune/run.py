"""One finetuning from start to model artifact, and on from where a killed one was.

Checkpoints lie in scratch and are made at the end of every epoch. Equal input gives equal bytes on
one machine, also after a kill.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from passerby import files
from passerby.datasets import fractions
from passerby.datasets.index import Benchmark
from passerby.errors import BadInput, listing
from passerby.finetune import bridge, compat, recipes
from passerby.finetune.compat import fastreid
from passerby.finetune.trainer import COLUMNS, Recorder, Trainer
from passerby.models import artifact, init_file
from passerby.models.artifact import ModelCard
from passerby.models.backbones import DIM
from passerby.models.init_file import InitHeader
from passerby.progress import Progress
from passerby.settings import Encoder, Finetune
from passerby.training import checkpoint, precision
from passerby.training.history import History

CHECKPOINT = "checkpoint.pt"
HISTORY = "history.tsv"


@dataclass(frozen=True)
class Job:
    """One finetuning.

    Attributes:
        init: Weights to start from, `data/init/NAME.safetensors`.
        percent: Share of the training people whose labels are used.
        seed: Of people (where no lists are given), batches, augmentation and heads.
        benchmark: The labelled set.
        plan: The section `finetune`.
        encoder: The section `encoder`.
        threads: Of torch; sums depend on them.
    """

    init: str | Path
    percent: int
    seed: int
    benchmark: Benchmark
    plan: Finetune
    encoder: Encoder
    threads: int

    @property
    def name(self) -> str:
        """Name of the start or arm."""
        return Path(self.init).stem

    @property
    def stage(self) -> str:
        """Name of the branch of the graph."""
        return f"finetune@{self.name}-{self.percent}-{self.seed}"

    @cached_property
    def people(self) -> tuple[int, ...]:
        """The people whose labels are used."""
        lists = self.plan.label_lists
        return fractions.labelled_people(self.benchmark, self.percent, self.seed, lists)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """Hashes of the weights to start from and of the labelled images."""
        rows = zip(self.benchmark.rows, self.benchmark.hashes, strict=True)
        labelled = [
            pair for pair in rows if pair[0].split == "train" and pair[0].person in self.people
        ]
        images = files.fingerprint([self.benchmark.name, labelled])
        return {"init": files.sha256(self.init), "images": images}

    def contract(self, device: str, lowered: str) -> dict[str, Any]:
        """Everything that decides the bytes that the run ends with."""
        return {
            **self.hashes,
            "finetune": self.plan.contract("benchmark", "label_lists", "precision"),
            "encoder": self.encoder.contract(),
            "percent": self.percent,
            "seed": self.seed,
            "threads": self.threads,
            "device": device,
            "precision": lowered,
            "versions": {"torch": str(torch.__version__), "fastreid": compat.VERSION},
        }

    def card(self, header: InitHeader, images: int, contract: Mapping[str, Any]) -> ModelCard:
        """What the model will say of itself."""
        counts = {"people": len(self.people), "images": images, "iterations": self.plan.iterations}
        return ModelCard.of(
            self.encoder,
            title=header.title or self.name,
            height_px=self.plan.height_px,
            width_px=self.plan.width_px,
            embedding_size=DIM[self.encoder.architecture],
            neck="bnneck",
            distance="cosine",
            trained_on=self.benchmark.name,
            init=self.name,
            fresh=header.fresh,
            percent=self.percent,
            seed=self.seed,
            hashes={**self.hashes, "contract": files.fingerprint(contract)},
            metrics=counts,
        )


def finetune(job: Job, out: str | Path, quiet: bool = False) -> ModelCard:
    """Train with fast-reid on a share of a benchmark's labels, and write the model.

    Args:
        job: What is trained, from where and on what.
        out: Folder of the model artifact and its `history.tsv`; emptied first.
        quiet: Whether to show no progress.

    Returns:
        The card of the model.

    Raises:
        BadInput: weights for another encoder, fewer people than a batch holds, a damaged image, a
            loss that is no number.
    """
    start, header = init_file.read(job.init)
    init_file.require_fit(job.init, header, job.encoder)
    bridge.check_people(len(job.people), job.plan.people_per_batch)
    cfg = recipes.config(job.plan, job.encoder, len(job.people))
    images = bridge.items(job.benchmark, job.people)
    lowered = precision.decide(job.plan.precision, cfg.MODEL.DEVICE)
    contract = job.contract(cfg.MODEL.DEVICE, lowered)
    with _repeatable(job.threads), files.scratch(job.stage, contract) as scratch:
        trainer = Trainer(cfg, images, job.plan, job.encoder, start, job.seed, lowered)
        print(f"{job.stage}: {trainer.account}", file=sys.stderr)
        history = _train(trainer, scratch, contract, quiet)
        files.write_text(files.empty_folder(out) / HISTORY, history.text)
        card = job.card(header, len(images), contract)
        return artifact.write(out, model_state(trainer.model), card)


@contextmanager
def _repeatable(threads: int) -> Iterator[None]:
    """Let torch use so many threads and no algorithm that depends on luck, for the time being."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            yield
    finally:
        torch.set_num_threads(before)


def _train(trainer: Trainer, scratch: Path, contract: Mapping[str, Any], quiet: bool) -> History:
    """Train to the end, from the checkpoint in `scratch` if there is one."""
    saved = checkpoint.load(scratch / CHECKPOINT, contract)
    history = History(scratch / HISTORY, COLUMNS, saved["history"] if saved else "")
    if saved:
        trainer.resume(saved)
    done = trainer.start_epoch * trainer.iters_per_epoch
    with Progress("finetune", trainer.max_iter, "iterations", done, quiet) as progress:
        keeper = Keeper(scratch / CHECKPOINT, contract, history)
        trainer.register_hooks([Recorder(history, progress), keeper])
        trainer.train()
    return history


class Keeper(fastreid.engine.HookBase):
    """Keep a checkpoint at the end of every epoch.

    Args:
        path: Of the checkpoint.
        contract: What decides the result.
        history: Its rows so far are kept too.
    """

    def __init__(self, path: Path, contract: Mapping[str, Any], history: History) -> None:
        self._path, self._contract, self._history = path, contract, history

    def after_epoch(self) -> None:
        """Write the checkpoint.

        Raises:
            BadInput: a weight is no finite number.
        """
        state = self.trainer.state()
        broken = [name for name, value in state["model"].items() if not value.isfinite().all()]
        if broken:
            raise BadInput(
                f"finetune: after iteration {self.trainer.iter} {len(broken)} tensors hold values "
                f"that are no finite numbers: {listing(broken)}. Lower 'finetune.lr'"
            )
        checkpoint.save(self._path, self._contract, {**state, "history": self._history.text})


def model_state(model: Any) -> dict[str, Tensor]:
    """A fast-reid model's tensors as a model artifact names them; the classifier stays behind.

    Args:
        model: `Baseline` with a BatchNorm neck and without an embedding layer.
    """
    state = {**model.backbone.state_dict()}
    neck = {f"neck.{name}": value for name, value in model.heads.bottleneck[0].state_dict().items()}
    assert len(state) + len(neck) + 1 == len(model.state_dict()), "a tensor was left behind"
    return {**state, **neck}
