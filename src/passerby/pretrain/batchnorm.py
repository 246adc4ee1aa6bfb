"""BatchNorm in virtual sub-batches: what ShuffleBN needs where there is one device.

MoCo (section 3.3) normalises keys in other sub-batches than queries, so that a sub-batch's
statistics do not tell which key belongs to which query. That takes several sub-batches: on several
GPUs each is one, on one device they are made here, as in the authors' CIFAR demo.

There are three forms of the same function, and only `_form` chooses between them:

- `by_chunks`: torch's BatchNorm for each sub-batch. A CPU uses it, and it defines the function.
- `by_view`: one reduction over a view of the batch. torch.compile fuses it, and a GPU without
  Triton uses it.
- `batchnorm_triton.normalise`: fused kernels for a GPU.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passerby.pretrain import batchnorm_triton, kernels, maxpool
from passerby.pretrain.batchnorm_triton import Norm
from passerby.vision import torchvision


class GroupedBatchNorm(nn.Module):
    """A BatchNorm whose batch is cut into `groups`, each normalised by its own statistics.

    Parameters, buffers and their names are those of the layer that it takes the place of; the
    running statistics move by the mean of the groups'. Evaluation is that layer's.

    Args:
        norm: The layer that it takes the place of; its tensors are taken over.
        groups: Sub-batches; they divide the batch.
        relu: Whether ReLU follows; it is then part of this layer.
    """

    def __init__(self, norm: nn.Module, groups: int, relu: bool = False) -> None:
        super().__init__()
        assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
        assert norm.momentum is not None
        self.groups, self.eps, self.momentum = groups, norm.eps, norm.momentum
        self.relu = relu
        self.weight, self.bias = norm.weight, norm.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.num_batches_tracked: Tensor
        self.train(norm.training)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Normalise `(B, C)` or `(B, C, H, W)`; add `residual`, of the same shape, if given.

        ReLU comes last, if the layer has it.
        """
        if not self.training:
            out = F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
            return _finished(out, residual, self.relu)
        with torch.no_grad():
            self.num_batches_tracked += 1
        norm = Norm(
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
            self.groups,
            self.momentum,
            self.eps,
            self.relu,
        )
        return _form(x)(x, residual, norm)


def _form(x: Tensor) -> Callable[[Tensor, Tensor | None, Norm], Tensor]:
    """Choose the form of the function by the device of `x`, and by whether torch compiles it."""
    if torch.compiler.is_compiling():
        return by_view
    if x.device.type == "cpu":
        return by_chunks
    fused = batchnorm_triton.fits(x) and kernels.is_available()
    return batchnorm_triton.normalise if fused else by_view


def by_chunks(x: Tensor, residual: Tensor | None, norm: Norm) -> Tensor:
    """Normalise each sub-batch by torch's BatchNorm; see `batchnorm_triton.normalise`."""
    means = [norm.running_mean.clone() for _ in range(norm.groups)]
    variances = [norm.running_var.clone() for _ in range(norm.groups)]
    normalised = [
        F.batch_norm(part, mean, variance, norm.weight, norm.bias, True, norm.momentum, norm.eps)
        for part, mean, variance in zip(x.chunk(norm.groups), means, variances, strict=True)
    ]
    with torch.no_grad():
        norm.running_mean.copy_(torch.stack(means).mean(0))
        norm.running_var.copy_(torch.stack(variances).mean(0))
    return _finished(torch.cat(normalised), residual, norm.relu)


def by_view(x: Tensor, residual: Tensor | None, norm: Norm) -> Tensor:
    """Normalise sub-batches as a dimension of a view; see `batchnorm_triton.normalise`."""
    parts = x.view(norm.groups, len(x) // norm.groups, *x.shape[1:])
    over = (1, *range(3, parts.ndim))
    count = parts[0, :, 0].numel()
    exact = parts.to(torch.promote_types(x.dtype, torch.float32))
    variance, mean = torch.var_mean(exact, over, correction=0)  # G x C
    with torch.no_grad():
        norm.running_mean.lerp_(mean.mean(0), norm.momentum)
        norm.running_var.lerp_(variance.mean(0) * (count / (count - 1)), norm.momentum)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    wide = (-1, *[1] * (parts.ndim - 3))
    of_groups = (norm.groups, 1, *wide)
    moved = (exact - mean.view(of_groups)) * scale.view(of_groups) + norm.bias.view(wide)
    return _finished(moved.to(x.dtype).view_as(x), residual, norm.relu)


def _finished(normalised: Tensor, residual: Tensor | None, relu: bool) -> Tensor:
    """Add the residual and apply ReLU, both in place."""
    if residual is not None:
        normalised += residual
    return F.relu(normalised, inplace=True) if relu else normalised


class _BasicBlock(torchvision.models.resnet.BasicBlock):
    """torchvision's block, whose ReLUs and sum are computed by the BatchNorms before them."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn1(self.conv1(x))
        out = self.conv2(out)
        return self.bn2(out, x if self.downsample is None else self.downsample(x))


class _Bottleneck(torchvision.models.resnet.Bottleneck):
    """torchvision's bottleneck with the same change."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn1(self.conv1(x))
        out = self.bn2(self.conv2(out))
        out = self.conv3(out)
        return self.bn3(out, x if self.downsample is None else self.downsample(x))


_FUSED = {kind.__base__: kind for kind in (_BasicBlock, _Bottleneck)}


def grouped(module: nn.Module, groups: int) -> nn.Module:
    """Put a `GroupedBatchNorm` in the place of every BatchNorm of a network, in place.

    In torchvision's stem and residual blocks the new layer also computes the ReLU that follows, and
    in residual blocks the sum.

    The function also does what its name does not say: it puts a `maxpool.MaxPool` in the place of
    the max pooling of torchvision's stem. This is the same function, but faster on a GPU.
    """
    stem = isinstance(module, torchvision.models.ResNet)
    relu = stem or type(module) in _FUSED
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            setattr(module, name, GroupedBatchNorm(child, groups, relu))
        elif stem and maxpool.is_known(child):
            setattr(module, name, maxpool.MaxPool())
        else:
            grouped(child, groups)
    if stem:
        module.relu = nn.Identity()
    elif relu:
        module.__class__ = _FUSED[type(module)]
    return module
