"""Code for a GPU, run on a machine without one: fake tensors on `cuda:0` of a CPU build of torch.

Fake tensors have a shape, a type and a device, but no values. An operation on them does only the
checks that torch makes before it computes: it fails where devices or shapes do not fit. `Watch`
sees each operation. It counts the operations that a GPU would get, and names the lines where the
host would have to wait for the GPU.

`install` changes torch for the whole process, so programs that use it run in a process of their
own. The environment variable `PASSERBY_FAKE_CUDA_GUARD` names the compiled `guard.cpp`.
"""

import collections
import ctypes
import os
import traceback
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

CUDA = torch.device("cuda:0")
_CODE = ("/passerby/", "/fastreid/")
_NO_KERNEL = {
    *("_local_scalar_dense", "_unsafe_view", "alias", "as_strided", "chunk", "detach", "device"),
    *("diagonal", "empty", "empty_like", "empty_strided", "expand", "is_same_size", "lift_fresh"),
    *("narrow", "new_empty", "new_empty_strided", "permute", "select", "set_", "slice", "split"),
    *("split_with_sizes", "squeeze", "t", "transpose", "unbind", "unsqueeze", "view"),
}
"""Operations that give a GPU nothing to do."""


def install() -> FakeTensorMode:
    """Make torch believe in one GPU, and return the mode in which new tensors are fake."""
    ctypes.CDLL(os.environ["PASSERBY_FAKE_CUDA_GUARD"])
    fake_tensor.init_gpu_context = lambda device: None
    # Fake tensors remember the values of small constants; here that would copy from the device.
    fake_tensor.FakeTensor.constant = property(lambda self: None, lambda self, value: None)
    fake_tensor.FakeTensorConverter.add_constant_storage_mapping = lambda self, tensor: None
    torch.cuda.is_available = lambda: True
    torch.cuda.device_count = lambda: 1
    torch.cuda.current_device = lambda: 0
    torch.cuda.is_initialized = lambda: False
    torch.cuda.is_bf16_supported = lambda *args, **options: True
    torch.autograd.set_multithreading_enabled(False)
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    _without_values(mode)
    return mode


def _without_values(mode: FakeTensorMode) -> None:
    """Let arrays become fake tensors, and fake tensors become arrays of zeros."""
    new_tensor, from_array = torch.tensor, torch.from_numpy

    def tensor(data: Any, *, dtype: Any = None, device: Any = None, **options: Any) -> Tensor:
        made = new_tensor(data, dtype=dtype)
        return made if device is None else made.to(device)

    def numpy(self: Tensor, **options: Any) -> np.ndarray:
        if not isinstance(self, fake_tensor.FakeTensor):
            return to_array(self, **options)
        assert self.device.type == "cpu", "an array of a tensor on the GPU"
        return np.zeros(tuple(self.shape), str(self.dtype).removeprefix("torch."))

    to_array = Tensor.numpy
    torch.tensor = tensor
    torch.from_numpy = lambda array: mode.from_tensor(from_array(np.ascontiguousarray(array)))
    Tensor.new_tensor = lambda self, data, **options: tensor(
        data, dtype=self.dtype, device=self.device
    )
    Tensor.numpy = numpy


def moved(module: nn.Module, device: torch.device, channels_last: bool = False) -> nn.Module:
    """Move a module; `Module.to` would write into tensors, which fake tensors do not allow."""
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                order = torch.channels_last if channels_last and value.ndim == 4 else None
                there = value.detach().to(device, memory_format=order or torch.preserve_format)
                part._parameters[name] = nn.Parameter(there, requires_grad=value.requires_grad)
        for name, value in part._buffers.items():
            if value is not None:
                part._buffers[name] = value.to(device)
    return module


class Watch(TorchDispatchMode):
    """Counts operations of a device, and where the host would wait for it.

    Attributes:
        operations: By name, those that give the device work.
        waits: By line: numbers and copies from the GPU, and copies to it that are not said to be
            asynchronous.
    """

    def __init__(self, device: str = "cuda") -> None:
        super().__init__()
        self.device = device
        self.operations: collections.Counter[str] = collections.Counter()
        self.waits: collections.Counter[str] = collections.Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        name = func._schema.name.partition("::")[2]
        before, after = (
            {leaf.device.type for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)}
            for tree in ((args, kwargs), made)
        )
        if name in ("_to_copy", "copy_") and before | after == {"cpu", "cuda"}:
            # `copy_` has the flag as its third argument.
            flag = kwargs.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2])
            if not flag:
                self.waits[f"{name} at {_line()}"] += 1
        elif name in ("_local_scalar_dense", "nonzero") and "cuda" in before:
            self.waits[f"{name} at {_line()}"] += 1
        if self.device in before | after and name not in _NO_KERNEL:
            self.operations[name] += 1
        return made

    @property
    def count(self) -> int:
        """Operations that give the device work."""
        return sum(self.operations.values())


def _line() -> str:
    """The line of our code, or of fast-reid's, that called the present operation."""
    frames = [f for f in traceback.extract_stack() if any(part in f.filename for part in _CODE)]
    if not frames:
        return "?"
    return f"{frames[-1].filename.rpartition('/src/')[2]}:{frames[-1].lineno}"
