"""The only door to fastreid: the unmodified 1.4.0 wheel, made to work on today's Python and torch.

    from passerby.finetune.compat import fastreid

Each repair replaces one attribute of one module of fastreid; nothing on disk is touched and nothing
outside fastreid stays changed. Each names the row of the ledger of faults that it cures and the
upstream function (`path:function` inside the package):

| row | upstream | without the repair |
|---|---|---|
| I1 | `import torchvision` | fails beside a CPU torch (`passerby.vision`) |
| I2 | `data/build.py` | imports `torch._six`, gone since torch 2.0 |
| I3 | `data/build.py`, `evaluation/testing.py` | import `collections.Mapping`, gone since 3.10 |
| I5 | `utils/logger.py:setup_logger` | the trainer writes its log to stdout |
| I6 | `utils/compute_dist.py` and others | import faiss, tabulate, TensorBoard, unused here |
| D1 | `data/data_utils.py:DataLoaderX` | needs CUDA streams whatever the device |
| D2 | `data/data_utils.py:BackgroundGenerator` | a damaged image makes training wait for ever |
| D3 | `data/data_utils.py:read_image` | RGBA, CMYK and palette images keep their channels |
| T2 | `data/transforms/functional.py:to_tensor` | warns, and fails for pictures of 1 or 16 bits |
| M1 | `modeling/meta_arch/*.py:preprocess_image` | normalises the caller's tensor in place |
| S1 | `solver/build.py:build_optimizer` | with torch 2 no weight is ever changed, silently |
| S2 | `solver/build.py:get_default_optimizer_params` | freezing `b1` freezes `b1_head` too |
| G1 | `modeling/meta_arch/*.py:forward` | waits for the GPU to look for negative labels |
| G2 | `losses/cross_entroy_loss.py:cross_entropy_loss` | waits to count losses that are not 0 |
| G3 | `losses/triplet_loss.py:triplet_loss` | waits to see if a soft margin is infinite |
| G4 | `layers/any_softmax.py` | waits twice in a softmax with a margin for labels of -1 |
| E1 | `evaluation/reid_evaluation.py:ReidEvaluator` | runs `make` inside the installation |
| P1 | `utils/comm.py:get_local_rank` | asserts a group that only its own launcher makes |
| P2 | `engine/defaults.py:DefaultTrainer` | asks DDP for a GPU on a CPU |

Rows that the trainer avoids instead: D4 and M3 (`bridge.check_batch`), D5 to D9 (our own data set),
D10 (draws by name), S3 (no AMPTrainer), S4 to S7 and T1 (`recipes`), S8 (no flat buffers), C1 to C7
(our own checkpoints), G5 (`trainer.Storage`), E2 to E7 and H1 (no evaluation inside training), H2
(`recipes.schedule`), M2 and W1 (weights come through `start`). M5, the YAML of RegNet and
EfficientNet, is not come near.
"""

import collections
import collections.abc
import contextlib
import importlib
import importlib.metadata
import logging
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from passerby import images
from passerby.errors import BadInput
from passerby.finetune import losses
from passerby.vision import torchvision as torchvision  # I1: before anything of fastreid

VERSION = "1.4.0"


def check_version() -> None:
    """Refuse any fastreid but the one that the repairs were written for.

    The distribution is asked: `fastreid.__version__` says 1.3 in the wheel of 1.4.0.

    Raises:
        BadInput: it is another version, or is not installed.
    """
    try:
        found = importlib.metadata.version("fastreid")
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found != VERSION:
        raise BadInput(
            f"fastreid {VERSION} is wanted, found {found}; "
            f"install it with 'pip install --no-deps fastreid=={VERSION}'"
        )


class _Placeholder(types.ModuleType):
    """I6: stands for a package during the import of fastreid; later uses reach the real package.

    Args:
        name: Name of the package.
        functions: Names that fastreid imports from it; later calls go to the real package.
    """

    def __init__(self, name: str, *functions: str) -> None:
        super().__init__(name)
        for function in functions:
            setattr(self, function, lambda *a, _f=function, **k: self.__getattr__(_f)(*a, **k))

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:  # fastreid is still being imported
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def _names_that_are_gone() -> Iterator[None]:
    """I2, I3, I6: placeholders for what fastreid imports and what is gone, or unused here."""
    six = types.ModuleType("torch._six")
    six.string_classes = str  # type: ignore[attr-defined]
    faiss = _Placeholder("faiss")
    faiss.METRIC_L2 = 1  # type: ignore[attr-defined]  # the default of an argument
    board = _Placeholder("torch.utils.tensorboard", "SummaryWriter")
    tabulate = _Placeholder("tabulate", "tabulate")
    placeholders = {each.__name__: each for each in (six, faiss, board, tabulate)}
    before = {name: sys.modules[name] for name in placeholders if name in sys.modules}
    sys.modules.update(placeholders)
    collections.Mapping = collections.abc.Mapping  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for name in placeholders:
            del sys.modules[name]
        sys.modules.update(before)
        del collections.Mapping  # type: ignore[attr-defined]


