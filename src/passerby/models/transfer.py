"""Weights from other people's naming schemes into a backbone, every tensor accounted for.

fast-reid loads nothing from a file whose names do not fit, and says so only in its log: a run then
starts at random and its table says "MoCo". Here a tensor is loaded, or left out for a reason, or
starts afresh because the settings allow it; anything else is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from passerby.errors import BadInput, listing
from passerby.foreign import tensors
from passerby.models import backbones, init_file
from passerby.models.backbones import state_shapes
from passerby.settings import Encoder

# Wrappers that put a component into each name: DataParallel and DDP, torch.compile.
_WRAPPERS = {"module", "_orig_mod"}
# Where the backbone lies inside a larger model: MoCo (LUPerson's too), fast-reid.
_INSIDE = ("encoder_q.", "backbone.")
# Heads: torchvision's and MoCo's, fast-reid's, passerby's, and timm's of a vision transformer.
_HEADS = ("fc.", "heads.", "neck.", "head.", "pre_logits.")
_COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class Account:
    """What became of every tensor.

    Attributes:
        loaded: Tensors of the backbone that were in the file.
        fresh: Tensors of the backbone that were not, and by the settings need not be.
        left_out: Tensors of the file that are no part of the backbone: heads, queue, key encoder.
        counters: BatchNorm's batch counters, where the file has none at all (torch before 0.4.1);
            they start at 0 and enter no result.
    """

    loaded: tuple[str, ...]
    fresh: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line, e.g. `120 of 120 backbone tensors; left out fc.bias, fc.weight`."""
        total = len(self.loaded) + len(self.fresh) + len(self.counters)
        parts = [f"{len(self.loaded)} of {total} backbone tensors"]
        if self.fresh:
            parts.append(f"{len(self.fresh)} start afresh: {listing(self.fresh)}")
        if self.counters:
            parts.append(f"{len(self.counters)} batch counters are not in the file and start at 0")
        if self.left_out:
            parts.append(f"left out {listing(self.left_out)}")
        return "; ".join(parts)


def read_raw(path: str | Path) -> tuple[dict[str, Any], init_file.InitHeader | None]:
    """Read a weights file as it is: safetensors, or torch's format by a reader that runs no code.

    Returns:
        `(content, header)`; the header is `None` unless the file is one of passerby's.

    Raises:
        BadInput: it is missing or damaged, or holds more than tensors and plain containers.
    """
    if Path(path).suffix == ".safetensors":
        return init_file.read_tensors(path)
    content = tensors.load(path, "save its state dict and nothing else")
    if not isinstance(content, Mapping):
        raise BadInput(f"{path}: a state dict was wanted, found {type(content).__name__}")
    return dict(content), None


def backbone_state(raw: Mapping[str, Any]) -> dict[str, Tensor]:
    """The backbone's tensors under bare torchvision names, out of any scheme that is known.

    Known: bare names; torchvision with `fc`; MoCo and LUPerson (`{epoch, arch, state_dict}`,
    `module.encoder_q.`); fast-reid (`{model}`, `backbone.`); timm, whose ResNets and vision
    transformers have these names too; each also under DDP and torch.compile.

    Raises:
        BadInput: there are no tensors, or two of them bear one name.

    Example:
        >>> weights = {"module.encoder_q.conv1.weight": Tensor([1.0])}
        >>> list(backbone_state({"state_dict": weights}))
        ['conv1.weight']
    """
    return sorted_out(raw)[0]


