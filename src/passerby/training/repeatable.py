"""What makes a training the same each time: how torch computes, and what its generators draw."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.utils.deterministic

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""Environment: cuBLAS gives the same sums each time only in a workspace of a fixed size."""


@contextmanager
def repeatable(threads: int) -> Iterator[None]:
    """Let torch use so many threads and no algorithm that depends on luck, for the time being.

    On a CPU results are then the same each time. On a GPU they are where torch has a deterministic
    algorithm; it warns of other operations. On a GPU `CUBLAS_WORKSPACE_CONFIG` is also set, unless
    the user has set it, and it stays set: cuBLAS reads it only once, before its first product.

    Args:
        threads: Sums depend on their number, so it is not taken from the machine.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    on_gpu = _deterministic() if torch.cuda.is_available() else nullcontext()
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True), on_gpu:
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _deterministic() -> Iterator[None]:
    """Let torch use deterministic algorithms wherever it has them."""
    os.environ.setdefault(_WORKSPACE, ":4096:8")
    settings: Any = torch.utils.deterministic
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        settings.fill_uninitialized_memory,
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    settings.fill_uninitialized_memory = False  # it is for finding faults, and takes time
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        settings.fill_uninitialized_memory = before[2]


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Give torch's generators a seed for the time being: dropout and new layers take no other."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.random.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        yield
