"""One process of a pretraining under torchrun: `python -m passerby.pretrain.main SCRATCH`.

`SCRATCH/job.json`, which `passerby.pretrain.run` writes, says what to do; what comes out is
`SCRATCH/weights.safetensors` and `SCRATCH/history-0.tsv`.
"""

from pathlib import Path

import torch

from passerby import files
from passerby.crops.store import CropStore
from passerby.models import backbones, init_file, transfer
from passerby.models.init_file import InitHeader
from passerby.pretrain import loop, moco, positives
from passerby.pretrain.feed import Feed
from passerby.pretrain.resident import Resident
from passerby.pretrain.run import Job
from passerby.training import launch, processes, stopping
from passerby.training.processes import Group

WEIGHTS = "weights.safetensors"


def main(folder: Path) -> None:
    """Train, and leave weights and history in `folder`."""
    job = Job.model_validate(files.read_json(folder / "job.json"))
    with (
        processes.joined(job.threads) as group,
        stopping.watched(folder / launch.STOP) as stop_asked,
    ):
        trainer, header = _start(job, group)
        feed = _feed(job, group)
        loop.run(trainer, feed, folder, job.run_contract(group.world), stop_asked)
        _average_statistics(trainer.query_encoder, group)
        if group.rank == 0:
            _write(folder / WEIGHTS, job, trainer, header)


def _start(job: Job, group: Group) -> tuple[loop.Trainer, InitHeader]:
    """The trainer with the arm's start in both encoders."""
    state, header = init_file.read(job.init)
    init_file.require_fit(job.init, header, job.encoder)
    backbone = backbones.build(job.encoder, job.arm.seed)
    account = transfer.load_backbone(backbone, state)
    encoder = moco.seeded(backbone, job.arm.dim, job.arm.mlp, job.arm.seed)
    if group.rank == 0:
        print(f"pretrain: start '{header.title}': {account}", flush=True)
    return loop.Trainer(encoder, job.arm, group, job.number_format), header


def _feed(job: Job, group: Group) -> Feed:
    """The crops in memory, and who is whose positive."""
    store = CropStore(job.crops)
    kind = positives.kind(job.arm.positives, store)
    height_px = round(job.arm.height_px * job.arm.resident_scale)
    width_px = round(job.arm.width_px * job.arm.resident_scale)
    quiet = group.rank != 0
    crops = Resident(store, height_px, width_px, job.threads, quiet)
    if not quiet:
        print(
            f"pretrain: {len(store):,} crops, positives '{job.arm.positives}'; "
            f"{kind.alone:,} without a partner are their own",
            flush=True,
        )
    return Feed(crops, kind, job.arm, job.encoder, group)


@torch.no_grad()
def _average_statistics(encoder: moco.Encoder, group: Group) -> None:
    """Make running statistics those of the whole batch: each process saw a part of it."""
    for name, buffer in encoder.named_buffers():
        if buffer.is_floating_point():
            buffer.copy_(group.mean(buffer))
        else:
            assert name.endswith("num_batches_tracked"), name


def _write(path: Path, job: Job, trainer: loop.Trainer, header: InitHeader) -> None:
    """The query encoder's backbone, under bare names."""
    made = header.model_copy(update={"source": f"pretrain {job.name}", "title": job.name})
    init_file.write(path, trainer.query_encoder.backbone.state_dict(), made)


if __name__ == "__main__":
    launch.worker(main)
