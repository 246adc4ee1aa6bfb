"""Published recipes as our own tables, and how settings shrink them.

The wheel of fastreid ships none of its YAML files. A table holds what fast-reid's repository
publishes, key by key (commit 07b8251, `configs/Base-bagtricks.yml`); `config` lays over it what
`params.yaml` says and what only this machine knows. An upstream habit to know (ledger row S4):
SOLVER.STEPS count from the end of the warm-up, not from the first epoch.
"""

import math
from typing import Any

import torch

from passerby.finetune.compat import fastreid
from passerby.models import backbones
from passerby.settings import Encoder, Finetune

BOT: dict[str, Any] = {
    "MODEL.META_ARCHITECTURE": "Baseline",
    "MODEL.BACKBONE.NAME": "build_resnet_backbone",
    "MODEL.BACKBONE.NORM": "BN",
    "MODEL.BACKBONE.DEPTH": "50x",
    "MODEL.BACKBONE.LAST_STRIDE": 1,
    "MODEL.BACKBONE.FEAT_DIM": 2048,
    "MODEL.BACKBONE.WITH_IBN": False,
    "MODEL.BACKBONE.PRETRAIN": True,
    "MODEL.HEADS.NAME": "EmbeddingHead",
    "MODEL.HEADS.NORM": "BN",
    "MODEL.HEADS.WITH_BNNECK": True,
    "MODEL.HEADS.POOL_LAYER": "GlobalAvgPool",
    "MODEL.HEADS.NECK_FEAT": "before",
    "MODEL.HEADS.CLS_LAYER": "Linear",
    "MODEL.LOSSES.NAME": ("CrossEntropyLoss", "TripletLoss"),
    "MODEL.LOSSES.CE.EPSILON": 0.1,
    "MODEL.LOSSES.CE.SCALE": 1.0,
    "MODEL.LOSSES.TRI.MARGIN": 0.3,
    "MODEL.LOSSES.TRI.HARD_MINING": True,
    "MODEL.LOSSES.TRI.NORM_FEAT": False,
    "MODEL.LOSSES.TRI.SCALE": 1.0,
    "INPUT.SIZE_TRAIN": [256, 128],
    "INPUT.SIZE_TEST": [256, 128],
    "INPUT.REA.ENABLED": True,
    "INPUT.REA.PROB": 0.5,
    "INPUT.FLIP.ENABLED": True,
    "INPUT.PADDING.ENABLED": True,
    "DATALOADER.SAMPLER_TRAIN": "NaiveIdentitySampler",
    "DATALOADER.NUM_INSTANCE": 4,
    "DATALOADER.NUM_WORKERS": 8,
    "SOLVER.AMP.ENABLED": True,
    "SOLVER.OPT": "Adam",
    "SOLVER.MAX_EPOCH": 120,
    "SOLVER.BASE_LR": 3.5e-4,
    "SOLVER.WEIGHT_DECAY": 5e-4,
    "SOLVER.IMS_PER_BATCH": 64,
    "SOLVER.SCHED": "MultiStepLR",
    "SOLVER.STEPS": [40, 90],
    "SOLVER.GAMMA": 0.1,
    "SOLVER.WARMUP_FACTOR": 0.1,
    "SOLVER.WARMUP_ITERS": 2000,
    "SOLVER.CHECKPOINT_PERIOD": 30,
    "TEST.EVAL_PERIOD": 30,
    "TEST.IMS_PER_BATCH": 128,
    "CUDNN_BENCHMARK": True,
}
"""Bag of tricks: 86.1 mAP on Market-1501 from ImageNet weights with ResNet-50."""

TABLES = {"bot": BOT}
DEPTH = {"resnet18": "18x", "resnet34": "34x", "resnet50": "50x", "resnet101": "101x"}
PADDING_SHARE = 10 / 256
"""The published padding, ten pixels around a picture of 256, as a share of the height."""


