"""From a published recipe and our settings to fast-reid's configuration.

`config` lays over a published table what the encoder decides, what the section `finetune` says, and
any of fast-reid's keys by name. A run that is shorter than the published one is the published one
shrunk: warm-up, steps, delay and freezing keep their shares of it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from passerby.errors import BadInput, nearest
from passerby.finetune.compat import fastreid
from passerby.finetune.published import MARKET_IMAGES, RECIPES, Recipe, Table, market_iterations
from passerby.models import backbones
from passerby.settings import Encoder, Finetune

_PADDING_PX = 10
"""fast-reid's, around pictures of the recipe's height."""

_ELSEWHERE = {
    "MODEL.DEVICE": "it is the machine's",
    "MODEL.WEIGHTS": "'starts' and 'arms' say where training begins",
    "MODEL.BACKBONE.NAME": "'finetune.recipe' and 'encoder' decide it",
    "MODEL.BACKBONE.DEPTH": "it is 'encoder.architecture'",
    "MODEL.BACKBONE.FEAT_DIM": "'encoder.architecture' decides it",
    "MODEL.BACKBONE.LAST_STRIDE": "it is 'encoder.last_stride'",
    "MODEL.BACKBONE.PRETRAIN": "'starts' and 'arms' say where training begins",
    "MODEL.BACKBONE.PRETRAIN_PATH": "'starts' and 'arms' say where training begins",
    "MODEL.HEADS.NUM_CLASSES": "it is the number of labelled people",
    "MODEL.HEADS.WITH_BNNECK": "models without a neck are not written",
    "MODEL.META_ARCHITECTURE": "'finetune.recipe' decides it",
    "MODEL.PIXEL_MEAN": "it is 'encoder.mean'",
    "MODEL.PIXEL_STD": "it is 'encoder.deviation'",
    "INPUT.SIZE_TRAIN": "it is 'finetune.height_px' and 'width_px'",
    "INPUT.SIZE_TEST": "it is 'finetune.height_px' and 'width_px'",
    "INPUT.AFFINE.ENABLED": "it fails in every torchvision since 0.12 (row T1)",
    "INPUT.RPT.ENABLED": "its patches outlive a picture: a killed run could not go on as it was",
    "DATALOADER.SAMPLER_TRAIN": "batches are so many images of so many people",
    "DATALOADER.NUM_WORKERS": "it is 'finetune.workers'",
    "DATALOADER.NUM_INSTANCE": "it is 'finetune.images_per_person'",
    "SOLVER.IMS_PER_BATCH": "it is 'finetune.people_per_batch' times 'images_per_person'",
    "SOLVER.AMP.ENABLED": "it is 'finetune.precision'",
    "SOLVER.BASE_LR": "it is 'finetune.lr'",
    "SOLVER.WEIGHT_DECAY": "it is 'finetune.weight_decay'",
    "SOLVER.MAX_EPOCH": "it is 'finetune.iterations' or 'epochs'",
    "SOLVER.STEPS": "it is 'finetune.steps_share'",
    "SOLVER.WARMUP_ITERS": "it is 'finetune.warmup_share'",
    "SOLVER.FREEZE_ITERS": "it is 'finetune.freeze_share'",
    "SOLVER.CHECKPOINT_PERIOD": "it is 'finetune.checkpoint_s'",
    "OUTPUT_DIR": "the graph decides it",
    "CUDNN_BENCHMARK": "runs are repeatable",
}
_ELSEWHERE_SECTIONS = {
    "DATASETS": "it is 'finetune.benchmark'",
    "TEST": "evaluation is a stage of its own",
    "KD": "there is no distillation here",
}
# What this room does itself: weights come through `models.transfer` (C2, W1), bf16 through
# `trainer.lowered` (S3), checkpoints and evaluation are not fast-reid's (C1 to C7, E1 to E7).
_HERE: Table = {
    "MODEL.BACKBONE.PRETRAIN": False,
    "SOLVER.AMP.ENABLED": False,
    "TEST.EVAL_PERIOD": 0,
    "CUDNN_BENCHMARK": False,
    "OUTPUT_DIR": "",
}
_FAMILIES = {
    "resnet": ("resnet18", "resnet34", "resnet50", "resnet101"),
    "ibn": tuple(f"resnet{n}{ibn}" for n in (18, 34, 50, 101) for ibn in ("-ibn", "")),
    "resnest": ("resnest50", "resnest101"),
    "vit": ("vit-base", "vit-small"),
}
_LOSSES = {
    "Baseline": ("CrossEntropyLoss", "TripletLoss", "CircleLoss", "Cosface"),
    "MGN": ("CrossEntropyLoss", "TripletLoss"),
}
"""What `losses` in `meta_arch/baseline.py` and `mgn.py` look for; other names they pass over."""


@dataclass(frozen=True)
class Schedule:
    """How long a run is, in iterations.

    Attributes:
        iterations: Of the whole run.
        per_epoch: Of an epoch, at whose end the rate falls and validation looks; the last epoch may
            be shorter.
        warmup: In which the rate rises.
        frozen: In which the recipe's FREEZE_LAYERS are not trained.
    """

    iterations: int
    per_epoch: int
    warmup: int
    frozen: int

    @property
    def epochs(self) -> int:
        """Epochs, a shorter last one counted."""
        return math.ceil(self.iterations / self.per_epoch)


def config(plan: Finetune, encoder: Encoder, people: int, images: int) -> Any:
    """The frozen fast-reid configuration (`CfgNode`) of one training.

    Args:
        plan: Recipe and what takes the place of its values.
        encoder: The network.
        people: Labelled people that are trained on, the classes of the softmax.
        images: Their images.

    Raises:
        BadInput: the recipe has no such network, or a key of `fastreid` cannot be set; a cosine
            that has no epoch left (row S6); pictures that MGN cannot cut into its parts.
    """
    recipe = RECIPES[plan.recipe]
    cfg = fastreid.config.get_cfg()
    for table in (
        recipe.table,
        _network(recipe, encoder, people),
        _method(plan, recipe.table, encoder),
        _rates(plan, recipe.table, schedule(plan, images)),
        _HERE,
    ):
        cfg.merge_from_list([part for pair in table.items() for part in pair])
    for key, value in _overrides(cfg, plan.fastreid):
        cfg.merge_from_list([key, value])
    cfg.MODEL.DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
    cfg.freeze()
    _check_cosine(cfg, schedule(plan, images))
    _check_parts(cfg)
    _check_losses(cfg)
    return cfg


def batch(plan: Finetune) -> tuple[int, int]:
    """People in a batch, and images of each."""
    table = RECIPES[plan.recipe].table
    each = plan.images_per_person or table["DATALOADER.NUM_INSTANCE"]
    published = table["SOLVER.IMS_PER_BATCH"] // table["DATALOADER.NUM_INSTANCE"]
    return plan.people_per_batch or published, each


def schedule(plan: Finetune, images: int) -> Schedule:
    """How long a run on so many labelled images is."""
    table = RECIPES[plan.recipe].table
    people, each = batch(plan)
    per_epoch = plan.iterations_per_epoch or max(images // (people * each), 1)
    epochs = plan.epochs or table["SOLVER.MAX_EPOCH"]
    iterations = plan.iterations or epochs * per_epoch
    published = market_iterations(table)
    warmup = _or(plan.warmup_share, table["SOLVER.WARMUP_ITERS"] / published)
    frozen = _or(plan.freeze_share, table.get("SOLVER.FREEZE_ITERS", 0) / published)
    return Schedule(iterations, per_epoch, round(warmup * iterations), round(frozen * iterations))


def _or(share: float | None, published: float) -> float:
    return published if share is None else share


def _network(recipe: Recipe, encoder: Encoder, people: int) -> Table:
    """What the encoder decides; fast-reid's pictures are 0..255."""
    known = _FAMILIES[recipe.backbone]
    if recipe.table["MODEL.META_ARCHITECTURE"] == "MGN":  # its branches are bottlenecks
        known = tuple(name for name in known if "18" not in name and "34" not in name)
    if encoder.architecture not in known:
        raise BadInput(
            f"finetune.recipe: no such recipe for '{encoder.architecture}'; its "
            f"'encoder.architecture' is one of {', '.join(known)}"
        )
    mean = [value * 255 for value in encoder.mean]
    table: Table = {
        "MODEL.BACKBONE.DEPTH": _depth(encoder.architecture),
        "MODEL.BACKBONE.FEAT_DIM": backbones.DIM[encoder.architecture],
        "MODEL.BACKBONE.LAST_STRIDE": encoder.last_stride,
        "MODEL.HEADS.NUM_CLASSES": people,
        "MODEL.PIXEL_MEAN": mean,
        "MODEL.PIXEL_STD": [value * 255 for value in encoder.deviation],
        "INPUT.REA.VALUE": recipe.table.get("INPUT.REA.VALUE", mean),
    }
    return table


