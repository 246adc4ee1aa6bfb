"""Training steps of fast-reid's recipes on fake CUDA tensors, as far as a CPU build of torch goes.

A program of its own: `PASSERBY_FAKE_CUDA_GUARD` names a library that gives torch a guard of CUDA
devices, and once it is loaded torch is spoilt for anything else. The forward pass, what becomes of
the losses, and the optimiser's step are ours; autograd's engine refuses fake CUDA tensors, so the
gradients are zeros.

Prints a JSON object: for each recipe under `syncs` where the host asks the device for a number, and
how often; under `copies` where it copies a tensor to the device and waits; under `devices` where
losses and numbers lie; under `channels_last` whether the input and all weights of the trunk's
convolutions lie so. (What lies between two convolutions is cuDNN's choice, and there is none.)
"""

import collections
import ctypes
import json
import os
import traceback
from pathlib import Path
from typing import Any

import torch
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from passerby.finetune import trainer as training
from passerby.finetune.compat import fastreid
from passerby.finetune.recipes import config, schedule
from passerby.finetune.start import Start
from passerby.finetune.trainer import TRUNKS, Trainer
from passerby.models.init_file import InitHeader
from passerby.settings import Encoder, Finetune

DEVICE = torch.device("cuda:0")
PEOPLE, IMAGES = 751, 12936
RECIPES = {
    "bot": ("resnet50", (256, 128)),
    "bot-ibn": ("resnet50-ibn", (256, 128)),
    "agw": ("resnet50", (256, 128)),
    "sbs": ("resnet50", (384, 128)),
    "mgn": ("resnet50", (384, 128)),
}
SYNCS: collections.Counter[str] = collections.Counter()


def where() -> str:
    """The line of fastreid or passerby that asked."""
    stack = traceback.extract_stack()
    ours = [f for f in stack if "/fastreid/" in f.filename or "/passerby/" in f.filename]
    path = Path(ours[-1].filename)
    return f"{path.parent.name}/{path.name}:{ours[-1].lineno}"


def counted(kind: str, answer: Any) -> Any:
    """A method of tensors that notes where it was called, and answers with what is at hand."""

    def asked(tensor: torch.Tensor, *given: Any, **named: Any) -> Any:
        SYNCS[f"{kind} {where()}"] += 1
        return answer(tensor)

    return asked


def count_syncs() -> None:
    """Count what makes the host wait for the device.

    What is not counted here raises: a fake tensor has no numbers.
    """
    for name in ("__float__", "item"):
        setattr(torch.Tensor, name, counted("number", lambda tensor: 0.5))
    torch.Tensor.tolist = counted("number", lambda tensor: [0.5] * tensor.numel())
    torch.Tensor.__bool__ = counted("number", lambda tensor: False)
    torch.Tensor.nonzero = counted(
        "nonzero", lambda tensor: tensor.new_empty((len(tensor), tensor.ndim), dtype=torch.int64)
    )
    places, choose = counted("nonzero", lambda tensor: (torch.arange(len(tensor)),)), torch.where
    torch.where = lambda *given: choose(*given) if len(given) > 1 else places(*given)


