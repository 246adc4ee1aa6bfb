"""Triton kernels, one module a function, and the door to them.

Triton comes with torch's builds for GPUs. A CPU build lacks it, and nothing else needs it: every
function that has kernels has another form in torch's own operations. So the modules of this folder
are imported when the first kernel is launched.
"""

import contextlib
import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor


@cache
def is_available() -> bool:
    """Whether kernels can be launched on this machine's GPU.

    Triton must be installed. It builds its launcher with a C compiler and Python's headers, which
    some machines lack; a warning then says what it missed.
    """
    if find_spec("triton") is None:
        return False
    try:
        _ = import_module("triton.runtime").driver.active.utils  # it is built here
    except Exception as error:  # of the compiler, the linker, the driver
        why = next(iter(str(error).splitlines()), type(error).__name__)
        warnings.warn(
            f"Triton cannot launch kernels here ({why}): slower operations of torch's take their "
            "place; install gcc and the headers of this Python",
            stacklevel=2,
        )
        return False
    return True


@cache
def load(name: str) -> ModuleType:
    """The module of kernels of that name."""
    return import_module(f"{__name__}.{name}")


def on(tensor: Tensor) -> contextlib.AbstractContextManager[object]:
    """A context that launches on the tensor's GPU: Triton launches on the current one."""
    if tensor.device.type != "cuda":
        return contextlib.nullcontext()
    return torch.cuda.device(tensor.device)
