"""BatchNorm in virtual sub-batches: what ShuffleBN needs where there is one device.

MoCo (section 3.3) normalises keys in other sub-batches than queries, so that a sub-batch's
statistics do not tell which key belongs to which query. That takes several sub-batches: on several
GPUs each is one, on one device they are made here, as in the authors' CIFAR demo. Works on any
memory order, since only the batch is cut.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GroupedBatchNorm(nn.Module):
    """A BatchNorm whose batch is cut into `groups`, each normalised by its own statistics.

    Parameters, buffers and their names are those of the layer that it takes the place of; the
    running statistics move by the mean of the groups'. Evaluation is that layer's.

    Args:
        norm: The layer that it takes the place of; its tensors are taken over.
        groups: Sub-batches; they divide the batch.
    """

    def __init__(self, norm: nn.Module, groups: int) -> None:
        super().__init__()
        assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
        assert norm.momentum is not None
        self.groups, self.eps, self.momentum = groups, norm.eps, norm.momentum
        self.weight, self.bias = norm.weight, norm.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.num_batches_tracked: Tensor
        self.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `(B, C)` or `(B, C, H, W)`."""
        if not self.training:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        means = [self.running_mean.clone() for _ in range(self.groups)]
        variances = [self.running_var.clone() for _ in range(self.groups)]
        normalised = [
            F.batch_norm(
                part, mean, variance, self.weight, self.bias, True, self.momentum, self.eps
            )
            for part, mean, variance in zip(x.chunk(self.groups), means, variances, strict=True)
        ]
        with torch.no_grad():
            self.running_mean.copy_(torch.stack(means).mean(0))
            self.running_var.copy_(torch.stack(variances).mean(0))
            self.num_batches_tracked += 1
        return torch.cat(normalised)


def grouped(module: nn.Module, groups: int) -> nn.Module:
    """Put a `GroupedBatchNorm` in the place of every BatchNorm of a network, in place."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            setattr(module, name, GroupedBatchNorm(child, groups))
        else:
            grouped(child, groups)
    return module
