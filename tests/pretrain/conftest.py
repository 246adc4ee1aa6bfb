"""Tests import the helper modules beside this file, and those of the crops' tests, by name."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from passerby.training.processes import Group

HERE = Path(__file__).parent
sys.path += [str(HERE), str(HERE.parent / "crops")]


@pytest.fixture
def group() -> Iterator[Group]:
    """A group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield Group(0, 1, torch.device("cpu"))
    time.sleep(0.05)  # gloo's threads let go of their last tensors, for which they need the GIL
    dist.destroy_process_group()