def config(plan: Finetune, encoder: Encoder, people: int) -> Any:
    """The frozen fast-reid configuration (`CfgNode`) of one training.

    Args:
        plan: Recipe and what shrinks it.
        encoder: The network.
        people: Labelled people, the classes of the softmax.
    """
    table = {**TABLES[plan.recipe], **_network(encoder, people), **_method(plan, encoder), **_HERE}
    cfg = fastreid.config.get_cfg()
    cfg.merge_from_list([part for pair in table.items() for part in pair])
    cfg.MODEL.DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
    cfg.freeze()
    return cfg


# What this room does itself: weights come through `models.transfer` (C2, W1), bf16 through
# `trainer.lowered` (S3), checkpoints and evaluation are not fast-reid's (C1 to C7, E1 to E7).
_HERE: dict[str, Any] = {
    "MODEL.BACKBONE.PRETRAIN": False,
    "SOLVER.AMP.ENABLED": False,
    "TEST.EVAL_PERIOD": 0,
    "CUDNN_BENCHMARK": False,
    "OUTPUT_DIR": "",
}


def _network(encoder: Encoder, people: int) -> dict[str, Any]:
    """What the encoder decides; fast-reid's pictures are 0..255."""
    mean = [value * 255 for value in encoder.mean]
    return {
        "MODEL.BACKBONE.DEPTH": DEPTH[encoder.architecture],
        "MODEL.BACKBONE.FEAT_DIM": backbones.DIM[encoder.architecture],
        "MODEL.BACKBONE.LAST_STRIDE": encoder.last_stride,
        "MODEL.HEADS.NUM_CLASSES": people,
        "MODEL.PIXEL_MEAN": mean,
        "MODEL.PIXEL_STD": [value * 255 for value in encoder.deviation],
        "INPUT.REA.VALUE": mean,
    }


def _method(plan: Finetune, encoder: Encoder) -> dict[str, Any]:
    """What the section `finetune` decides."""
    size = [plan.height_px, plan.width_px]
    warmup = round(plan.warmup_share * plan.iterations)
    return {
        "INPUT.SIZE_TRAIN": size,
        "INPUT.SIZE_TEST": size,
        "INPUT.PADDING.SIZE": max(1, round(PADDING_SHARE * plan.height_px)),
        "MODEL.LOSSES.CE.EPSILON": plan.label_smoothing,
        "MODEL.LOSSES.TRI.MARGIN": plan.margin,
        "DATALOADER.NUM_INSTANCE": plan.images_per_person,
        "DATALOADER.NUM_WORKERS": plan.workers,
        "SOLVER.IMS_PER_BATCH": plan.people_per_batch * plan.images_per_person,
        "SOLVER.BASE_LR": plan.lr,
        # S5: decay of biases and norms is fixed when fast-reid's defaults are read.
        "SOLVER.WEIGHT_DECAY": plan.weight_decay,
        "SOLVER.WEIGHT_DECAY_NORM": plan.weight_decay,
        "SOLVER.WEIGHT_DECAY_BIAS": plan.weight_decay,
        "SOLVER.MAX_EPOCH": plan.iterations // plan.iterations_per_epoch,
        "SOLVER.WARMUP_ITERS": warmup,
        "SOLVER.STEPS": [
            upstream_step(share * plan.iterations, plan.iterations_per_epoch, warmup)
            for share in plan.steps_share
        ],
    }


def upstream_step(iteration: float, iterations_per_epoch: int, warmup: int) -> int:
    """The entry of SOLVER.STEPS that lowers the rate at the epoch end nearest to `iteration`.

    Row S4: `engine/hooks.py:LRScheduler.after_epoch` counts epochs only from the one in which the
    warm-up ended, which is also the earliest at whose end the rate can fall.

    Args:
        iteration: Iterations done when the rate is to fall.
        iterations_per_epoch: Iterations of an epoch.
        warmup: Iterations of the warm-up.

    Example:
        The published 40 and 90 act after epochs 49 and 99 of Market-1501's 202 iterations:

        >>> upstream_step(49 * 202, 202, 2000), upstream_step(99 * 202, 202, 2000)
        (40, 90)
    """
    first = max(1, math.ceil(warmup / iterations_per_epoch))
    return max(round(iteration / iterations_per_epoch) - first + 1, 1)
