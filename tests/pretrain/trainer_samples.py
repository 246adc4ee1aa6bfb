"""A trainer and its feed in this process, over 64 tiny crops at 16x8: 12 steps."""

import torch
from pretrain_samples import ARM, ENCODER

from passerby.models import backbones
from passerby.pretrain import moco, positives
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.feed import Feed
from passerby.pretrain.pictures import Resident
from passerby.pretrain.trainer import Trainer
from passerby.settings import Pretrain
from passerby.training.processes import Group

QUIET = ARM.monitor.model_copy(update={"every_epochs": 0})
QUICK = {"height_px": 16, "width_px": 8, "epochs": 3, "monitor": QUIET}


def arm(**changes: object) -> Pretrain:
    return ARM.model_copy(update=QUICK | changes)


def made(
    crops: CropSet, group: Group, dtype: torch.dtype = torch.float32, **changes: object
) -> tuple[Trainer, Feed]:
    asked = arm(**changes)
    kind = positives.kind(asked, crops)
    encoder = moco.seeded(backbones.build(ENCODER), asked.dim, asked.mlp, asked.seed)
    trainer = Trainer(encoder.to(dtype), kind, asked, group, "fp32")
    pictures = Resident(crops, (asked.height_px, asked.width_px), 1, group.device, quiet=True)
    return trainer, Feed(crops, pictures, kind, asked, ENCODER, group, threads=1)
