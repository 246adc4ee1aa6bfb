"""Many small arrays brought to a device in one copy, which the host does not wait for."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_ALIGNED_BYTES = 8  # as the widest number type needs


def to_device(arrays: Sequence[np.ndarray], device: torch.device) -> list[Tensor]:
    """Bring arrays to a device, packed one behind the other into one buffer.

    A copy from ordinary memory to a GPU blocks the host, and each small copy costs as much as a
    large one. So the buffer is pinned where the device is a GPU, and the copy is asynchronous.

    Args:
        arrays: Of any shapes and of number types that torch knows.
        device: Where they are wanted.

    Returns:
        Tensors of the same shapes and number types; they share one piece of memory.

    Example:
        >>> rows, flags = to_device([np.array([3, 1]), np.array([True])], torch.device("cpu"))
        >>> rows, flags
        (tensor([3, 1]), tensor([True]))
    """
    sizes = [-(-array.nbytes // _ALIGNED_BYTES) * _ALIGNED_BYTES for array in arrays]
    ends = np.cumsum(sizes).tolist()
    packed = np.zeros(ends[-1], np.uint8)
    for array, end, size in zip(arrays, ends, sizes, strict=True):
        packed[end - size : end - size + array.nbytes] = _bytes(array)
    host = torch.from_numpy(packed)
    if device.type == "cuda":
        host = torch.empty(len(packed), dtype=torch.uint8, pin_memory=True).copy_(host)
    there = host.to(device, non_blocking=True)
    return [
        there[end - size : end - size + array.nbytes].view(_kind(array)).view(array.shape)
        for array, end, size in zip(arrays, ends, sizes, strict=True)
    ]


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _kind(array: np.ndarray) -> torch.dtype:
    """The number type in torch's terms."""
    return torch.from_numpy(np.empty(0, array.dtype)).dtype
