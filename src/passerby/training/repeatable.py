"""What makes a training the same each time: how torch computes, and what its generators draw."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def repeatable(threads: int) -> Iterator[None]:
    """Let torch use so many threads and no algorithm that depends on luck, for the time being.

    Args:
        threads: Sums depend on their number, so it is not taken from the machine.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Give torch's generators a seed for the time being: dropout and new layers take no other."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.random.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        yield
