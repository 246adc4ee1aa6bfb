"""Triton kernels: one module for each function that has kernels, and how they are loaded.

Triton comes with torch's builds for GPUs; CPU builds lack it. Every function that has kernels also
has a form in torch's own operations, which is used where the kernels cannot be. The modules of this
folder import Triton, so they are imported only when the first kernel is launched.
"""

import contextlib
import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor

from passerby.foreign import first_line


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
        why = first_line(error)
        warnings.warn(
            f"Triton cannot launch kernels here ({why}): slower operations of torch are used in "
            "their place; install gcc and the header files of this Python",
            stacklevel=2,
        )
        return False
    return True


@cache
def load(name: str) -> ModuleType:
    """Return the module of kernels that has this name."""
    return import_module(f"{__name__}.{name}")


def on(tensor: Tensor) -> contextlib.AbstractContextManager[object]:
    """Return a context in which Triton launches kernels on the tensor's GPU.

    Without it Triton launches on the current GPU. On a CPU the context does nothing.
    """
    if tensor.device.type != "cuda":
        return contextlib.nullcontext()
    return torch.cuda.device(tensor.device)
