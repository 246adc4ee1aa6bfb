"""The dictionary of keys: a queue of the newest K, the oldest overwritten first (section 3.2)."""

import torch
from torch import Tensor, nn

from passerby import seeds

UNBORN = -2
"""Label of the noise that fills a new queue: no crop has it."""


class Queue(nn.Module):
    """K normalised keys, the labels of their crops, and where the next key goes.

    Args:
        size: K; the batch need not divide it.
        dim: Length of a key.
        seed: Of the noise that fills it at first.

    Attributes:
        keys: `(K, D)`, float32.
        labels: `(K,)`, int64.
        pointer: Where the next key goes.
    """

    def __init__(self, size: int, dim: int, seed: int) -> None:
        super().__init__()
        noise = seeds.stream(seed, "queue").standard_normal((size, dim), dtype="float32")
        keys = nn.functional.normalize(torch.from_numpy(noise))
        self.register_buffer("keys", keys)
        self.register_buffer("labels", torch.full((size,), UNBORN, dtype=torch.int64))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))
        self.keys: Tensor
        self.labels: Tensor
        self.pointer: Tensor

    @torch.no_grad()
    def enqueue(self, keys: Tensor, labels: Tensor) -> None:
        """Take in the keys of a batch, `(N, D)` and `(N,)`; the oldest go.

        Of a batch larger than the queue the last K stay.
        """
        size = len(self.keys)
        keys, labels = keys[-size:], labels[-size:]
        places = (self.pointer + torch.arange(len(keys), device=keys.device)) % size
        self.keys[places] = keys
        self.labels[places] = labels
        self.pointer.copy_((self.pointer + len(keys)) % size)
