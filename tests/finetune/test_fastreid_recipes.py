"""Recipes: the published values, and how settings are translated into fast-reid's."""

import math
from types import SimpleNamespace

import pytest
import torch

from passerby.finetune import recipes
from passerby.finetune.compat import fastreid
from passerby.models import backbones
from passerby.settings import Encoder, Finetune

PUBLISHED = Finetune(
    benchmark="market1501",
    height_px=256,
    width_px=128,
    iterations=120 * 202,
    iterations_per_epoch=202,
    warmup_share=2000 / 24240,
    steps_share=(49 / 120, 99 / 120),
    workers=8,
)
OURS = {
    "MODEL.BACKBONE.PRETRAIN": False,
    "SOLVER.AMP.ENABLED": False,
    "TEST.EVAL_PERIOD": 0,
    "CUDNN_BENCHMARK": False,
}


def value(cfg: object, key: str) -> object:
    for part in key.split("."):
        cfg = getattr(cfg, part)
    return cfg


@pytest.mark.parametrize("key", recipes.BOT)
def test_published_settings_give_the_published_configuration(key: str) -> None:
    cfg = recipes.config(PUBLISHED, Encoder(architecture="resnet50"), 751)
    assert value(cfg, key) == OURS.get(key, recipes.BOT[key])


def test_published_settings_give_the_defaults_that_no_table_names() -> None:
    cfg = recipes.config(PUBLISHED, Encoder(architecture="resnet50"), 751)
    defaults = fastreid.config.get_cfg()
    for key in ("INPUT.PADDING.SIZE", "SOLVER.WEIGHT_DECAY_NORM", "SOLVER.WEIGHT_DECAY_BIAS"):
        assert value(cfg, key) == value(defaults, key)
    for key in ("MODEL.PIXEL_MEAN", "MODEL.PIXEL_STD", "INPUT.REA.VALUE"):
        assert value(cfg, key) == pytest.approx(value(defaults, key), abs=1e-9)


@pytest.mark.parametrize("height_px", [256, 128, 64, 16])
def test_padding_shrinks_with_the_picture(height_px: int) -> None:
    plan = PUBLISHED.model_copy(update={"height_px": height_px})
    padding = recipes.config(plan, Encoder(), 8).INPUT.PADDING.SIZE
    assert padding == {256: 10, 128: 5, 64: 2, 16: 1}[height_px]


def test_s5_one_decay_holds_for_weights_norms_and_biases() -> None:
    solver = recipes.config(PUBLISHED.model_copy(update={"weight_decay": 0.1}), Encoder(), 8).SOLVER
    decays = (solver.WEIGHT_DECAY, solver.WEIGHT_DECAY_NORM, solver.WEIGHT_DECAY_BIAS)
    assert decays == (0.1, 0.1, 0.1)


@pytest.mark.parametrize("architecture", ["resnet18", "resnet34", "resnet50", "resnet101"])
def test_depth_and_feature_size_go_together(architecture: str) -> None:
    backbone = recipes.config(PUBLISHED, Encoder(architecture=architecture), 8).MODEL.BACKBONE
    assert f"resnet{backbone.DEPTH[:-1]}" == architecture
    assert backbones.DIM[architecture] == backbone.FEAT_DIM


@pytest.mark.parametrize("per_epoch", [1, 7, 10])
@pytest.mark.parametrize("warmup", [0, 1, 9, 10, 11, 35])
@pytest.mark.parametrize("falls_after", [1, 4, 6, 9])
def test_s4_the_rate_falls_at_the_epoch_that_was_asked_for(
    per_epoch: int, warmup: int, falls_after: int
) -> None:
    """Against fast-reid's own schedule, run through ten epochs by its own hook."""
    step = recipes.upstream_step(falls_after * per_epoch, per_epoch, warmup)
    rates = rates_at_epoch_ends(step, per_epoch, warmup, epochs=10)
    # Before the end of the warm-up the rate cannot fall: the epoch of its end is the earliest.
    earliest = max(1, math.ceil(warmup / per_epoch))
    expected = max(falls_after, earliest)
    assert first_fall(rates) == (expected if expected <= 10 else None)


def rates_at_epoch_ends(step: int, per_epoch: int, warmup: int, epochs: int) -> list[float]:
    """The rate after each epoch, times ten to be a whole number once the warm-up is over."""
    cfg = fastreid.config.get_cfg()
    cfg.merge_from_list(["SOLVER.STEPS", [step], "SOLVER.WARMUP_ITERS", warmup])
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = fastreid.solver.build_lr_scheduler(cfg, optimizer, per_epoch)
    hook = fastreid.engine.hooks.LRScheduler(optimizer, scheduler)
    storage = SimpleNamespace(put_scalar=lambda *args, **options: None)
    hook.trainer = trainer = SimpleNamespace(
        iter=0, epoch=0, warmup_iters=warmup, delay_epochs=0, grad_scaler=None, storage=storage
    )
    rates = []
    for trainer.epoch in range(epochs):
        for _ in range(per_epoch):
            optimizer.step()
            hook.after_step()
            trainer.iter += 1
        hook.after_epoch()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def first_fall(rates: list[float]) -> int | None:
    """The epochs after which the rate is first below the one before it, or below 1 at the start."""
    before = 0.0
    for epoch, rate in enumerate(rates, start=1):
        if rate < before or (epoch == 1 and rate == pytest.approx(0.1)):
            return epoch
        before = rate
    return None