def sorted_out(raw: Mapping[str, Any]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The backbone's tensors by bare name, and the original names of all others.

    Raises:
        BadInput: as `backbone_state`.
    """
    tensors = _tensors(raw)
    bare = {original: _unwrapped(original) for original in tensors}
    for inside in _INSIDE:
        if any(name.startswith(inside) for name in bare.values()):
            bare = {
                original: name.removeprefix(inside)
                for original, name in bare.items()
                if name.startswith(inside)
            }
    state: dict[str, Tensor] = {}
    for original, name in bare.items():
        if name in state:
            raise BadInput(f"two tensors are called {name}: {original} is the second of them")
        if not name.startswith(_HEADS):
            state[name] = tensors[original]
    left_out = (original for original in tensors if bare.get(original) not in state)
    return state, tuple(sorted(left_out))


def _tensors(raw: Mapping[str, Any]) -> dict[str, Tensor]:
    """The level of a checkpoint that holds the tensors."""
    level: Any = raw
    for key in ("state_dict", "model"):
        if isinstance(level, Mapping) and isinstance(level.get(key), Mapping):
            level = level[key]
    found = {
        str(name): tensors.plain(value, f"tensor {name}")
        for name, value in level.items()
        if isinstance(value, Tensor)
    }
    if not found:
        raise BadInput(
            f"no tensors in it; found the keys {listing(sorted(map(str, raw)))}, "
            "wanted a state dict, bare or under 'state_dict' or 'model'"
        )
    return found


def _unwrapped(name: str) -> str:
    """The name without the components that wrappers put into it, wherever they stand."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def load_backbone(
    module: nn.Module, state: Mapping[str, Any], allowed_fresh: Sequence[str] = ()
) -> Account:
    """Load weights of any known scheme into a backbone, and account for every tensor.

    Args:
        module: The backbone; its tensors that start afresh keep their values.
        state: A state dict or checkpoint as it was read.
        allowed_fresh: Shell patterns of tensors that `state` may lack.

    Raises:
        BadInput: tensors are missing, unknown, of another shape or hold numbers that are not
            finite, or a pattern fits nothing.
            Nothing is loaded then.
    """
    found, left_out = sorted_out(state)
    own = module.state_dict()
    _require_patterns(allowed_fresh, own)
    counters = _absent_counters(own, found)
    missing = [name for name in own if name not in found and name not in counters]
    fresh = [name for name in missing if any(fnmatchcase(name, p) for p in allowed_fresh)]
    faults = [
        *_fault("missing", [name for name in missing if name not in fresh]),
        *_fault("not of this backbone", [name for name in found if name not in own]),
        *_fault("of another shape", _other_shapes(own, found)),
        *_fault("with NaN or infinity in it", [n for n, v in found.items() if not _is_finite(v)]),
    ]
    if faults:
        raise BadInput(f"{'; '.join(faults)}. {_advice(own, found)}")
    module.load_state_dict({**own, **found})
    return Account(tuple(found), tuple(fresh), left_out, tuple(counters))


def _require_patterns(patterns: Iterable[str], own: Mapping[str, Tensor]) -> None:
    """Refuse a pattern that fits no tensor of the backbone: it is a slip of the pen."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in own):
            raise BadInput(
                f"'fresh' holds {pattern!r}, which fits no tensor of the backbone; its names are "
                f"torchvision's, such as {listing(list(own)[-2:])}"
            )


def _absent_counters(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """The batch counters, where the file has not one of them."""
    if any(name.endswith(_COUNTER) for name in found):
        return []
    return [name for name in own if name.endswith(_COUNTER)]


def _other_shapes(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    return [
        f"{name} {tuple(found[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in found and found[name].shape != own[name].shape
    ]


def _is_finite(tensor: Tensor) -> bool:
    return bool(tensor.float().isfinite().all())


def _fault(what: str, names: list[str]) -> list[str]:
    count = "1 tensor" if len(names) == 1 else f"{len(names)} tensors"
    return [f"{count} {what}: {listing(names, most=3)}"] if names else []


def _advice(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """What to do, by way of which architectures the two are."""
    wanted, is_of = _architecture(own), _architecture(found)
    if is_of and is_of != wanted:
        return (
            f"The file is a {is_of}, {wanted or 'another backbone'} was wanted: "
            "set 'encoder.architecture', or give another file"
        )
    return (
        "Give a file that holds the whole backbone, or name in 'fresh' what may start afresh "
        "(shell patterns, e.g. 'layer4.*')"
    )


def _architecture(state: Mapping[str, Tensor]) -> str | None:
    """The architecture whose every parameter is there in its shape, if there is one."""
    shapes = state_shapes(state)
    for name in backbones.RESNETS:
        encoder = Encoder.model_validate({"architecture": name})
        wanted = {k: v for k, v in backbones.shapes(encoder).items() if not k.endswith(_COUNTER)}
        if wanted == {k: v for k, v in shapes.items() if not k.endswith(_COUNTER)}:
            return name
    return None