check_version()
with _names_that_are_gone():
    import fastreid.config
    import fastreid.data.build
    import fastreid.data.common
    import fastreid.data.samplers
    import fastreid.data.transforms
    import fastreid.engine
    import fastreid.evaluation.reid_evaluation
    import fastreid.modeling
    import fastreid.modeling.backbones
    import fastreid.modeling.meta_arch
    import fastreid.solver.build


class Loader(torch.utils.data.DataLoader):
    """D1, D2: stands in for `data/data_utils.py:DataLoaderX`.

    No CUDA stream and no thread that fetches ahead: what a data set or a worker raises reaches the
    caller, a refusal as it was, without the worker's trace. The batch goes to the GPU where there
    is one, as upstream's does. torch puts it together: the same values as upstream's collator,
    which adds picture by picture to zeros, in half of the time. Workers live until the
    iteration ends or is closed (`Generator.close`).
    """

    def __init__(self, local_rank: int, **options: Any) -> None:
        self._device = torch.device("cuda", local_rank) if torch.cuda.is_available() else None
        own = {
            "pin_memory": self._device is not None,
            "collate_fn": torch.utils.data.default_collate,
        }
        super().__init__(**{**options, **own})

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        batches: Any = super().__iter__()
        try:
            yield from map(self._on_device, batches)
        except BadInput as error:
            raise BadInput(str(error).rpartition("BadInput: ")[2].strip()) from None
        finally:
            # Without this they would live as long as somebody keeps the error and its traceback.
            if self.num_workers:
                batches._shutdown_workers()

    def _on_device(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch, its tensors on the GPU if there is one."""
        if self._device is None:
            return batch
        return {
            key: value.to(self._device, non_blocking=True) if torch.is_tensor(value) else value
            for key, value in batch.items()
        }


def read_image(file_name: str, format: str | None = None) -> Image.Image:
    """D3: an RGB picture, always; stands in for `data/data_utils.py:read_image`.

    Raises:
        BadInput: the file is missing, cut short or no picture.
    """
    return Image.fromarray(images.read_image(file_name))


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """T2: an RGB picture as float `(3, H, W)` in 0..255; upstream warns of a storage that goes."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float().contiguous()


def preprocess_image(
    self: Any, batched_inputs: dict[str, torch.Tensor] | torch.Tensor
) -> torch.Tensor:
    """M1: the normalised batch, `(B, 3, H, W)` from 0..255; leaves its argument as it is."""
    images = batched_inputs["images"] if isinstance(batched_inputs, dict) else batched_inputs
    if images.is_cuda:  # the memory format of the trunk's weights (`trainer.TRUNKS`)
        images = images.contiguous(memory_format=torch.channels_last)
    return (images - self.pixel_mean) / self.pixel_std


def triplet_loss(
    embedding: torch.Tensor,
    targets: torch.Tensor,
    margin: float,
    norm_feat: bool,
    hard_mining: bool,
) -> torch.Tensor:
    """G3: replaces `losses/triplet_loss.py:triplet_loss`; distances and mining are upstream's.

    Args:
        embedding: Features `(B, D)`.
        targets: Labels, int64 `(B,)`.
        margin: 0 for a soft margin.
        norm_feat: Whether features are compared by their cosine.
        hard_mining: Whether a picture is compared with the two hardest ones, or with all, weighted.
    """
    upstream = sys.modules["fastreid.modeling.losses.triplet_loss"]
    measure = upstream.cosine_dist if norm_feat else upstream.euclidean_dist
    mine = upstream.hard_example_mining if hard_mining else upstream.weighted_example_mining
    same = targets[:, None] == targets[None, :]
    nearer, farther = mine(measure(embedding, embedding), same.float(), (~same).float())
    if margin > 0:
        ones = torch.ones_like(farther)
        return F.margin_ranking_loss(farther, nearer, ones, margin=margin)
    return losses.soft_margin_loss(farther, nearer)


def build_optimizer(
    cfg: Any, model: torch.nn.Module, rate_factor: Callable[[str], float] = lambda name: 1.0
) -> tuple[torch.optim.Optimizer, None]:
    """S1, S2: the optimiser of `solver/build.py:build_optimizer` over ordinary parameters.

    Upstream hands it flat buffers (`utils/params.py:ContiguousParams`) whose gradient is a view
    that `zero_grad`, which since torch 2.0 sets gradients to None, cuts off: `step` then finds no
    gradient at all. Parameters of one rate, decay and freezing share a group, as upstream's do, and
    are updated in one pass over memory where torch can (`fused`).

    Upstream matches FREEZE_LAYERS as bare prefixes, so that with `b1` MGN's `b1_head` stands still
    too and nothing at all is trained; here they are whole components of a name. It also counts
    frozen steps in a place that no checkpoint keeps: groups are marked only (`freeze_status`).

    Args:
        cfg: The configuration.
        model: Whose trainable parameters are optimised.
        rate_factor: By the name of a parameter, what its rate is multiplied with.
    """
    unfrozen = cfg.clone()
    unfrozen.defrost()
    unfrozen.SOLVER.FREEZE_ITERS = 0
    optimizer, _ = fastreid.solver.build.build_optimizer(unfrozen, model, contiguous=False)
    names = {id(value): name for name, value in model.named_parameters()}
    frozen = tuple(f"{layer}." for layer in cfg.MODEL.FREEZE_LAYERS if cfg.SOLVER.FREEZE_ITERS > 0)
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group in optimizer.param_groups:
        name = names[id(group["params"][0])]
        rate = group["lr"] * rate_factor(name)
        status = "freeze" if name.startswith(frozen) else "normal"
        key = (status, rate, group["weight_decay"])
        fields = {**group, "freeze_status": status, "lr": rate, "params": []}
        merged.setdefault(key, fields)["params"] += group["params"]
    optimizer.param_groups.clear()
    fused = {"fused": True} if "fused" in optimizer.defaults else {}
    for group in merged.values():
        optimizer.add_param_group({**group, **fused})
    return optimizer, None


class DataParallel(torch.nn.parallel.DistributedDataParallel):
    """P2: stands in for DDP in `engine/defaults.py`, which names a GPU whatever the device.

    What torch 2.13 says of an argument that upstream gives, `broadcast_buffers`, is not passed on.
    """

    def __init__(self, module: torch.nn.Module, device_ids: Any = None, **options: Any) -> None:
        on_gpu = next(module.parameters()).is_cuda
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            super().__init__(module, device_ids=device_ids if on_gpu else None, **options)


def join_processes() -> None:
    """P1: tell fast-reid which processes share this machine, once torchrun's group is there."""
    local, _ = torch.distributed.new_subgroups(int(os.environ["LOCAL_WORLD_SIZE"]))
    fastreid.utils.comm._LOCAL_PROCESS_GROUP = local


def _in_training(ours: Callable[..., Any], upstreams: Callable[..., Any]) -> Callable[..., Any]:
    """A forward pass that is ours in training and upstream's in inference."""
    return lambda self, inputs: (ours if self.training else upstreams)(self, inputs)


def _repair() -> None:
    """Put the repairs in their places, each in the one module that calls it."""
    fastreid.data.build.DataLoaderX = Loader  # D1, D2
    fastreid.data.common.read_image = read_image  # D3
    fastreid.data.transforms.transforms.to_tensor = to_tensor  # T2
    for name in ("Baseline", "MGN"):  # M1
        fastreid.modeling.meta_arch.META_ARCH_REGISTRY.get(name).preprocess_image = preprocess_image
    for name, forward in (("Baseline", losses.forward_baseline), ("MGN", losses.forward_mgn)):  # G1
        kind = fastreid.modeling.meta_arch.META_ARCH_REGISTRY.get(name)
        kind.forward = _in_training(forward, kind.forward)
    for place in (fastreid.modeling.meta_arch.baseline, fastreid.modeling.meta_arch.mgn):
        place.cross_entropy_loss = losses.cross_entropy_loss  # G2
        place.triplet_loss = triplet_loss  # G3
    softmax = sys.modules["fastreid.layers.any_softmax"]
    softmax.CosSoftmax.forward = losses.cos_softmax  # G4
    softmax.ArcSoftmax.forward = losses.arc_softmax  # G4
    softmax.CircleSoftmax.forward = losses.circle_softmax  # G4
    fastreid.engine.defaults.build_optimizer = build_optimizer  # S1, S2
    fastreid.engine.defaults.DistributedDataParallel = DataParallel  # P2
    evaluator = fastreid.evaluation.reid_evaluation.ReidEvaluator
    evaluator._compile_dependencies = lambda self: None  # E1
    # I5: a trainer that finds the logger set up leaves stdout alone. Its records still propagate;
    # the null handler keeps Python's last resort from printing the trace of what we refuse.
    logger = logging.getLogger("fastreid")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.NullHandler())


_repair()

__all__ = [
    "VERSION",
    "DataParallel",
    "Loader",
    "build_optimizer",
    "check_version",
    "fastreid",
    "join_processes",
]
