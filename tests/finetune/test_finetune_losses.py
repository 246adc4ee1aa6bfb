"""Losses that do not wait for the device have upstream's values and gradients, bit for bit."""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from passerby.finetune import compat, losses, recipes
from passerby.finetune.compat import fastreid
from passerby.settings import Encoder, Finetune

PEOPLE, EACH, CLASSES = 4, 3, 7


@pytest.fixture
def labels() -> Tensor:
    return torch.arange(PEOPLE).repeat_interleave(EACH)


def drawn(*shape: int, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5)) * scale


def unpatched(module: str) -> ModuleType:
    """A module of fastreid as it is on disk."""
    path = inspect.getsourcefile(sys.modules[module])
    spec = importlib.util.spec_from_file_location("upstream", str(path))
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def with_gradient(function: Callable[..., Tensor], given: Tensor, *rest: Any) -> list[Tensor]:
    """A value, and the gradient of a weighted sum of it."""
    leaf = given.clone().requires_grad_()
    value = function(leaf, *rest)
    (value * torch.linspace(1, 2, value.numel()).view_as(value)).sum().backward()
    assert leaf.grad is not None
    return [value.detach(), leaf.grad]


def require_same(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert torch.isfinite(other).all()
        assert torch.equal(one, other)


@pytest.mark.parametrize("eps", [0.1, 0.0, -1.0])
def test_g2_cross_entropy(labels: Tensor, eps: float) -> None:
    upstream = sys.modules["fastreid.modeling.losses.cross_entroy_loss"].cross_entropy_loss
    logits = drawn(len(labels), CLASSES)
    logits[0, labels[0]] = 200.0  # a loss of 0, which is not counted where nothing is smoothed
    require_same(
        with_gradient(losses.cross_entropy_loss, logits, labels, eps),
        with_gradient(upstream, logits, labels, eps),
    )
    right = torch.nn.functional.one_hot(labels, CLASSES) * 200.0
    assert float(losses.cross_entropy_loss(right, labels, 0.0)) == 0.0  # and no division by 0


@pytest.mark.parametrize("margin", [0.3, 0.0])
@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize("hard", [True, False])
def test_g3_triplets(labels: Tensor, margin: float, cosine: bool, hard: bool) -> None:
    upstream = sys.modules["fastreid.modeling.losses.triplet_loss"].triplet_loss
    assert upstream is not compat.triplet_loss
    features = drawn(len(labels), 5)
    how = (labels, margin, cosine, hard)
    require_same(
        with_gradient(compat.triplet_loss, features, *how),
        with_gradient(upstream, features, *how),
    )


def test_g3_an_infinite_soft_margin_is_a_hard_one(labels: Tensor) -> None:
    upstream = sys.modules["fastreid.modeling.losses.triplet_loss"].triplet_loss
    features = drawn(len(labels), 5, scale=1000.0)
    how = (labels, 0.0, False, True)
    ours = with_gradient(compat.triplet_loss, features, *how)
    require_same(ours, with_gradient(upstream, features, *how))
    require_same(ours, with_gradient(upstream, features, labels, 0.3, False, True))


@pytest.mark.parametrize("kind", ["CosSoftmax", "ArcSoftmax", "CircleSoftmax"])
@pytest.mark.parametrize("unknown", [False, True])
def test_g4_softmax_with_a_margin(labels: Tensor, kind: str, unknown: bool) -> None:
    ours = getattr(sys.modules["fastreid.layers.any_softmax"], kind)(CLASSES, 64, 0.35)
    theirs = getattr(unpatched("fastreid.layers.any_softmax"), kind)(CLASSES, 64, 0.35)
    labels = torch.where(torch.arange(len(labels)) % 3 == 1, -1, labels) if unknown else labels
    cosines = drawn(len(labels), CLASSES).tanh()
    require_same(
        with_gradient(lambda given: ours(given.clone(), labels), cosines),
        with_gradient(lambda given: theirs(given.clone(), labels), cosines),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "architecture"), [("bot", "resnet18"), ("agw", "resnet50"), ("mgn", "resnet50")]
)
def test_g1_a_step_of_a_whole_network(labels: Tensor, recipe: str, architecture: str) -> None:
    plan = Finetune(benchmark="noise", recipe=recipe, height_px=96, width_px=32)
    cfg = recipes.config(plan, Encoder(architecture=architecture), CLASSES, 240)
    torch.manual_seed(0)
    model = fastreid.modeling.build_model(cfg).train()
    upstream = inspect.getclosurevars(type(model).forward).nonlocals["upstreams"]
    begun = {name: value.clone() for name, value in model.state_dict().items()}
    batch = {"images": drawn(len(labels), 3, 96, 32).abs() * 100, "targets": labels}

    def step(forward: Callable[..., dict[str, Tensor]]) -> list[Tensor]:
        model.load_state_dict(begun)
        model.zero_grad()
        with fastreid.utils.events.EventStorage(0):
            found = forward(batch)
        sum(found.values()).backward()  # type: ignore[union-attr]
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        return [*(value.detach() for value in found.values()), *gradients]

    require_same(step(model), step(lambda given: upstream(model, given)))