class Copies(TorchDispatchMode):
    """Counts tensors that are copied to the device or from it, the host waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.found: collections.Counter[str] = collections.Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._schema.name in ("aten::_to_copy", "aten::copy_"):
            patient = (kwargs or {}).get("non_blocking") or args[2:3] == (True,)
            tensors = [each for each in tree_leaves((args, out)) if torch.is_tensor(each)]
            if not patient and len({each.device.type for each in tensors}) > 1:
                self.found[where()] += 1
        return out


class OnTheWay:
    """Stands for `Watched`, whose pinned memory a CPU build does not have: is never read here."""

    def __init__(self, value: torch.Tensor) -> None:
        self.device = value.device.type


def on_device(module: torch.nn.Module) -> torch.nn.Module:
    """Move a module as `Module.to` does, which cannot exchange real tensors for fake ones."""
    for each in module.modules():
        for name, value in list(each._parameters.items()):
            if value is not None:
                moved = value.detach().to(DEVICE)
                each._parameters[name] = torch.nn.Parameter(moved, value.requires_grad)
        for name, value in list(each._buffers.items()):
            if value is not None:
                each._buffers[name] = value.to(DEVICE)
    return module


def laid_out(module: torch.nn.Module, *args: Any, **options: Any) -> torch.nn.Module:
    """Stands for `Module.to`: to the device, or into another memory format."""
    wanted = options.get("memory_format")
    for each in module.modules() if wanted else ():
        for name, value in list(each._parameters.items()):
            if value is not None and value.ndim == 4:
                kept = value.detach().contiguous(memory_format=wanted)
                each._parameters[name] = torch.nn.Parameter(kept, value.requires_grad)
    return module if wanted else on_device(module)


def batches(size: tuple[int, int]) -> dict[str, torch.Tensor]:
    """A batch as the loader hands it out."""
    labels = torch.zeros(64, dtype=torch.int64, device=DEVICE)
    images = torch.empty(64, 3, *size, device=DEVICE)
    return {"images": images, "targets": labels, "camids": labels}


def step(recipe: str, architecture: str, size: tuple[int, int]) -> dict[str, Any]:
    """Two steps of our trainer; what the second did."""
    encoder = Encoder(architecture=architecture)
    plan = Finetune(benchmark="x", recipe=recipe, height_px=size[0], width_px=size[1], workers=0)
    start = Start({}, InitHeader.of(encoder, "random", fresh=("*",)), encoder)
    cfg = config(plan, encoder, PEOPLE, IMAGES)
    assert cfg.MODEL.DEVICE == "cuda"
    Trainer.build_train_loader = lambda self, cfg: Batches(size)
    trainer = Trainer(cfg, [], schedule(plan, IMAGES), plan, start, 0, "bf16")
    convolutions = [
        module
        for name in TRUNKS
        for module in getattr(trainer.network, name, torch.nn.Module()).modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    inputs: list[torch.Tensor] = []
    convolutions[0].register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    losses: list[torch.Tensor] = []
    torch.Tensor.backward = lambda loss, **_: (losses.append(loss), zero_gradients(trainer))[0]
    copies = Copies()
    with training.Storage(0) as trainer.storage:
        trainer.before_train()
        trainer._trainer._data_loader_iter = iter(trainer.data_loader)
        trainer._one_step()
        losses.clear(), SYNCS.clear()
        trainer._settle = lambda coming: None
        with copies:
            trainer._one_step()
    return {
        "syncs": dict(SYNCS),
        "copies": dict(copies.found),
        "devices": sorted({*(each.device.type for each in losses), *devices(trainer)}),
        "channels_last": {
            "weights": all(last(each.weight) for each in convolutions),
            "input": all(last(each) for each in inputs),
        },
    }


def devices(trainer: Trainer) -> list[str]:
    """Where the numbers lie that wait to be read, of two steps."""
    taken = trainer._trainer.taken
    assert len(taken) == 2, taken
    return [each.numbers.device for each in taken]


def last(tensor: torch.Tensor) -> bool:
    """Whether channels are innermost."""
    return tensor.is_contiguous(memory_format=torch.channels_last)


def zero_gradients(trainer: Trainer) -> None:
    """Give every parameter a gradient that lies as autograd would lay it."""
    for value in trainer.network.parameters():
        value.grad = torch.zeros_like(value) if value.requires_grad else None


class Images(list[int]):
    """Stands for the data set."""

    num_classes = PEOPLE


class Batches:
    """Stands for the loader."""

    dataset = Images(range(IMAGES))

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size

    def __iter__(self) -> Any:
        while True:
            yield batches(self._size)


def pretend() -> None:
    """Let torch believe in a GPU, as far as fake tensors need it, and spoil it for all else."""
    ctypes.CDLL(os.environ["PASSERBY_FAKE_CUDA_GUARD"])
    fake_tensor.init_gpu_context = lambda device: None
    fake_tensor.FakeTensor.constant = property(lambda self: None, lambda self, value: None)
    fake_tensor.FakeTensorConverter.add_constant_storage_mapping = lambda self, tensor: None
    torch.cuda.is_available = lambda: True
    torch.cuda.is_bf16_supported = lambda *_, **__: True
    torch.cuda.is_initialized = lambda: False
    torch.cuda.current_device = lambda: 0
    torch.nn.Module.to = laid_out
    torch.nn.utils.skip_init = lambda kind, *given, **named: kind(*given, **named)
    fastreid.utils.env.seed_all_rng = lambda seed: None
    torch.manual_seed = lambda seed: None
    training.Watched = OnTheWay
    count_syncs()


def main() -> None:
    """Print what was found."""
    pretend()
    found = {}
    for recipe, (architecture, size) in RECIPES.items():
        with FakeTensorMode(allow_non_fake_inputs=True):
            found[recipe] = step(recipe, architecture, size)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
