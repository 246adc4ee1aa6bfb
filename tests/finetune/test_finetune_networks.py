"""Every recipe's network: it trains as a whole, and its artifact has fast-reid's features."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.finetune import bridge, model, recipes, run
from passerby.finetune.compat import fastreid
from passerby.finetune.job import Job
from passerby.finetune.published import RECIPES
from passerby.finetune.start import Start
from passerby.finetune.trainer import Trainer
from passerby.models import artifact, backbones, init_file
from passerby.models.embedder import Embedder
from passerby.models.init_file import InitHeader
from passerby.settings import Encoder, Finetune

# Of each recipe, a small network that it has, and how long its features are. Non-local blocks are
# in ResNet-50 and larger only, and ResNeSt has none whatever a recipe says.
SMALL = {
    "bot": ("resnet18", 512),
    "bot-ibn": ("resnet18-ibn", 512),
    "bot-s50": ("resnest50", 2048),
    "bot-vit": ("vit-small", 768),
    "agw": ("resnet50", 2048),
    "agw-ibn": ("resnet18-ibn", 512),
    "agw-s50": ("resnest50", 2048),
    "sbs": ("resnet18", 512),
    "sbs-ibn": ("resnet50-ibn", 2048),
    "sbs-s50": ("resnest50", 2048),
    "mgn": ("resnet50", 8 * 256),
    "mgn-ibn": ("resnet50-ibn", 8 * 256),
    "mgn-luperson": ("resnet50", 8 * 256),
}
# MGN needs five rows of features. Instance norms are the mean and deviation of a map: of very few
# places they make much of the last digits. In pictures of 32x16 the last ones, of two places, made
# OpenCV's features of `bot-ibn` differ from torch's by 2.8e-4 on one processor.
HEIGHT_PX = {"mgn": 80, "mgn-luperson": 80, "mgn-ibn": 80}
HEIGHT_PX |= {"bot-ibn": 64, "agw-ibn": 64, "sbs-ibn": 64}


def small_plan(plan: Finetune, recipe: str, **changes: Any) -> Finetune:
    """Three steps of a recipe, the first with what the recipe freezes frozen."""
    height_px = HEIGHT_PX.get(recipe, 32)
    frozen = 0.34 if "SOLVER.FREEZE_ITERS" in RECIPES[recipe].table else 0.0
    three = {"iterations": 3, "iterations_per_epoch": 1, "freeze_share": frozen}
    size = {"height_px": height_px, "width_px": height_px // 2}
    return Finetune.model_validate(
        {**plan.model_dump(), **three, **size, "recipe": recipe, **changes}
    )


def random_start(encoder: Encoder) -> Start:
    """Nothing but the permission to start afresh, or a ResNet of ours."""
    if backbones.is_resnet(encoder):
        state: dict[str, Tensor] = backbones.build(encoder, seed=3).state_dict()
        return Start(state, InitHeader.of(encoder, "a test"), encoder)
    return Start({}, InitHeader.of(encoder, "a test", fresh=("*",)), encoder)


class Run(NamedTuple):
    """What a finetuning left, and what fast-reid's model was before and after it."""

    before: dict[str, Tensor]
    network: Any
    cfg: Any
    account: str
    folder: Path


@pytest.fixture
def finetuned(
    benchmark_set: Benchmark, plan: Finetune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Run]:
    def go(recipe: str) -> Run:
        encoder = Encoder(architecture=SMALL[recipe][0])
        start = random_start(encoder)
        init_file.write(tmp_path / "init.safetensors", start.state, start.header)
        job = Job(
            name="finetune@small",
            init=str(tmp_path / "init.safetensors"),
            percent=100,
            seed=0,
            index=str(tmp_path / "noise.tsv"),
            root=str(benchmark_set.root),
            plan=small_plan(plan, recipe),
            encoder=encoder,
            threads=1,
        )
        seen: dict[str, Any] = {}
        build, write = Start.build, model.write

        def built(self: Start, cfg: Any) -> Any:
            network = build(self, cfg)
            seen["before"] = {n: p.detach().clone() for n, p in network.named_parameters()}
            seen["account"] = str(self.account)
            return network

        def written(folder: Path, network: Any, cfg: Any, *rest: Any) -> Any:
            seen.update(network=network, cfg=cfg)
            return write(folder, network, cfg, *rest)

        monkeypatch.setattr(Start, "build", built)
        monkeypatch.setattr(model, "write", written)
        run.finetune(job, tmp_path / "model", quiet=True)
        return Run(folder=tmp_path / "model", **seen)

    return go


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_trains_every_tensor_and_its_artifact_has_fast_reids_features(
    finetuned: Callable[[str], Run], benchmark_set: Benchmark, recipe: str
) -> None:
    done = finetuned(recipe)
    after = dict(done.network.named_parameters())
    still = [name for name, value in done.before.items() if torch.equal(value, after[name])]
    assert still == [name for name, value in after.items() if not value.requires_grad]

    paths = benchmark_set.split("train").paths[:6]
    theirs = inference(done, paths)
    ours = torch.from_numpy(
        Embedder.load(done.folder).embed_files(paths, 4, progress=False, threads=1)
    )
    assert ours.shape == theirs.shape == (6, SMALL[recipe][1])
    done.network.double()
    # Over fifty layers instance norms make so much of the last digits that 32 bits alone move
    # features by 1e-5.
    rounding = relative(theirs, inference(done, paths))
    assert relative(ours, theirs) < max(1e-5, 3 * rounding)
    assert rounding < (5e-5 if SMALL[recipe][0] == "resnet50-ibn" else 2e-6)
    kind = "resnet" if recipe == "bot" else "onnx"
    assert artifact.read_card(done.folder).kind == kind


