"""Where finetuning starts: weights into any of fast-reid's networks, every tensor accounted for.

fast-reid builds a backbone and, for MGN, cuts it into a trunk and three branches. Weights are put
in between, so that trunk and branches get them alike; what is then in the model is compared with
what was to be loaded (row C2: fast-reid's own way loads nothing from names that do not fit, and
says so only in its log).
"""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from passerby.errors import BadInput
from passerby.finetune.compat import fastreid
from passerby.models import transfer
from passerby.models.init_file import InitHeader
from passerby.models.transfer import Account
from passerby.settings import Encoder

POSITIONS = "pos_embed"
"""A vision transformer's position embeddings."""
_MGN_TRUNK = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3.0"}
"""`meta_arch/mgn.py:MGN.from_config`: places of its trunk, a Sequential."""
_MGN_BRANCH = re.compile(r"b[123]\.(0\.(\d+)|1)\.(.+)")


@dataclass
class Start:
    """Weights to start from, and after a model was built, what became of them.

    Attributes:
        state: Under bare names.
        header: Of their file.
        encoder: What they were made for.
        account: What became of every tensor of the backbone.
        given: The weights as they were put into it, under its own names.
    """

    state: Mapping[str, Tensor]
    header: InitHeader
    encoder: Encoder
    account: Account = field(default_factory=lambda: Account(()))
    given: Mapping[str, Tensor] = field(default_factory=dict)

    def build(self, cfg: Any) -> Any:
        """fast-reid's model of a configuration, its backbone from these weights.

        Raises:
            BadInput: a tensor is missing, unknown or of another shape.
        """
        with _backbone_built_by(self._backbone):
            model = fastreid.modeling.build_model(cfg)
        self._require_loaded(model)
        return model

    def came_along(self, parameter: str) -> bool:
        """Whether a parameter of the model came with the start, and does not start afresh."""
        name = backbone_name(parameter)
        plain = name.replace(".BN.", ".")  # in an IBN network, of which the file may know nothing
        fresh = self.header.fresh
        return name in self.account.loaded and not any(
            fnmatchcase(one, pattern) for one in (name, plain) for pattern in fresh
        )

    def _backbone(self, cfg: Any) -> Any:
        backbone = fastreid.modeling.backbones.build_backbone(cfg)
        self.given = suited(self.state, backbone)
        self.account = load(backbone, self.state, self.header.fresh)
        if cfg.MODEL.BACKBONE.NAME == "build_resnet_backbone":
            _set_pooling(backbone, self.encoder)
        return backbone

    def _require_loaded(self, model: nn.Module) -> None:
        """Compare the model with what was to be loaded into it."""
        found = set()
        for name, value in model.state_dict().items():
            inside = backbone_name(name)
            if inside in self.account.loaded:
                assert torch.equal(value.cpu(), self.given[inside]), (
                    f"loaded, but not equal: {name}"
                )
                found.add(inside)
        lost = set(self.account.loaded) - found
        assert not lost, f"loaded, but not in the model: {sorted(lost)}"


def load(backbone: nn.Module, state: Mapping[str, Tensor], fresh: tuple[str, ...] = ()) -> Account:
    """Load weights into one of fast-reid's backbones, and account for every tensor.

    A plain ResNet's weights fit an IBN or a non-local one too: what has no counterpart (instance
    norms, non-local blocks) starts afresh and is listed.

    Args:
        backbone: Its tensors that start afresh keep fast-reid's initialisation.
        state: Under bare names; nothing at all where all is fresh.
        fresh: Names or shell patterns of what `state` may lack.

    Raises:
        BadInput: another tensor is missing, one is unknown or of another shape.
    """
    own = backbone.state_dict()
    if not state:
        return Account((), tuple(own))
    given = suited(state, backbone)
    additions = [name for name in own if name.startswith("NL_") or ".IN." in name]
    allowed = [*additions, *(p for p in fresh if any(fnmatchcase(name, p) for name in own))]
    return transfer.load_backbone(backbone, given, allowed)


def suited(state: Mapping[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """Weights as a backbone of another kind names and shapes them.

    `layers/batch_norm.py:IBN` normalises the first half of the channels by instance and the second
    by batch: the second half of a plain ResNet's BatchNorm is its counterpart, the first has none.
    A vision transformer for pictures of another size has another grid of positions: it is resized
    as `backbones/vision_transformer.py:resize_pos_embed` does it.

    Args:
        state: Under bare names.
        backbone: That they are for.
    """
    own = backbone.state_dict()
    given: dict[str, Tensor] = {}
    for name, value in state.items():
        module, _, kind = name.rpartition(".")
        inside = f"{module}.BN.{kind}"
        if name == POSITIONS and name in own and value.shape != own[name].shape:
            grid = backbone.patch_embed.num_y, backbone.patch_embed.num_x  # type: ignore[union-attr]
            given[name] = resized(value, grid)  # type: ignore[arg-type]
        elif name in own or inside not in own:
            given[name] = value
        else:
            given[inside] = value[len(value) // 2 :] if value.ndim else value
    return given


def resized(positions: Tensor, grid: tuple[int, int]) -> Tensor:
    """Position embeddings on another grid, bilinear; the class token's stays.

    Args:
        positions: `(1, 1 + N * N, D)`, the first the class token's, the others of a square grid.
        grid: Rows and columns that are wanted.

    Returns:
        `(1, 1 + rows * columns, D)`.

    Raises:
        BadInput: the grid is not square.
    """
    token, places = positions[:, :1], positions[:, 1:]
    side = math.isqrt(places.shape[1])
    if side * side != places.shape[1]:
        raise BadInput(
            f"{POSITIONS}: {places.shape[1]} places, which are no square; resize them, or give "
            "weights made for square pictures"
        )
    square = places.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    new = nn.functional.interpolate(square, size=grid, mode="bilinear")
    return torch.cat([token, new.permute(0, 2, 3, 1).flatten(1, 2)], 1)


def backbone_name(parameter: str) -> str:
    """The bare name of a tensor of fast-reid's model; empty for what is in no backbone.

    Example:
        >>> [backbone_name(n) for n in ("backbone.conv1.weight", "backbone.6.bn2.bias")]
        ['conv1.weight', 'layer3.0.bn2.bias']
        >>> [backbone_name(n) for n in ("b2.0.1.conv1.weight", "b3.1.2.bn3.bias", "heads.weight")]
        ['layer3.2.conv1.weight', 'layer4.2.bn3.bias', '']
    """
    branch = _MGN_BRANCH.fullmatch(parameter)
    if branch:
        block = f"layer3.{int(branch[2]) + 1}" if branch[2] else "layer4"
        return f"{block}.{branch[3]}"
    name = parameter.removeprefix("backbone.")
    if name == parameter:
        return ""
    place, _, rest = name.partition(".")
    return f"{_MGN_TRUNK.get(place, place)}.{rest}" if rest else name


def _set_pooling(backbone: Any, encoder: Encoder) -> None:
    """Give fast-reid's ResNet the encoder's stem pooling (row M2: its own has no padding)."""
    if encoder.stem_pooling == "torchvision":
        backbone.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)


@contextmanager
def _backbone_built_by(build: Any) -> Iterator[None]:
    """Let fast-reid's models be built around the backbones that `build(cfg)` gives."""
    places = (fastreid.modeling.meta_arch.baseline, fastreid.modeling.meta_arch.mgn)
    before = [place.build_backbone for place in places]
    for place in places:
        place.build_backbone = build
    try:
        yield
    finally:
        for place, own in zip(places, before, strict=True):
            place.build_backbone = own
