"""Recipes: each is what is published, and so is a run on Market-1501 with nothing else set."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from passerby.finetune import recipes
from passerby.finetune.compat import fastreid
from passerby.finetune.published import MARKET_IMAGES, RECIPES
from passerby.settings import Encoder, Finetune

NETWORKS = {"resnet": "resnet50", "ibn": "resnet50-ibn", "resnest": "resnest50", "vit": "vit-base"}

# Of fast-reid's repository at commit c9bc3ce: its defaults, and merged into them the file that is
# named, with the files that it builds on, by its own `merge_from_file`; sha256 of `flattened` as
# sorted JSON. `configs/Base-MGN.yml` is `mgn`, the others are in `configs/Market1501`.
PUBLISHED = {
    "bot": (
        "bagtricks_R50",
        "f858a9a426ce8c7b74fcec7e393145e1064135704bf1086795051b1f0c436dd8",
    ),
    "bot-ibn": (
        "bagtricks_R50-ibn",
        "c143e7f97e5344434533fd456ed3ce5c35821754f1109a68740ee6ddddecf89d",
    ),
    "bot-s50": (
        "bagtricks_S50",
        "c63e33d83870fb48a7b0c1b709cca45bbfbb8495fb6af071a4ebfe7cc5a26460",
    ),
    "bot-vit": (
        "bagtricks_vit",
        "312ad5f3451d17824a455f10af2afc1edcf4b32fa9a94824aec485cdb0b46e9d",
    ),
    "agw": (
        "AGW_R50",
        "f8cce3d6f7a3c71967cee2d31b92e91a2b171427304cc34191d3493df139fe81",
    ),
    "agw-ibn": (
        "AGW_R50-ibn",
        "d4938594f06175481c63502af0949838b5d6cffd057d1d1835094852b1bddf6b",
    ),
    "agw-s50": (
        "AGW_S50",
        "9ac045203b95d0bd86fd369de02ef7ca8b8266b8e529680dc1e5ec137a810e5d",
    ),
    "sbs": (
        "sbs_R50",
        "23fe8819f70a8764f55da74714e47ff71127f1cb9d6583a8c21b32ba64013982",
    ),
    "sbs-ibn": (
        "sbs_R50-ibn",
        "9fed6857011fcfe55d9697a0607563de8988b270d2314119e9b95e004508d1d3",
    ),
    "sbs-s50": (
        "sbs_S50",
        "b7b86725187dbc0bf28e13fb1aaa12b3b8030a5dc98c546edf83c362562ff732",
    ),
    "mgn": (
        "Base-MGN",
        "4de3567cf10fd97d4c6b052e99d40452a64ef1c0f27b450e9c42bdde1cb584cc",
    ),
    "mgn-ibn": (
        "mgn_R50-ibn",
        "9be8a00336b95cfd2bbbe03f5f01bab3ad9df2427c1233b18dbc7e9b7883ee00",
    ),
}

# What a recipe has otherwise than `bot`.
AGW = {
    "MODEL.BACKBONE.WITH_NL": True,
    "MODEL.HEADS.POOL_LAYER": "GeneralizedMeanPooling",
    "MODEL.LOSSES.TRI.HARD_MINING": False,
    "MODEL.LOSSES.TRI.MARGIN": 0.0,
}
SBS = {
    "DATALOADER.NUM_INSTANCE": 16,
    "INPUT.AUTOAUG.ENABLED": True,
    "INPUT.AUTOAUG.PROB": 0.1,
    "INPUT.SIZE_TEST": [384, 128],
    "INPUT.SIZE_TRAIN": [384, 128],
    "MODEL.BACKBONE.WITH_NL": True,
    "MODEL.FREEZE_LAYERS": ["backbone"],
    "MODEL.HEADS.CLS_LAYER": "CircleSoftmax",
    "MODEL.HEADS.MARGIN": 0.35,
    "MODEL.HEADS.NECK_FEAT": "after",
    "MODEL.HEADS.POOL_LAYER": "GeneralizedMeanPoolingP",
    "MODEL.HEADS.SCALE": 64,
    "MODEL.LOSSES.TRI.MARGIN": 0.0,
    "SOLVER.CHECKPOINT_PERIOD": 20,
    "SOLVER.DELAY_EPOCHS": 30,
    "SOLVER.ETA_MIN_LR": 7e-7,
    "SOLVER.FREEZE_ITERS": 1000,
    "SOLVER.MAX_EPOCH": 60,
    "SOLVER.SCHED": "CosineAnnealingLR",
    "TEST.EVAL_PERIOD": 10,
}
MGN = {
    **{key: value for key, value in SBS.items() if key != "MODEL.BACKBONE.WITH_NL"},
    "MODEL.FREEZE_LAYERS": ["backbone", "b1", "b2", "b3"],
    "MODEL.HEADS.EMBEDDING_DIM": 256,
    "MODEL.META_ARCHITECTURE": "MGN",
}
VIT = {
    "MODEL.BACKBONE.DEPTH": "base",
    "MODEL.BACKBONE.FEAT_DIM": 768,
    "MODEL.BACKBONE.NAME": "build_vit_backbone",
    "MODEL.HEADS.POOL_LAYER": "Identity",
    "MODEL.LOSSES.CE.EPSILON": 0.0,
    "MODEL.LOSSES.TRI.MARGIN": 0.0,
    "MODEL.PIXEL_MEAN": [127.5, 127.5, 127.5],
    "MODEL.PIXEL_STD": [127.5, 127.5, 127.5],
    "SOLVER.AMP.ENABLED": False,
    "SOLVER.BASE_LR": 0.008,
    "SOLVER.CLIP_GRADIENTS.ENABLED": True,
    "SOLVER.ETA_MIN_LR": 1.6e-5,
    "SOLVER.OPT": "SGD",
    "SOLVER.SCHED": "CosineAnnealingLR",
    "SOLVER.STEPS": [30, 55],
    "SOLVER.WARMUP_FACTOR": 0.01,
    "SOLVER.WARMUP_ITERS": 1000,
    "SOLVER.WEIGHT_DECAY": 1e-4,
    "TEST.EVAL_PERIOD": 5,
}
IBN = {"MODEL.BACKBONE.WITH_IBN": True}
S50 = {"MODEL.BACKBONE.NAME": "build_resnest_backbone"}
OTHERWISE: dict[str, dict[str, Any]] = {
    "bot": {},
    "bot-ibn": IBN,
    "bot-s50": S50,
    "bot-vit": VIT,
    "agw": AGW,
    "agw-ibn": {**AGW, **IBN},
    "agw-s50": {**AGW, **S50},
    "sbs": SBS,
    "sbs-ibn": {**SBS, **IBN},
    "sbs-s50": {**SBS, **S50},
    "mgn": MGN,
    "mgn-ibn": {**MGN, **IBN},
}

# LUPerson's `fast-reid/configs/CMDM/mgn_R50_moco.yml` (its repository at commit d5fa344, a fork of
# fast-reid of October 2020), with the files it builds on and its defaults, where a key of 1.4.0 is
# the same thing under another name or in other words.
FORK = [
    ("MODEL.META_ARCHITECTURE", "MGN", "MODEL.META_ARCHITECTURE", "MGN"),
    ("MODEL.BACKBONE.WITH_IBN", False, "MODEL.BACKBONE.WITH_IBN", False),
    ("MODEL.BACKBONE.WITH_NL", False, "MODEL.BACKBONE.WITH_NL", False),
    ("MODEL.PIXEL_MEAN", [89.896, 79.2, 80.073], "MODEL.PIXEL_MEAN", [89.896, 79.2, 80.073]),
    ("MODEL.PIXEL_STD", [63.872, 64.305, 63.839], "MODEL.PIXEL_STD", [63.872, 64.305, 63.839]),
    ("MODEL.HEADS.EMBEDDING_DIM", 256, "MODEL.HEADS.EMBEDDING_DIM", 256),
    ("MODEL.HEADS.POOL_LAYER", "gempoolP", "MODEL.HEADS.POOL_LAYER", "GeneralizedMeanPoolingP"),
    ("MODEL.HEADS.CLS_LAYER", "circleSoftmax", "MODEL.HEADS.CLS_LAYER", "CircleSoftmax"),
    ("MODEL.HEADS.SCALE", 64, "MODEL.HEADS.SCALE", 64),
    ("MODEL.HEADS.MARGIN", 0.35, "MODEL.HEADS.MARGIN", 0.35),
    ("MODEL.LOSSES.TRI.MARGIN", 0.0, "MODEL.LOSSES.TRI.MARGIN", 0.0),
    ("MODEL.LOSSES.CE.EPSILON", 0.1, "MODEL.LOSSES.CE.EPSILON", 0.1),
    ("INPUT.SIZE_TRAIN", [384, 128], "INPUT.SIZE_TRAIN", [384, 128]),
    ("INPUT.REA.MEAN", [0.0, 0.0, 0.0], "INPUT.REA.VALUE", [0.0, 0.0, 0.0]),
    ("INPUT.DO_AUTOAUG", False, "INPUT.AUTOAUG.ENABLED", False),
    ("INPUT.DO_FLIP", True, "INPUT.FLIP.ENABLED", True),
    ("INPUT.DO_PAD", True, "INPUT.PADDING.ENABLED", True),
    ("INPUT.PADDING", 10, "INPUT.PADDING.SIZE", 10),
    ("DATALOADER.NUM_INSTANCE", 16, "DATALOADER.NUM_INSTANCE", 16),
    ("SOLVER.AMP_ENABLED", False, "SOLVER.AMP.ENABLED", False),
    ("SOLVER.OPT", "Adam", "SOLVER.OPT", "Adam"),
    ("SOLVER.BASE_LR", 3.5e-4, "SOLVER.BASE_LR", 3.5e-4),
    ("SOLVER.BIAS_LR_FACTOR", 1.0, "SOLVER.BIAS_LR_FACTOR", 1.0),
    ("SOLVER.HEADS_LR_FACTOR", 1.0, "SOLVER.HEADS_LR_FACTOR", 1.0),
    ("SOLVER.WEIGHT_DECAY_BIAS", 5e-4, "SOLVER.WEIGHT_DECAY_BIAS", 5e-4),
    ("SOLVER.IMS_PER_BATCH", 64, "SOLVER.IMS_PER_BATCH", 64),
    ("SOLVER.SCHED", "WarmupCosineAnnealingLR", "SOLVER.SCHED", "CosineAnnealingLR"),
    ("SOLVER.MAX_ITER", "60 epochs", "SOLVER.MAX_EPOCH", 60),
    ("SOLVER.DELAY_ITERS", "30 epochs", "SOLVER.DELAY_EPOCHS", 30),
    ("SOLVER.ETA_MIN_LR", 7.7e-7, "SOLVER.ETA_MIN_LR", 7.7e-7),
    ("SOLVER.WARMUP_FACTOR", 0.01, "SOLVER.WARMUP_FACTOR", 0.01),
    ("SOLVER.WARMUP_ITERS", "10 epochs", "SOLVER.WARMUP_ITERS", 10 * 202),
    ("SOLVER.FREEZE_ITERS", "10 epochs", "SOLVER.FREEZE_ITERS", 10 * 202),
]


def flattened(node: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    """Every key with its value, but for where data lie and what a user must set."""
    for name, value in node.items():
        key = f"{at}{name}"
        if isinstance(value, Mapping):
            yield from flattened(value, f"{key}.")
        elif not key.startswith(("DATASETS.", "OUTPUT_DIR", "MODEL.BACKBONE.PRETRAIN_PATH")):
            yield key, value


def merged(recipe: str) -> dict[str, Any]:
    """fast-reid's defaults and over them the table of a recipe."""
    cfg = fastreid.config.get_cfg()
    pairs = RECIPES[recipe].table.items()
    cfg.merge_from_list([part for pair in pairs for part in pair])
    return dict(flattened(cfg))


