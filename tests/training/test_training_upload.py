"""Packing of many arrays into one copy."""

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from passerby.training.upload import uploaded

ARRAYS = [
    np.arange(5),
    np.array([True, False, True]),
    np.zeros(0, np.int64),
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.arange(12).reshape(3, 4)[:, 1:3],
    np.array([7], np.int32),
]


class Copies(TorchDispatchMode):
    """Counts the copies from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        self.count += func is torch.ops.aten._to_copy.default
        return found


def test_arrays_keep_their_values_shapes_and_number_types():
    for array, found in zip(ARRAYS, uploaded(ARRAYS, torch.device("cpu")), strict=True):
        wanted = torch.from_numpy(np.ascontiguousarray(array))
        assert found.dtype == wanted.dtype
        assert torch.equal(found, wanted)


def test_one_copy_brings_all_arrays_to_another_device():
    with Copies() as copies:
        found = uploaded(ARRAYS, torch.device("meta"))
    assert copies.count == 1
    assert [tuple(tensor.shape) for tensor in found] == [array.shape for array in ARRAYS]
    assert {tensor.device.type for tensor in found} == {"meta"}
