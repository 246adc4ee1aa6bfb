"""Arrays to a device in one copy, which nobody waits for.

A copy from ordinary memory to a GPU makes the host wait for everything that it gave to the GPU
before. Arrays that are packed into one page-locked buffer are copied together while the host goes
on.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_ALIGNED_BYTES = 16
"""Each array begins at a multiple of this: enough for every kind of number."""


def uploaded(arrays: Sequence[np.ndarray], device: torch.device) -> list[Tensor]:
    """The arrays as tensors on a device, each of its own shape and kind.

    On a CPU they share their memory with the arrays. On a GPU they are parts of one buffer, and the
    copy is in the order of the current stream.

    Args:
        arrays: Numbers or truth values, of any shape.
        device: Where they are wanted.

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
        # A plain view of the buffer's memory: no operation of torch's, which would each cost time.
        packed.numpy()[begin : begin + array.nbytes] = _bytes(array)
    there = packed.to(device, non_blocking=True)
    kinds = [torch.from_numpy(np.empty(0, array.dtype)).dtype for array in arrays]
    return [
        there[begin : begin + array.nbytes].view(kind).view(array.shape)
        for begin, array, kind in zip(begins, arrays, kinds, strict=False)
    ]


def sent(values: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host's on its way to a device; see `uploaded`."""
    if device.type == "cpu":
        return values
    return values.pin_memory().to(device, non_blocking=True)


def _page_locked(count: int, device: torch.device) -> Tensor:
    """So many bytes that a GPU can read by itself."""
    return torch.empty(count, dtype=torch.uint8, pin_memory=device.type == "cuda")


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
