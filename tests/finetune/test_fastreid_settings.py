"""How settings are translated into fast-reid's: schedule, network, any key by name, refusals."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from passerby.errors import BadInput
from passerby.finetune import recipes
from passerby.finetune.compat import fastreid
from passerby.finetune.published import MARKET_IMAGES, RECIPES
from passerby.finetune.recipes import Schedule
from passerby.models import backbones
from passerby.settings import Encoder, Finetune


def settings(**changes: Any) -> Finetune:
    return Finetune.model_validate({"benchmark": "market1501", "height_px": 256, **changes})


def configuration(
    encoder: Encoder | None = None, images: int = MARKET_IMAGES, **changes: Any
) -> Any:
    return recipes.config(settings(**changes), encoder or Encoder(), 8, images)


def refusal(encoder: Encoder | None = None, images: int = MARKET_IMAGES, **changes: Any) -> str:
    with pytest.raises(BadInput) as error:
        configuration(encoder, images, **changes)
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (24_240, 202, 2000, 0)),
        ({"iterations": 1200}, (1200, 202, 99, 0)),  # 2000 / 24240 of it
        ({"iterations": 1200, "iterations_per_epoch": 300}, (1200, 300, 99, 0)),
        ({"epochs": 12}, (2424, 202, 200, 0)),
        ({"epochs": 12, "iterations_per_epoch": 50}, (600, 50, 50, 0)),
        ({"epochs": 12, "people_per_batch": 8}, (12 * 404, 404, 400, 0)),
        ({"warmup_share": 0.5, "freeze_share": 0.25}, (24_240, 202, 12_120, 6060)),
        ({"warmup_share": 0.0}, (24_240, 202, 0, 0)),
        ({"recipe": "sbs"}, (12_120, 202, 2000, 1000)),
        ({"recipe": "sbs", "freeze_share": 0.0}, (12_120, 202, 2000, 0)),
        ({"recipe": "mgn-luperson", "epochs": 30}, (6060, 202, 1010, 1010)),
        ({"recipe": "bot-vit", "iterations": 2424}, (2424, 202, 100, 0)),
    ],
)
def test_a_shorter_run_is_the_published_one_shrunk(
    changes: dict[str, Any], expected: tuple[int, ...]
) -> None:
    assert recipes.schedule(settings(**changes), MARKET_IMAGES) == Schedule(*expected)


def test_fewer_images_than_a_batch_are_an_epoch_of_one_step() -> None:
    assert recipes.schedule(settings(epochs=5), 40) == Schedule(5, 1, 0, 0)


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, [40, 90]),
        ({"epochs": 240}, [79, 179]),  # epochs 98 and 198; the first that counts is the 20th
        ({"epochs": 12}, [5, 10]),
        ({"steps_share": (0.5,)}, [51]),
        ({"steps_share": ()}, []),
        ({"recipe": "bot-vit", "steps_share": (0.5,)}, [56]),
    ],
)
def test_steps_keep_their_share_of_the_run(changes: dict[str, Any], steps: list[int]) -> None:
    solver = configuration(encoder_of(changes.get("recipe", "bot")), **changes).SOLVER
    assert steps == solver.STEPS


def test_the_delay_of_the_cosine_keeps_its_share_of_the_run() -> None:
    solver = configuration(recipe="sbs", epochs=20).SOLVER
    assert (solver.DELAY_EPOCHS, solver.MAX_EPOCH, solver.FREEZE_ITERS) == (10, 20, 333)


def test_a_last_epoch_that_is_shorter_counts() -> None:
    assert configuration(iterations=203).SOLVER.MAX_EPOCH == 2


@pytest.mark.parametrize(
    ("recipe", "height_px", "padding"),
    [
        ("bot", 256, 10),
        ("bot", 128, 5),
        ("bot", 64, 2),
        ("bot", 16, 1),
        ("sbs", 384, 10),
        ("sbs", 192, 5),
    ],
)
def test_padding_is_10_px_at_the_recipes_own_height_and_shrinks_with_the_picture(
    recipe: str, height_px: int, padding: int
) -> None:
    inputs = configuration(recipe=recipe, height_px=height_px).INPUT
    assert padding == inputs.PADDING.SIZE


def test_s5_one_decay_holds_for_weights_norms_and_biases() -> None:
    solver = configuration(weight_decay=0.1).SOLVER
    decays = (solver.WEIGHT_DECAY, solver.WEIGHT_DECAY_NORM, solver.WEIGHT_DECAY_BIAS)
    assert decays == (0.1, 0.1, 0.1)


def test_pictures_are_erased_with_the_encoders_mean_unless_the_recipe_names_a_value() -> None:
    encoder = Encoder(mean=(0.5, 0.25, 0.0))
    assert configuration(encoder).INPUT.REA.VALUE == [127.5, 63.75, 0.0]
    large = encoder.model_copy(update={"architecture": "resnet50"})
    assert configuration(large, recipe="mgn-luperson").INPUT.REA.VALUE == [0.0, 0.0, 0.0]


def encoder_of(recipe: str) -> Encoder:
    """The smallest network that a recipe has."""
    small = {"resnet": "resnet18", "ibn": "resnet18-ibn", "resnest": "resnest50"}
    return Encoder(architecture=small.get(RECIPES[recipe].backbone, "vit-small"))


@pytest.mark.parametrize("architecture", backbones.DIM)
def test_depth_and_feature_size_go_together(architecture: str) -> None:
    families = {"ibn": "bot-ibn", "resnest": "bot-s50", "vit": "bot-vit"}
    recipe = next((families[f] for f in families if f in architecture), "bot")
    backbone = configuration(Encoder(architecture=architecture), recipe=recipe).MODEL.BACKBONE
    assert backbone.DEPTH.removesuffix("x") in architecture
    assert backbones.DIM[architecture] == backbone.FEAT_DIM


@pytest.mark.parametrize(
    ("recipe", "architecture", "known"),
    [
        ("bot", "resnet50-ibn", "resnet18, resnet34, resnet50, resnet101"),
        ("sbs-s50", "resnet50", "resnest50, resnest101"),
        ("bot-vit", "resnest50", "vit-base, vit-small"),
        ("mgn", "resnet34", "resnet50, resnet101"),
        (
            "mgn-ibn",
            "resnet18-ibn",
            "resnet50-ibn, resnet50, resnet101-ibn, resnet101",
        ),
    ],
)
def test_a_network_that_a_recipe_has_not_is_refused(
    recipe: str, architecture: str, known: str
) -> None:
    assert refusal(Encoder(architecture=architecture), recipe=recipe) == (
        f"finetune.recipe: no such recipe for '{architecture}'; its 'encoder.architecture' is one "
        f"of {known}"
    )


@pytest.mark.parametrize("height_px", [16, 32, 64])
def test_pictures_that_mgn_cannot_cut_into_three_are_refused(height_px: int) -> None:
    encoder = Encoder(architecture="resnet50")
    assert refusal(encoder, recipe="mgn", height_px=height_px) == (
        f"finetune.height_px: MGN cannot cut {height_px} px into three parts: a row of its "
        "features is 16 px, and it needs three rows, or five and more"
    )
    assert len(torch.zeros(height_px // 16).chunk(3)) < 3
    for other in (48, 80, 96, 112, 128):
        assert configuration(encoder, recipe="mgn", height_px=other)
        assert len(torch.zeros(other // 16).chunk(3)) == 3


@pytest.mark.parametrize(
    ("nested", "key", "value"),
    [
        ({"SOLVER": {"OPT": "SGD"}}, "SOLVER.OPT", "SGD"),
        ({"SOLVER": {"MOMENTUM": 1}}, "SOLVER.MOMENTUM", 1.0),  # an int for a float
        # `dvc exp run -S ...=7e-7` writes what YAML 1.1 takes for a text.
        (yaml.safe_load("SOLVER: {ETA_MIN_LR: 7e-07}"), "SOLVER.ETA_MIN_LR", 7e-7),
        ({"MODEL": {"LOSSES": {"NAME": ["TripletLoss"]}}}, "MODEL.LOSSES.NAME", ("TripletLoss",)),
        ({"INPUT": {"REA": {"VALUE": [0, 0, 0]}}}, "INPUT.REA.VALUE", [0, 0, 0]),
        ({"INPUT": {"CJ": {"ENABLED": True}}}, "INPUT.CJ.ENABLED", True),
        ({"MODEL": {"BACKBONE": {"WITH_SE": True}}}, "MODEL.BACKBONE.WITH_SE", True),
    ],
)
def test_any_key_of_fast_reids_can_be_set(nested: dict[str, Any], key: str, value: Any) -> None:
    found: Any = configuration(fastreid=nested)
    for part in key.split("."):
        found = found[part]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("nested", "said"),
    [
        ({"SOLVR": {"OPT": "SGD"}}, "SOLVR: fast-reid has no such key (did you mean 'SOLVER'?)"),
        ({"SOLVER": {"OPTS": 1}}, "SOLVER.OPTS: fast-reid has no such key (did you mean 'OPT'?)"),
        ({"SOLVER": {"OPT": {"X": 1}}}, "SOLVER.OPT.X: fast-reid has no such key"),
        (
            {"SOLVER": {"MOMENTUM": "high"}},
            "SOLVER.MOMENTUM: found 'high', wanted a float such as fast-reid's 0.9",
        ),
        (
            {"SOLVER": {"MOMENTUM": True}},
            "SOLVER.MOMENTUM: found True, wanted a float such as fast-reid's 0.9",
        ),
        (
            {"INPUT": {"FLIP": {"ENABLED": 1}}},
            "INPUT.FLIP.ENABLED: found 1, wanted a bool such as fast-reid's True",
        ),
        (
            {"INPUT": {"REA": {"VALUE": 0.0}}},
            "INPUT.REA.VALUE: found 0.0, wanted a list such as fast-reid's "
            "[123.675, 116.28, 103.53]",
        ),
        (
            {"INPUT": {"FLIP": False}},
            "INPUT.FLIP: found False, wanted a section with some of ENABLED, PROB",
        ),
        (
            {"SOLVER": {"BASE_LR": 0.1}},
            "SOLVER.BASE_LR: not to be set here: it is 'finetune.lr'",
        ),
        (
            {"DATASETS": {"NAMES": ["DukeMTMC"]}},
            "DATASETS: not to be set here: it is 'finetune.benchmark'",
        ),
        (
            {"TEST": {"FLIP": {"ENABLED": True}}},
            "TEST: not to be set here: evaluation is a stage of its own",
        ),
        (
            {"MODEL": {"LOSSES": {"NAME": ["CrossEntropyLoss", "TripletLos"]}}},
            "MODEL.LOSSES.NAME: 'TripletLos' is not computed by Baseline; "
            "it knows CrossEntropyLoss, TripletLoss, CircleLoss, Cosface",
        ),
    ],
)
def test_a_key_that_cannot_be_set_is_refused_and_said_why(
    nested: dict[str, Any], said: str
) -> None:
    assert refusal(fastreid=nested) == f"finetune.fastreid.{said}"


def test_a_loss_that_mgn_does_not_compute_is_refused() -> None:
    nested = {"MODEL": {"LOSSES": {"NAME": ["CircleLoss"]}}}
    assert refusal(Encoder(architecture="resnet50"), recipe="mgn", fastreid=nested) == (
        "finetune.fastreid.MODEL.LOSSES.NAME: 'CircleLoss' is not computed by MGN; it knows "
        "CrossEntropyLoss, TripletLoss"
    )


def test_every_key_that_belongs_elsewhere_is_one_of_fast_reids() -> None:
    cfg = fastreid.config.get_cfg()
    for key in recipes._ELSEWHERE:
        *sections, name = key.split(".")
        node = cfg
        for section in sections:
            node = node[section]
        assert name in node
        nested: Any = node[name]
        for part in reversed(key.split(".")):
            nested = {part: nested}
        assert f"finetune.fastreid.{key}: not to be set here: " in refusal(fastreid=nested)
    assert recipes._ELSEWHERE_SECTIONS.keys() <= cfg.keys()


def test_t1_affine_is_refused_and_would_fail() -> None:
    assert refusal(fastreid={"INPUT": {"AFFINE": {"ENABLED": True}}}) == (
        "finetune.fastreid.INPUT.AFFINE.ENABLED: not to be set here: it fails in every torchvision "
        "since 0.12 (row T1)"
    )
    cfg = fastreid.config.get_cfg()
    cfg.INPUT.AFFINE.ENABLED = True
    with pytest.raises(TypeError, match="unexpected keyword argument 'resample'"):
        fastreid.data.transforms.build_transforms(cfg, is_train=True)


def test_s6_a_cosine_without_an_epoch_to_fall_in_is_refused() -> None:
    assert refusal(recipe="sbs", iterations=202) == (
        "finetune: 1 epochs, of which warm-up and delay take 1, leave the cosine none to fall in: "
        "train longer, or set a smaller 'iterations_per_epoch'"
    )
    assert configuration(recipe="sbs", iterations=202, iterations_per_epoch=101)
    late = {"SOLVER": {"DELAY_EPOCHS": 60}}
    assert "60 epochs, of which warm-up and delay take 60" in refusal(recipe="sbs", fastreid=late)


def test_s6_without_the_refusal_fast_reids_rate_divides_by_zero() -> None:
    cfg = fastreid.config.get_cfg()
    cfg.merge_from_list(["SOLVER.SCHED", "CosineAnnealingLR", "SOLVER.MAX_EPOCH", 1])
    cfg.merge_from_list(["SOLVER.WARMUP_ITERS", 1])
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    rates = fastreid.solver.build_lr_scheduler(cfg, optimizer, 1)
    optimizer.step()
    with pytest.raises(ZeroDivisionError):
        rates["lr_sched"].step()


def test_s7_an_optimiser_that_torch_lacks_is_refused() -> None:
    assert refusal(fastreid={"SOLVER": {"OPT": "Lamb"}}) == (
        "finetune.fastreid.SOLVER.OPT: torch has no optimiser 'Lamb' (row S7)"
    )


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
