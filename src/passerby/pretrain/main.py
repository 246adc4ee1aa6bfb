"""One process of a pretraining under torchrun: `python -m passerby.pretrain.main SCRATCH`.

`SCRATCH/job.json`, which `passerby.pretrain.run` writes, says what to do; what comes out is
`SCRATCH/weights.safetensors` and the histories in the job's `out`.
"""

from pathlib import Path

import numpy as np
import torch

from passerby import files
from passerby.crops import source
from passerby.crops.store import CropStore
from passerby.datasets import index
from passerby.models import backbones, init_file, transfer
from passerby.models.init_file import InitHeader
from passerby.pretrain import loop, moco, monitor, pictures, positives
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.feed import Feed
from passerby.pretrain.positives import Positives
from passerby.pretrain.run import WEIGHTS, Job
from passerby.pretrain.trainer import Trainer
from passerby.text import say
from passerby.training import checkpoint, launch, processes, stopping
from passerby.training.boards import Board
from passerby.training.processes import Group


def main(folder: Path) -> None:
    """Train, and leave weights and history in `folder`."""
    job = Job.model_validate(files.read_json(folder / "job.json"))
    with (
        processes.joined(job.threads) as group,
        stopping.watched(folder / launch.STOP) as stop_asked,
    ):
        torch.backends.cudnn.benchmark = True  # every batch has one size
        crops = _crops(job)
        kind = positives.kind(job.arm, crops)
        trainer, header = _start(job, kind, group)
        _say(group, f"{len(crops):,} crops, positives '{job.arm.positives}'; {kind.account}")
        watch, board = _watchers(job, group)
        feed = _feed(job, crops, kind, group)
        contract = job.contract_of_run()
        checkpoint.require_begun(folder, contract)
        training = loop.Loop(
            trainer, feed, folder, Path(job.out), contract, stop_asked, watch, board
        )
        training.run()
        backbone = trainer.backbone()
        if group.rank == 0:
            # What began afresh has been trained like the rest: nothing is fresh any more.
            told = {"source": f"pretrain {job.name}", "title": job.name, "fresh": ()}
            made = header.model_copy(update=told)
            init_file.write(folder / WEIGHTS, backbone.state_dict(), made)


def _say(group: Group, text: str) -> None:
    if group.rank == 0:
        say(f"pretrain: {text}")


def _crops(job: Job) -> CropSet:
    """What is trained on: all crops, or all but those of the people whom the monitor looks at."""
    store, asked = CropStore(job.crops), job.arm.monitor
    if not asked.hold_out:
        return CropSet.of(store)
    held = monitor.people(index.read(job.benchmark, job.benchmark_root), asked)
    return CropSet.of(store, source.people(asked.benchmark, np.array(held)))


def _start(job: Job, kind: Positives, group: Group) -> tuple[Trainer, InitHeader]:
    """The trainer with the arm's start in both encoders."""
    state, header = init_file.read(job.init)
    init_file.require_fit(job.init, header, job.encoder)
    backbone = backbones.build(job.encoder, job.arm.seed)
    account = transfer.load_backbone(backbone, state)
    encoder = moco.seeded(backbone, job.arm.dim, job.arm.mlp, job.arm.seed)
    _say(group, f"start '{header.title}': {account}")
    return Trainer(encoder, kind, job.arm, group, job.number_format), header


def _watchers(job: Job, group: Group) -> tuple[monitor.Monitor | None, Board | None]:
    """What the first process has beside training: the monitor, and curves."""
    if group.rank != 0:
        return None, None
    board = Board(job.name)
    if not job.arm.monitor.every_epochs:
        return None, board
    benchmark = index.read(job.benchmark, job.benchmark_root)
    size = job.arm.height_px, job.arm.width_px
    return monitor.Monitor(benchmark, job.arm.monitor, job.encoder, size, job.threads), board


def _feed(job: Job, crops: CropSet, kind: Positives, group: Group) -> Feed:
    """The crops' pictures, and what makes batches of them."""
    scale = job.arm.resident_scale
    size = round(job.arm.height_px * scale), round(job.arm.width_px * scale)
    quiet = group.rank != 0
    opened = pictures.opened(
        crops, size, job.arm.feed, job.threads, group.device, group.world, quiet
    )
    return Feed(crops, opened, kind, job.arm, job.encoder, group, job.threads)


if __name__ == "__main__":
    launch.worker(main)