@pytest.mark.parametrize("recipe", OTHERWISE)
def test_a_recipe_is_what_bot_is_but_for_this(recipe: str) -> None:
    bot = merged("bot")
    assert {k: v for k, v in merged(recipe).items() if v != bot[k]} == OTHERWISE[recipe]


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_a_recipe_is_the_published_file_key_by_key(recipe: str) -> None:
    values = merged(recipe)
    assert len(values) == 126
    text = json.dumps(values, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == PUBLISHED[recipe][1]


@pytest.mark.parametrize(("theirs", "meaning", "key", "value"), FORK)
def test_mgn_luperson_is_the_forks_where_1_4_0_can_say_it(
    theirs: str, meaning: Any, key: str, value: Any
) -> None:
    assert merged("mgn-luperson")[key] == value


def test_mgn_luperson_differs_from_the_fork_where_1_4_0_cannot_say_it() -> None:
    values = merged("mgn-luperson")
    # The fork's BatchNorm behind each branch (EXTRA_BN: True), and a factor for the rate of the
    # backbone's norms (1.0, so none). Its rate falls at every iteration, 1.4.0's at an epoch's end.
    for lacking in ("EXTRA_BN", "BACKBONE_BN_LR_FACTOR"):
        assert not [key for key in values if key.endswith(lacking)]
    bot = merged("bot")
    told = {key for _, _, key, _ in FORK} | {"INPUT.SIZE_TEST"}
    # Beside these it has what MGN has, and reports and checkpoints that nothing here depends on.
    rest = {key for key, value in values.items() if value != bot[key]} - told
    mgn = merged("mgn")
    assert {key for key in rest if values[key] != mgn[key]} == set()


def run_with_nothing_set(recipe: str, **changes: Any) -> dict[str, Any]:
    """The configuration of a recipe on Market-1501, its network and its picture's size given."""
    table = RECIPES[recipe].table
    mean = table.get("MODEL.PIXEL_MEAN", [0.485 * 255, 0.456 * 255, 0.406 * 255])
    deviation = table.get("MODEL.PIXEL_STD", [0.229 * 255, 0.224 * 255, 0.225 * 255])
    encoder = Encoder(
        architecture=NETWORKS[RECIPES[recipe].backbone],
        mean=[value / 255 for value in mean],
        deviation=[value / 255 for value in deviation],
    )
    height_px, width_px = table["INPUT.SIZE_TRAIN"]
    plan = Finetune(
        benchmark="market1501", recipe=recipe, height_px=height_px, width_px=width_px, **changes
    )
    return dict(flattened(recipes.config(plan, encoder, 751, MARKET_IMAGES)))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_on_market1501_with_nothing_set_is_the_published_one(recipe: str) -> None:
    found, published = run_with_nothing_set(recipe), merged(recipe)
    differs = {key for key in published if found[key] != pytest.approx(published[key])}
    # What this room does itself, what the machine is, and how many people there are.
    ours = {*recipes._HERE, "DATALOADER.NUM_WORKERS", "MODEL.DEVICE", "MODEL.HEADS.NUM_CLASSES"}
    assert differs <= ours
    assert found.keys() == published.keys()
    assert (found["MODEL.HEADS.NUM_CLASSES"], found["DATALOADER.NUM_WORKERS"]) == (751, 0)
    assert [found[key] for key in recipes._HERE if key in found] == [False, False, 0, False]


def test_bots_schedule_is_120_epochs_of_202_iterations() -> None:
    plan = Finetune(benchmark="market1501", height_px=256, width_px=128)
    run = recipes.schedule(plan, MARKET_IMAGES)
    assert (run.iterations, run.per_epoch, run.epochs) == (24_240, 202, 120)
    assert (run.warmup, run.frozen) == (2000, 0)
    solver = recipes.config(plan, Encoder(), 751, MARKET_IMAGES).SOLVER
    assert (solver.STEPS, solver.MAX_EPOCH, solver.WARMUP_ITERS) == ([40, 90], 120, 2000)


class Idle(fastreid.engine.TrainerBase):
    """fast-reid's loop over steps that do nothing."""

    def run_step(self) -> None: ...


def summary(caplog: pytest.LogCaptureFixture) -> str:
    (line,) = [text for text in caplog.messages if "iterations in" in text]
    caplog.clear()
    return line.split(" in ")[0]


def test_the_log_of_24_240_iterations_says_24_238_and_that_of_2020_said_24_237(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    trainer = Idle()
    trainer.register_hooks([fastreid.engine.hooks.IterationTimer()])
    trainer.train(0, 120, 202)
    assert trainer.iter == 24_240
    assert summary(caplog) == "Overall training speed: 24238 iterations"
    # The loop of fast-reid until 2020, and of LUPerson's fork, leaves the number of the last step.
    hook = fastreid.engine.hooks.IterationTimer()
    storage = fastreid.utils.events.EventStorage(0)
    hook.trainer = loop = SimpleNamespace(iter=0, start_iter=0, storage=storage)
    hook.before_train()
    for loop.iter in range(24_240):
        hook.before_step(), hook.after_step()
    hook.after_train()
    assert summary(caplog) == "Overall training speed: 24237 iterations"