def test_a_network_that_cannot_be_kept_is_refused_before_its_first_step(
    finetuned: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Start.build
    steps: list[Trainer] = []

    # All networks of the recipes can be written; one that draws at each pass cannot.
    def drawn(self: Start, cfg: Any) -> Any:
        network = build(self, cfg)
        network.backbone.register_forward_hook(lambda _, __, maps: maps * torch.rand(1))
        return network

    monkeypatch.setattr(Start, "build", drawn)
    monkeypatch.setattr(Trainer, "after_step", lambda trainer: steps.append(trainer))
    with pytest.raises(BadInput) as error:
        finetuned("bot-ibn")
    assert str(error.value).startswith("finetune@small: no model could be written after training: ")
    assert "chance" in str(error.value)
    assert not steps


def relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


def inference(done: Run, paths: list[Path]) -> Tensor:
    """Features of fast-reid's model of pictures as fast-reid prepares them."""
    prepare = fastreid.data.transforms.build_transforms(done.cfg, is_train=False)
    pictures = torch.stack([prepare(fastreid.data.common.read_image(str(path))) for path in paths])
    with torch.no_grad():
        features: Tensor = done.network.eval()(pictures.to(done.network.pixel_mean.dtype))
    return features


def test_a_model_whose_head_gives_something_else_is_no_plain_one(plan: Finetune) -> None:
    keys = [
        {"MODEL": {"HEADS": {"NAME": "ClasHead"}}},  # logits
        {"MODEL": {"HEADS": {"POOL_LAYER": "GlobalMaxPool"}}},
        {"MODEL": {"HEADS": {"EMBEDDING_DIM": 8}}},
        {"MODEL": {"BACKBONE": {"WITH_SE": True}}},
    ]
    for some in keys:
        cfg = recipes.config(small_plan(plan, "bot", fastreid=some), Encoder(), 8, 24)
        assert not model.is_plain(cfg)
    assert model.is_plain(recipes.config(small_plan(plan, "bot"), Encoder(), 8, 24))


class Forbidden(Exception):
    pass


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise Forbidden

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "create_connection", forbidden)


def built(plan: Finetune, recipe: str) -> Any:
    encoder = Encoder(architecture=SMALL[recipe][0])
    cfg = recipes.config(small_plan(plan, recipe), encoder, 8, 24)
    return random_start(encoder).build(cfg)


@pytest.mark.slow
@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("recipe", RECIPES)
def test_w1_no_recipe_fetches_weights(plan: Finetune, recipe: str) -> None:
    assert built(plan, recipe).training


@pytest.mark.slow
@pytest.mark.usefixtures("no_sockets")
def test_w1_fast_reid_would_fetch_them(
    plan: Finetune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(recipes._HERE, "MODEL.BACKBONE.PRETRAIN", True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(Forbidden):
        built(plan, "bot-s50")


def trainer(
    benchmark_set: Benchmark, changed: Finetune, begin: Start, seed: int = 0
) -> tuple[Trainer, Any]:
    images = bridge.items(benchmark_set, range(1, 9))
    cfg = recipes.config(changed, begin.encoder, 8, len(images))
    run = recipes.schedule(changed, len(images))
    return Trainer(cfg, images, run, changed, begin, seed), cfg


@pytest.mark.slow
def test_s2_mgn_trains_its_heads_while_its_trunk_and_branches_are_frozen(
    benchmark_set: Benchmark, plan: Finetune
) -> None:
    begin = random_start(Encoder(architecture="resnet50"))
    frozen = small_plan(plan, "mgn", freeze_share=1.0)
    mgn, cfg = trainer(benchmark_set, frozen, begin)
    before = {name: value.clone() for name, value in mgn.network.state_dict().items()}
    mgn.train()
    after = mgn.network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in moved} == {
        f"b{branch}_head" for branch in (1, 2, 21, 22, 3, 31, 32, 33)
    }
    trainable = {name for name, value in mgn.network.named_parameters() if value.requires_grad}
    assert {name for name in trainable if "_head." in name} <= moved

    # Upstream takes the published names for beginnings, and `b1_head` begins with `b1`.
    groups = fastreid.solver.build.get_default_optimizer_params(
        mgn.network, base_lr=1.0, freeze_layers=cfg.MODEL.FREEZE_LAYERS
    )
    assert len(groups) == len(trainable)
    assert {group["freeze_status"] for group in groups} == {"freeze"}


def first_loss(benchmark_set: Benchmark, plan: Finetune, **keys: Any) -> float:
    """Loss of the triplets at the first step of `bot`, with some of fast-reid's keys set."""
    bot, _ = trainer(benchmark_set, small_plan(plan, "bot", fastreid=keys), random_start(Encoder()))
    losses: list[float] = []
    bot.train(lambda: losses.append(bot.rows[-1]["loss_triplet"]))
    return losses[0]


def test_a_key_of_fast_reids_changes_the_loss_that_it_is_about(
    benchmark_set: Benchmark, plan: Finetune
) -> None:
    published = first_loss(benchmark_set, plan)
    doubled = {"MODEL": {"LOSSES": {"TRI": {"SCALE": 2}}}}
    assert first_loss(benchmark_set, plan, **doubled) == pytest.approx(2 * published)
    smoothed = {"MODEL": {"LOSSES": {"CE": {"EPSILON": 0.5}}}}
    assert first_loss(benchmark_set, plan, **smoothed) == published
