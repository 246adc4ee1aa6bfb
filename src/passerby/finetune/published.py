"""Published recipes as our own tables: the wheel of fastreid ships none of its YAML files.

What fast-reid's repository publishes for Market-1501, key by key (commit c9bc3ce, `configs/Base-*`
and `configs/Market1501/*`), and what LUPerson's fork adds. An upstream habit to know (ledger row
S4): `SOLVER.STEPS` and the cosine count from the end of the warm-up, not from the first epoch.
"""

from dataclasses import dataclass
from typing import Any

Table = dict[str, Any]

BOT: Table = {
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
    "SOLVER.WEIGHT_DECAY_NORM": 5e-4,
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
"""Bag of tricks (`Base-bagtricks.yml`), arXiv 1903.07071."""

AGW: Table = {
    **BOT,
    "MODEL.BACKBONE.WITH_NL": True,
    "MODEL.HEADS.POOL_LAYER": "GeneralizedMeanPooling",
    "MODEL.LOSSES.TRI.MARGIN": 0.0,
    "MODEL.LOSSES.TRI.HARD_MINING": False,
}
"""Non-local blocks, GeM, weighted triplets (`Base-AGW.yml`), arXiv 2001.04193."""

SBS: Table = {
    **BOT,
    "MODEL.FREEZE_LAYERS": ["backbone"],
    "MODEL.BACKBONE.WITH_NL": True,
    "MODEL.HEADS.NECK_FEAT": "after",
    "MODEL.HEADS.POOL_LAYER": "GeneralizedMeanPoolingP",
    "MODEL.HEADS.CLS_LAYER": "CircleSoftmax",
    "MODEL.HEADS.SCALE": 64,
    "MODEL.HEADS.MARGIN": 0.35,
    "MODEL.LOSSES.TRI.MARGIN": 0.0,
    "INPUT.SIZE_TRAIN": [384, 128],
    "INPUT.SIZE_TEST": [384, 128],
    "INPUT.AUTOAUG.ENABLED": True,
    "INPUT.AUTOAUG.PROB": 0.1,
    "DATALOADER.NUM_INSTANCE": 16,
    "SOLVER.MAX_EPOCH": 60,
    "SOLVER.SCHED": "CosineAnnealingLR",
    "SOLVER.DELAY_EPOCHS": 30,
    "SOLVER.ETA_MIN_LR": 7e-7,
    "SOLVER.FREEZE_ITERS": 1000,
    "SOLVER.CHECKPOINT_PERIOD": 20,
    "TEST.EVAL_PERIOD": 10,
}
"""fast-reid's stronger baseline (`Base-SBS.yml`), arXiv 2006.02631."""

MGN: Table = {
    **SBS,
    "MODEL.META_ARCHITECTURE": "MGN",
    "MODEL.FREEZE_LAYERS": ["backbone", "b1", "b2", "b3"],
    "MODEL.BACKBONE.WITH_NL": False,
    "MODEL.HEADS.EMBEDDING_DIM": 256,
}
"""Multiple granularities: three branches, eight heads (`Base-MGN.yml`), arXiv 1804.01438."""

VIT: Table = {
    **{key: value for key, value in BOT.items() if "LAST_STRIDE" not in key and "IBN" not in key},
    "MODEL.PIXEL_MEAN": [127.5, 127.5, 127.5],
    "MODEL.PIXEL_STD": [127.5, 127.5, 127.5],
    "MODEL.BACKBONE.NAME": "build_vit_backbone",
    "MODEL.BACKBONE.DEPTH": "base",
    "MODEL.BACKBONE.FEAT_DIM": 768,
    "MODEL.BACKBONE.STRIDE_SIZE": (16, 16),
    "MODEL.BACKBONE.DROP_PATH_RATIO": 0.1,
    "MODEL.BACKBONE.DROP_RATIO": 0.0,
    "MODEL.BACKBONE.ATT_DROP_RATE": 0.0,
    "MODEL.HEADS.POOL_LAYER": "Identity",
    "MODEL.LOSSES.CE.EPSILON": 0.0,
    "MODEL.LOSSES.TRI.MARGIN": 0.0,
    "INPUT.REA.VALUE": [0.485 * 255, 0.456 * 255, 0.406 * 255],
    "SOLVER.AMP.ENABLED": False,
    "SOLVER.OPT": "SGD",
    "SOLVER.BASE_LR": 0.008,
    "SOLVER.WEIGHT_DECAY": 1e-4,
    "SOLVER.SCHED": "CosineAnnealingLR",
    "SOLVER.ETA_MIN_LR": 1.6e-5,
    "SOLVER.WARMUP_FACTOR": 0.01,
    "SOLVER.WARMUP_ITERS": 1000,
    "SOLVER.CLIP_GRADIENTS.ENABLED": True,
    "TEST.EVAL_PERIOD": 5,
}
"""A vision transformer (`bagtricks_vit.yml`). It erases with ImageNet's mean, fast-reid's default,
though its pictures are normalised by another."""
del VIT["SOLVER.STEPS"], VIT["SOLVER.GAMMA"], VIT["MODEL.BACKBONE.NORM"]

MGN_LUPERSON: Table = {
    **MGN,
    "MODEL.PIXEL_MEAN": [89.896, 79.200, 80.073],
    "MODEL.PIXEL_STD": [63.872, 64.305, 63.839],
    "INPUT.REA.VALUE": [0.0, 0.0, 0.0],
    "INPUT.AUTOAUG.ENABLED": False,
    "INPUT.AUTOAUG.PROB": 0.0,
    "SOLVER.AMP.ENABLED": False,
    "SOLVER.ETA_MIN_LR": 7.7e-7,
    "SOLVER.WARMUP_FACTOR": 0.01,
    "SOLVER.WARMUP_ITERS": 2020,
    "SOLVER.FREEZE_ITERS": 2020,
}
"""LUPerson's finetuning (`fast-reid/configs/CMDM/mgn_R50_moco.yml` in its fork of October 2020), as
near as fastreid 1.4.0 can express it. Not expressible: EXTRA_BN, a BatchNorm behind each branch's
last stage, which the package lacks. The fork counts warm-up and freezing in epochs: ten of them are
2,020 iterations of Market-1501; it lowers the rate at every iteration, 1.4.0 at an epoch's end. Its
published 91.12 mAP is therefore not this recipe's."""


def _variant(table: Table, **changes: Any) -> Table:
    return {**table, **{f"MODEL.BACKBONE.{key}": value for key, value in changes.items()}}


_IBN: Table = {"WITH_IBN": True}
_RESNEST: Table = {"NAME": "build_resnest_backbone"}


@dataclass(frozen=True)
class Recipe:
    """A published recipe.

    Attributes:
        table: fast-reid's keys and values.
        backbone: The family of its backbone, `resnet`, `ibn`, `resnest` or `vit`.
    """

    table: Table
    backbone: str = "resnet"


RECIPES = {
    "bot": Recipe(BOT),
    "bot-ibn": Recipe(_variant(BOT, **_IBN), "ibn"),
    "bot-s50": Recipe(_variant(BOT, **_RESNEST), "resnest"),
    "bot-vit": Recipe(VIT, "vit"),
    "agw": Recipe(AGW),
    "agw-ibn": Recipe(_variant(AGW, **_IBN), "ibn"),
    "agw-s50": Recipe(_variant(AGW, **_RESNEST), "resnest"),
    "sbs": Recipe(SBS),
    "sbs-ibn": Recipe(_variant(SBS, **_IBN), "ibn"),
    "sbs-s50": Recipe(_variant(SBS, **_RESNEST), "resnest"),
    "mgn": Recipe(MGN),
    "mgn-ibn": Recipe(_variant(MGN, **_IBN), "ibn"),
    "mgn-luperson": Recipe(MGN_LUPERSON),
}

MARKET_IMAGES = 12_936
"""Training images of Market-1501, for which the iterations in the tables were chosen."""


def market_iterations(table: Table) -> int:
    """Iterations of a recipe on Market-1501, an epoch's being cut to whole batches.

    Example:
        202 an epoch. Logs say otherwise: the summary leaves out three iterations in which the timer
        warms up, and 1.4.0 counts one too many (24,238); until 2020 it did not (24,237).

        >>> market_iterations(BOT)
        24240
    """
    return int(table["SOLVER.MAX_EPOCH"]) * (MARKET_IMAGES // int(table["SOLVER.IMS_PER_BATCH"]))
