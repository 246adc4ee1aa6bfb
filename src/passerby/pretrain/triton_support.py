"""The door to Triton: kernels are loaded when the first one is launched.

Triton comes with torch's builds for GPUs. A CPU build lacks it, and nothing else needs it: there
every function that has kernels has another form in torch's own operations.
"""

import contextlib
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor


@cache
def is_available() -> bool:
    """Whether Triton is installed."""
    return find_spec("triton") is not None


@cache
def kernels(name: str) -> ModuleType:
    """The module of kernels of that name in this package, which imports Triton."""
    return import_module(f"passerby.pretrain.{name}")


def on(tensor: Tensor) -> contextlib.AbstractContextManager[object]:
    """Launch on the tensor's GPU: Triton launches on the current one."""
    if tensor.device.type != "cuda":
        return contextlib.nullcontext()
    return torch.cuda.device(tensor.device)
