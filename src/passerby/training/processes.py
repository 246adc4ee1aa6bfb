"""The group of processes that train together: one code path for 1..n of them.

A group of one is a group: its collectives give the process its own tensors, without the library.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Group:
    """This process among those that train together.

    Attributes:
        rank: Which one it is, from 0.
        world: How many there are.
        device: What it computes on, e.g. `cpu` or `cuda:1`.
    """

    rank: int
    world: int
    device: torch.device

    def share(self, total: int) -> slice:
        """This process's part of `total` items; all parts have one length.

        Example:
            >>> Group(1, 2, torch.device("cpu")).share(8)
            slice(4, 8, None)
        """
        each = total // self.world
        return slice(self.rank * each, (self.rank + 1) * each)

    def gathered(self, mine: Tensor) -> Tensor:
        """Everybody's `(n, ...)` one behind the other, `(R n, ...)`; no gradient flows."""
        if self.world == 1:
            return mine.detach().clone()
        parts = [torch.empty_like(mine) for _ in range(self.world)]
        dist.all_gather(parts, mine.contiguous())
        return torch.cat(parts)

    def mean(self, mine: Tensor) -> Tensor:
        """The mean of everybody's tensor, the same bits everywhere; no gradient flows."""
        if self.world == 1:
            return mine.detach().clone()
        # On the device, and back: NCCL knows no tensor that lies elsewhere.
        total = mine.detach().to(self.device, copy=True)
        dist.all_reduce(total)
        return (total / self.world).to(mine.device)

    def told(self, mine: Any) -> Any:
        """The first process's object, in all processes; objects of Python and arrays of NumPy."""
        said = [mine]
        if self.world > 1:
            dist.broadcast_object_list(said)
        return said[0]

    def wait(self) -> None:
        """Go on when all have come here."""
        dist.barrier()


def anybody(*wishes: bool) -> list[bool]:
    """For each wish, whether any of the processes that train together has it.

    All processes get the same answers. They wait for each other, but not for their devices.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return [*wishes]
    votes = torch.tensor(wishes, dtype=torch.float32)  # on the CPU, for which `joined` uses gloo
    dist.all_reduce(votes)
    return [vote > 0 for vote in votes.tolist()]


class Watched:
    """Numbers that are copied from the device; reading them waits for that copy only.

    The host need not wait for work that it gave to a GPU later, as it would with `Tensor.item`.

    Args:
        value: One number, `()`, or several, `(N,)`.
    """

    def __init__(self, value: Tensor) -> None:
        self._arrived = None
        self._value = value
        if value.device.type == "cuda":
            self._value = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
            self._value.copy_(value, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def read(self) -> float:
        """The number, if there is one."""
        return float(self._come())

    def numbers(self) -> list[float]:
        """The numbers, if there are several."""
        return list(self._come().tolist())

    def _come(self) -> Tensor:
        if self._arrived:
            self._arrived.synchronize()
        return self._value


def device_kind() -> str:
    """`cuda` where there is an accelerator, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextlib.contextmanager
def joined(threads: int) -> Iterator[Group]:
    """Join the group that torchrun's environment names; NCCL for tensors on GPUs, gloo on CPUs.

    For programs that go through `launch.worker`: the group is left to the end of the process.
    gloo's threads need Python's lock to let go of the last tensors, and taking the group down
    holds that lock while it waits for them: a deadlock, now and then, at the end of a run.

    Args:
        threads: Of each process; sums depend on it, so it is not taken from the machine.
    """
    torch.set_num_threads(threads)
    kind = device_kind()
    device = (
        torch.device(kind, int(os.environ["LOCAL_RANK"])) if kind == "cuda" else torch.device("cpu")
    )
    if kind == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo",
        device_id=device if kind == "cuda" else None,
    )
    group = Group(dist.get_rank(), dist.get_world_size(), device)
    yield group
    group.wait()  # nobody leaves while another still listens
