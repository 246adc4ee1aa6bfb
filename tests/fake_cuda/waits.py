"""Prints as JSON whether each kind of waiting for a GPU is counted, or refused by fake tensors."""

import json
from collections.abc import Callable

import fake
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
)

MODE = fake.install()


def is_noticed(work: Callable[[], object]) -> bool:
    try:
        with fake.Watch() as watch:
            work()
    except (DataDependentOutputException, DynamicOutputShapeException):
        return True
    return sum(watch.waits.values()) == 1


with MODE:
    there, here = torch.zeros(4, device=fake.CUDA), torch.zeros(4)
    noticed = {
        "a number": is_noticed(lambda: there[0].item()),
        "a branch": is_noticed(lambda: bool(there.sum() > 0)),
        "places of a mask": is_noticed(lambda: there.nonzero()),
        "a copy to the host": is_noticed(lambda: there.cpu()),
        "a copy to the GPU": is_noticed(lambda: here.to(fake.CUDA)),
        "an asynchronous copy": is_noticed(lambda: here.to(fake.CUDA, non_blocking=True)),
        "a sum": is_noticed(lambda: there.sum()),
    }
print(json.dumps(noticed))
