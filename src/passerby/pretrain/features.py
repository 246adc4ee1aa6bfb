"""Features of all crops by the encoder as it is, in shares of the processes."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from passerby.pretrain.feed import Feed
from passerby.training import precision
from passerby.training.processes import Group

BLOCK = 256
"""Crops that go through the network at once: fixed, since it moves the last digits."""


@torch.no_grad()
def of_crops(
    backbone: nn.Module, feed: Feed, count: int, group: Group, number_format: str
) -> np.ndarray:
    """Features of the crops 0 to `count - 1`, float32 `(N, D)`, of length 1; in every process.

    Args:
        backbone: In eval mode, the same in all processes.
        feed: Gives the crops as they are.
        count: Crops there are.
        group: The processes, which take turns with the blocks.
        number_format: Of the forward pass.
    """
    blocks = [np.arange(begin, min(begin + BLOCK, count)) for begin in range(0, count, BLOCK)]
    turns = -(-len(blocks) // group.world)
    found = []
    for turn in range(turns):
        # A process without a block of its own repeats the last: all must gather as often.
        rows = blocks[min(turn * group.world + group.rank, len(blocks) - 1)]
        pictures = feed.whole(rows)  # in float32, whatever the network runs in
        with precision.autocast(group.device.type, number_format):
            made = F.normalize(backbone(pictures).float())
        # The last block is shorter: blocks are gathered at one length, and cut afterwards.
        padded = F.pad(made, (0, 0, 0, BLOCK - len(made)))
        found.append(group.gathered(padded).cpu())
    return torch.cat(found)[:count].numpy() if blocks else np.empty((0, 0), np.float32)
