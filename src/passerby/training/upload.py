"""Sends arrays to a device in one asynchronous copy.

A copy from ordinary memory to a GPU makes the host wait for all the work that it gave to the GPU
before. Arrays that are packed into one page-locked buffer are copied together, and the host does
not wait.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_ALIGNED_BYTES = 16
"""Each array begins at a multiple of this, which suits every type of number."""


def uploaded(arrays: Sequence[np.ndarray], device: torch.device) -> list[Tensor]:
    """Send arrays to a device, as tensors of the same shapes and types.

    On a CPU the tensors share the memory of the arrays. On a GPU they are parts of one buffer, and
    the copy runs on the current stream.

    Args:
        arrays: Numbers or truth values, of any shape.
        device: Device of the tensors.

    Example:
        >>> uploaded([np.array([3, 1]), np.array([True])], torch.device("cpu"))
        [tensor([3, 1]), tensor([True])]
    """
    if device.type == "cpu":
        return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
    begins = [0]
    for array in arrays:
        begins.append(begins[-1] + -(-array.nbytes // _ALIGNED_BYTES) * _ALIGNED_BYTES)
    packed = _page_locked(begins[-1], device)
    for begin, array in zip(begins, arrays, strict=False):
        # Written through NumPy, since each operation of torch would take more time.
        packed.numpy()[begin : begin + array.nbytes] = _bytes(array)
    there = packed.to(device, non_blocking=True)
    kinds = [torch.from_numpy(np.empty(0, array.dtype)).dtype for array in arrays]
    return [
        there[begin : begin + array.nbytes].view(kind).view(array.shape)
        for begin, array, kind in zip(begins, arrays, kinds, strict=False)
    ]


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Send one tensor of the host to a device without waiting for it; see `uploaded`."""
    if device.type == "cpu":
        return values
    return values.pin_memory().to(device, non_blocking=True)


def _page_locked(count: int, device: torch.device) -> Tensor:
    """A buffer of `count` bytes; for a GPU it is page-locked."""
    return torch.empty(count, dtype=torch.uint8, pin_memory=device.type == "cuda")


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
