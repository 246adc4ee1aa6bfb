"""Triton kernels, one module a function, and the door to them.

Triton comes with torch's builds for GPUs. A CPU build lacks it, and nothing else needs it: every
function that has kernels has another form in torch's own operations. So the modules of this folder
are imported when the first kernel is launched.
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
def load(name: str) -> ModuleType:
    """The module of kernels of that name."""
    return import_module(f"{__name__}.{name}")


def on(tensor: Tensor) -> contextlib.AbstractContextManager[object]:
    """A context that launches on the tensor's GPU: Triton launches on the current one."""
    if tensor.device.type != "cuda":
        return contextlib.nullcontext()
    return torch.cuda.device(tensor.device)
