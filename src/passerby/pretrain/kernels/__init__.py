"""Triton kernels: one module for each function that has kernels, and how they are loaded.

Triton comes with torch's builds for GPUs; CPU builds lack it. Every function that has kernels also
has a form in torch's own operations, which is used where the kernels cannot be. The modules of this
folder import Triton, so they are imported only when the first kernel is launched.
"""

import contextlib
import os
import shutil
import sysconfig
import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor


@cache
def is_available() -> bool:
    """Whether kernels can be launched; warns if Triton is there, but not what it needs.

    At the first launch Triton compiles a small C file of its own, for which it needs a C compiler
    and the header files of Python.
    """
    if find_spec("triton") is None:
        return False
    has_compiler = any((os.environ.get("CC"), shutil.which("gcc"), shutil.which("clang")))
    scheme = sysconfig.get_default_scheme().replace("posix_local", "posix_prefix")  # as Triton does
    if has_compiler and Path(sysconfig.get_path("include", scheme), "Python.h").exists():
        return True
    lacking = "the header files of Python" if has_compiler else "a C compiler (gcc, clang, or CC)"
    warnings.warn(
        f"Triton is installed, but {lacking} was not found: the slower operations of torch are "
        "used in the place of the GPU kernels",
        stacklevel=2,
    )
    return False


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
