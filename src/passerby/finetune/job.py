"""What one finetuning is told: weights to start from, whose labels, by which settings."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from passerby import files
from passerby.contract import of_run
from passerby.datasets import fractions, index
from passerby.datasets.index import Benchmark
from passerby.finetune import bridge, compat, recipes, validation
from passerby.finetune.recipes import Schedule
from passerby.models import init_file
from passerby.settings import Encoder, Finetune, Section

FOLLOWED = ("finetune", "datasets", "evaluation", "models", "training")
"""Rooms whose code decides the result."""
_DECIDE_NOTHING = ("benchmark", "label_lists", "precision", "workers", "checkpoint_s")


class Job(Section):
    """One finetuning; what processes of a run are told, and what can be worked out from it."""

    name: str
    """Of the branch of the graph: its scratch and its lines of progress bear it."""
    init: str
    """Weights to start from, `data/init/NAME.safetensors`."""
    percent: int
    """Share of the training people whose labels are used."""
    seed: int
    """Of people (where no lists are given), folds, batches, augmentation and heads."""
    index: str
    """Index of the labelled set."""
    root: str
    """Folder of the labelled set."""
    plan: Finetune
    encoder: Encoder
    threads: int
    """Of torch, of each process; sums depend on them."""
    processes: int = 1
    """That share a batch; triplets are found within one, so they decide the result."""
    number_format: str = "fp32"

    @cached_property
    def benchmark(self) -> Benchmark:
        """The labelled set."""
        return index.read(self.index, self.root)

    @cached_property
    def labelled(self) -> Benchmark:
        """The part of it whose labels are used."""
        plan = self.plan
        return fractions.labelled_part(
            self.benchmark, plan.share_of, self.percent, self.seed, plan.label_lists
        )

    @cached_property
    def people(self) -> tuple[int, ...]:
        """The labelled people that are trained on."""
        known = self.labelled.people("train")
        return validation.split(known, self.plan.validation, self.seed)[0]

    @cached_property
    def held_out(self) -> tuple[int, ...]:
        """The labelled people that are not."""
        known = self.labelled.people("train")
        return validation.split(known, self.plan.validation, self.seed)[1]

    @cached_property
    def images(self) -> list[bridge.Item]:
        """The images that are trained on."""
        return bridge.items(self.labelled, self.people)

    @cached_property
    def schedule(self) -> Schedule:
        """How long it trains."""
        return recipes.schedule(self.plan, len(self.images))

    @cached_property
    def hashes(self) -> dict[str, str]:
        """Hashes of the weights to start from and of the labelled images."""
        known = [self.labelled.name, self.labelled.rows, self.labelled.hashes]
        return {"init": files.sha256(self.init), "images": files.fingerprint(known)}

    def contract_of_run(self) -> dict[str, Any]:
        """Everything that decides the bytes that the run ends with."""
        return of_run(self.settings_and_inputs(), FOLLOWED)

    def settings_and_inputs(self) -> dict[str, Any]:
        """The contract but for our own code: its hash stands in the model's card."""
        return {
            **self.hashes,
            "finetune": self.plan.contract(*_DECIDE_NOTHING),
            "encoder": self.encoder.contract(),
            "percent": self.percent,
            "seed": self.seed,
            "threads": self.threads,
            "processes": self.processes,
            "device": "cuda" if torch.cuda.is_available() else "cpu",
            "precision": self.number_format,
            "versions": {"torch": str(torch.__version__), "fastreid": compat.VERSION},
        }

    def check(self) -> None:
        """Refuse what can be seen to fail before long work starts.

        Raises:
            BadInput: weights for another encoder, batches that cannot be made, a configuration that
                fast-reid does not take.
        """
        header = init_file.read(self.init)[1]
        init_file.require_fit(self.init, header, self.encoder)
        bridge.check_batch(len(self.people), recipes.batch(self.plan)[0], self.processes)
        recipes.config(self.plan, self.encoder, len(self.people), len(self.images))

    @property
    def start(self) -> str:
        """Name of the start or arm."""
        return Path(self.init).stem
