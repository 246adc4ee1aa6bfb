"""A worker that trains four steps in float64, where rounding hides nothing; leaves its weights."""

from dataclasses import replace
from pathlib import Path

import torch
from pretrain_samples import ARM, ENCODER

from passerby.crops.store import CropStore
from passerby.models import backbones
from passerby.pretrain import moco, positives
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.feed import Feed
from passerby.pretrain.pictures import Resident
from passerby.pretrain.trainer import Trainer
from passerby.training import launch, processes
from passerby.training.processes import Group


def main(folder: Path) -> None:
    with processes.joined(threads=1) as group:
        train(folder, group)


def train(folder: Path, group: Group) -> None:
    """Train on the crops in `folder`, and leave there the state of this process."""
    crops = CropSet.of(CropStore(folder / "crops.lmdb"))
    kept = Resident(crops, (ARM.height_px, ARM.width_px), 1, group.device, quiet=True)
    kind = positives.kind(ARM, crops)
    feed = Feed(crops, kept, kind, ARM, ENCODER, group, threads=1)
    encoder = moco.seeded(backbones.build(ENCODER), ARM.dim, ARM.mlp, ARM.seed).double()
    trainer = Trainer(encoder, kind, ARM, group, "fp32")
    measured = []
    for step in range(4):
        batch = feed.batch(step)
        batch = replace(batch, queries=batch.queries.double(), keys=batch.keys.double())
        measured.append(group.mean(trainer.train_step(batch, 40)))
    state = {
        "measured": torch.stack(measured),
        **{f"backbone.{k}": v for k, v in trainer.backbone().state_dict().items()},
        **{f"head.{k}": v for k, v in trainer.query_encoder.head.state_dict().items()},
    }
    torch.save(state, folder / f"state-{group.world}-{group.rank}.pt")


if __name__ == "__main__":
    launch.worker(main)
