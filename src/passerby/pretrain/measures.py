"""What a step shows of collapse: numbers of a batch of embeddings, on their device.

A collapsed encoder gives every picture the same direction: the spread goes to 0, the uniformity
to 0, and the loss may fall all the same.
"""

import torch
from torch import Tensor


def spread(directions: Tensor) -> Tensor:
    """Deviation of the coordinates, times the root of their number: 1 is even, 0 is collapse.

    Args:
        directions: `(N, D)`, of length 1.
    """
    return directions.std(dim=0).mean() * directions.shape[1] ** 0.5


def alignment(directions: Tensor, partners: Tensor) -> Tensor:
    """Mean squared distance of positive pairs, in [0, 4] (arXiv 2005.10242, `L_align`, alpha 2).

    Args:
        directions: `(N, D)`, of length 1.
        partners: `(N, D)`, of length 1; row i is the positive of row i.
    """
    return (directions - partners).square().sum(dim=1).mean()


def uniformity(directions: Tensor) -> Tensor:
    """Log of the mean Gaussian potential of all pairs (arXiv 2005.10242, `L_uniform`, t 2).

    0 where all are one direction; about -4 where they are spread evenly.

    Args:
        directions: `(N, D)`, of length 1, N at least 2.
    """
    count = len(directions)
    squared = (2 - 2 * directions @ directions.T).clamp(min=0)  # N x N
    itself = torch.eye(count, dtype=torch.bool, device=directions.device)
    potential = torch.exp(-2 * squared).masked_fill(itself, 0)
    return torch.log(potential.sum() / (count * (count - 1)))
