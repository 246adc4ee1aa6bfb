"""A worker that trains four steps in float64, where rounding hides nothing; leaves its weights."""

from dataclasses import replace
from pathlib import Path

import torch
from pretrain_samples import ARM, ENCODER

from passerby.crops.store import CropStore
from passerby.models import backbones
from passerby.pretrain import loop, moco, positives
from passerby.pretrain.feed import Feed
from passerby.pretrain.main import _average_statistics
from passerby.pretrain.resident import Resident
from passerby.training import launch, processes


def main(folder: Path) -> None:
    with processes.joined(threads=1) as group:
        store = CropStore(folder / "crops.lmdb")
        crops = Resident(store, ARM.height_px, ARM.width_px, threads=1, quiet=True)
        feed = Feed(crops, positives.kind("tracklet", store), ARM, ENCODER, group)
        encoder = moco.seeded(backbones.build(ENCODER), ARM.dim, ARM.mlp, ARM.seed).double()
        trainer = loop.Trainer(encoder, ARM, group, "fp32")
        measured = []
        for step in range(4):
            batch = feed.batch(step)
            batch = replace(batch, queries=batch.queries.double(), keys=batch.keys.double())
            measured.append(group.mean(trainer.train_step(batch, 40)))
        _average_statistics(trainer.query_encoder, group)
        state = {"measured": torch.stack(measured), **trainer.query_encoder.state_dict()}
        torch.save(state, folder / f"state-{group.world}-{group.rank}.pt")


if __name__ == "__main__":
    launch.worker(main)