def _depth(architecture: str) -> str:
    """fast-reid's name of a depth.

    Example:
        >>> [_depth(name) for name in ("resnet18", "resnet50-ibn", "resnest101", "vit-base")]
        ['18x', '50x', '101x', 'base']
    """
    family, _, size = architecture.partition("-")
    return size if family == "vit" else f"{''.join(filter(str.isdigit, family))}x"


def _method(plan: Finetune, table: Table, encoder: Encoder) -> Table:
    """What the section `finetune` says, but for the schedule."""
    size = [plan.height_px, plan.width_px]
    people, each = batch(plan)
    padding = round(_PADDING_PX * plan.height_px / table["INPUT.SIZE_TRAIN"][0])
    changed: Table = {
        "INPUT.SIZE_TRAIN": size,
        "INPUT.SIZE_TEST": size,
        "INPUT.PADDING.SIZE": max(1, padding),
        "DATALOADER.NUM_INSTANCE": each,
        "DATALOADER.NUM_WORKERS": plan.workers,
        "SOLVER.IMS_PER_BATCH": people * each,
    }
    if plan.lr is not None:
        changed["SOLVER.BASE_LR"] = plan.lr
    if plan.weight_decay is not None:
        # S5: decay of biases and norms is fixed when fast-reid's defaults are read.
        for key in ("WEIGHT_DECAY", "WEIGHT_DECAY_NORM", "WEIGHT_DECAY_BIAS"):
            changed[f"SOLVER.{key}"] = plan.weight_decay
    if plan.freeze_share and "MODEL.FREEZE_LAYERS" not in table:
        changed["MODEL.FREEZE_LAYERS"] = ["backbone"]
    return changed


