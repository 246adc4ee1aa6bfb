"""What tests of GPU paths share: a mark, steps on another device than the batch's, distances."""

from collections.abc import Iterable
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from passerby.pretrain.feed import Batch
from passerby.pretrain.trainer import Trainer

on_gpu = pytest.mark.parametrize(
    "device", [pytest.param("cuda", marks=pytest.mark.gpu)], indirect=True
)
"""Marks a test that makes sense only on a GPU; the test has the fixture `device`."""

STEPS = 12
"""Length of the run to which the steps of a test belong."""


def moved(batch: Batch, device: torch.device, dtype: torch.dtype = torch.float32) -> Batch:
    """A batch on another device, its pictures in another number format."""
    there = Batch(*(getattr(batch, field.name).to(device) for field in fields(batch)))
    return replace(there, queries=there.queries.to(dtype), keys=there.keys.to(dtype))


def stepped(trainer: Trainer, batches: Iterable[Batch], dtype: torch.dtype) -> Tensor:
    """Train a step on each batch; returns what the steps measured, float64 `(S, 6)` on the CPU."""
    device = trainer.group.device
    found = [trainer.train_step(moved(batch, device, dtype), STEPS) for batch in batches]
    return torch.stack(found).double().cpu()


def parts(trainer: Trainer) -> dict[str, Tensor]:
    """Weights, statistics, momenta and queue by their names, float64 on the CPU."""
    encoders = {"query": trainer.query_encoder, "key": trainer.key_encoder}
    found = {
        f"{which} {name}": tensor
        for which, encoder in encoders.items()
        for name, tensor in encoder.state_dict().items()
        if tensor.is_floating_point()
    }
    state = trainer.optimiser.state
    for name, parameter in trainer.query_encoder.named_parameters():
        if parameter in state:
            found[f"momentum {name}"] = state[parameter]["momentum_buffer"]
    found["queue"] = trainer.queue.keys
    return {name: tensor.detach().double().cpu().clone() for name, tensor in found.items()}


def distance(found: Tensor, wanted: Tensor, before: Tensor | float = 0.0) -> float:
    """Between two results, over how far the wanted one is from what was before.

    Where nothing was to move, any distance at all is infinite.
    """
    off, way = (found.double().cpu() - wanted).norm(), (wanted - before).norm()
    return float(off / way) if off > 0 else 0.0