def _rates(plan: Finetune, table: Table, run: Schedule) -> Table:
    """The published schedule, shrunk or stretched to the run."""
    changed: Table = {
        "SOLVER.MAX_EPOCH": run.epochs,
        "SOLVER.WARMUP_ITERS": run.warmup,
        "SOLVER.FREEZE_ITERS": run.frozen,
    }
    if plan.steps_share is not None or "SOLVER.STEPS" in table:
        shares = plan.steps_share if plan.steps_share is not None else _published_falls(table)
        changed["SOLVER.STEPS"] = [
            upstream_step(share * run.iterations, run.per_epoch, run.warmup) for share in shares
        ]
    if "SOLVER.DELAY_EPOCHS" in table:
        share = table["SOLVER.DELAY_EPOCHS"] / table["SOLVER.MAX_EPOCH"]
        changed["SOLVER.DELAY_EPOCHS"] = int(share * run.epochs)
    return changed


def _published_falls(table: Table) -> Iterator[float]:
    """Shares of the published run at which its rate falls, on Market-1501 (row S4)."""
    per_epoch = MARKET_IMAGES // table["SOLVER.IMS_PER_BATCH"]
    first = _first_epoch(per_epoch, table["SOLVER.WARMUP_ITERS"])
    for step in table["SOLVER.STEPS"]:
        yield (step + first - 1) / table["SOLVER.MAX_EPOCH"]


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
    first = _first_epoch(iterations_per_epoch, warmup)
    return max(round(iteration / iterations_per_epoch) - first + 1, 1)


def _first_epoch(iterations_per_epoch: int, warmup: int) -> int:
    """The epoch, from 1, whose end is the first that fast-reid's schedule counts."""
    return max(1, math.ceil(warmup / iterations_per_epoch))


def _check_cosine(cfg: Any, run: Schedule) -> None:
    """Refuse a cosine without an epoch to fall in (row S6: a division by zero in its first)."""
    held = max(math.ceil(run.warmup / run.per_epoch), cfg.SOLVER.DELAY_EPOCHS)
    if cfg.SOLVER.SCHED == "CosineAnnealingLR" and held >= cfg.SOLVER.MAX_EPOCH:
        raise BadInput(
            f"finetune: {cfg.SOLVER.MAX_EPOCH} epochs, of which warm-up and delay take {held}, "
            "leave the cosine none to fall in: train longer, or set a smaller "
            "'iterations_per_epoch'"
        )


def _check_parts(cfg: Any) -> None:
    """Refuse pictures too low for MGN: its `chunk` cuts four rows into two parts, not three."""
    height_px = cfg.INPUT.SIZE_TRAIN[0]
    if cfg.MODEL.META_ARCHITECTURE == "MGN" and math.ceil(height_px / 16) in (1, 2, 4):
        raise BadInput(
            f"finetune.height_px: MGN cannot cut {height_px} px into three parts: a row of its "
            "features is 16 px, and it needs three rows, or five and more"
        )


def _check_losses(cfg: Any) -> None:
    """Refuse losses that fast-reid would leave out without a word."""
    known = _LOSSES[cfg.MODEL.META_ARCHITECTURE]
    for name in cfg.MODEL.LOSSES.NAME:
        if name not in known:
            raise BadInput(
                f"finetune.fastreid.MODEL.LOSSES.NAME: '{name}' is not computed by "
                f"{cfg.MODEL.META_ARCHITECTURE}; it knows {', '.join(known)}"
            )


def _overrides(cfg: Any, nested: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    """fast-reid's keys that `finetune.fastreid` sets, as `(key, value)`, checked."""
    for name, value in nested.items():
        key = f"{at}{name}"
        node = _node(cfg, at)
        if not isinstance(node, Mapping) or name not in node:
            known = list(node) if isinstance(node, Mapping) else []
            raise BadInput(
                f"finetune.fastreid.{key}: fast-reid has no such key{nearest(name, known)}"
            )
        why = _ELSEWHERE.get(key) or (not at and _ELSEWHERE_SECTIONS.get(name))
        if why:
            raise BadInput(f"finetune.fastreid.{key}: not to be set here: {why}")
        if isinstance(value, Mapping):
            yield from _overrides(cfg, value, f"{key}.")
        else:
            yield key, _coerced(key, value, node[name])


def _node(cfg: Any, at: str) -> Any:
    for part in at.split(".")[:-1]:
        cfg = cfg[part]
    return cfg


def _is_number(value: Any) -> bool:
    """Whether it is one, or the text of one: `7e-07`, as dvc writes it, is no number in YAML 1.1.

    Example:
        >>> [_is_number(value) for value in (1, 0.5, "7e-07", True, "high")]
        [True, True, True, False, False]
    """
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)


def _coerced(key: str, value: Any, before: Any) -> Any:
    """The value in the type that fast-reid's default has; yacs takes no other."""
    if isinstance(before, float) and _is_number(value):
        return float(value)
    if isinstance(before, tuple | list) and isinstance(value, tuple | list):
        return type(before)(value)
    if isinstance(before, Mapping):
        raise BadInput(
            f"finetune.fastreid.{key}: found {value!r}, wanted a section with some of "
            f"{', '.join(before)}"
        )
    if type(value) is not type(before):
        raise BadInput(
            f"finetune.fastreid.{key}: found {value!r}, wanted a {type(before).__name__} such as "
            f"fast-reid's {before!r}"
        )
    if key == "SOLVER.OPT" and not hasattr(torch.optim, value):
        raise BadInput(f"finetune.fastreid.{key}: torch has no optimiser '{value}' (row S7)")
    return value
