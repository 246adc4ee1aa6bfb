"""fast-reid's losses, computed so that the host never waits for the device.

Upstream asks the device for a number several times in a forward pass (how many losses are not 0,
where a label is -1, whether a loss is infinite), and each time the host waits until a GPU has done
all of its work. The functions here do the same on the device. Values and gradients are upstream's,
bit for bit on a CPU; `compat` puts them in upstream's place (rows G1 to G4).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SOFT_MARGIN_FALLBACK = 0.3
"""Margin of the triplet loss where the soft margin is infinite, as upstream has it."""
BRANCHES = ("b1", "b2", "b21", "b22", "b3", "b31", "b32", "b33")
"""MGN's heads, in the order in which `MGN.losses` takes their outputs."""


def forward_baseline(self: Any, batched_inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """G1: the training part of `meta_arch/baseline.py:Baseline.forward`.

    Upstream sums the labels in order to find negative ones, which our data sets never have.
    """
    features = self.backbone(self.preprocess_image(batched_inputs))
    targets = batched_inputs["targets"]
    losses: dict[str, Tensor] = self.losses(self.heads(features, targets), targets)
    return losses


def forward_mgn(self: Any, batched_inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """G1: the training part of `meta_arch/mgn.py:MGN.forward`."""
    features = self.backbone(self.preprocess_image(batched_inputs))
    b1 = self.b1(features)
    b2 = self.b2(features)
    b21, b22 = b2.chunk(2, dim=2)
    b3 = self.b3(features)
    b31, b32, b33 = b3.chunk(3, dim=2)
    targets = batched_inputs["targets"]
    parts = zip(BRANCHES, (b1, b2, b21, b22, b3, b31, b32, b33), strict=True)
    outputs = [getattr(self, f"{name}_head")(part, targets) for name, part in parts]
    losses: dict[str, Tensor] = self.losses(*outputs, targets)
    return losses


def cross_entropy_loss(
    pred_class_outputs: Tensor, gt_classes: Tensor, eps: float, alpha: float = 0.2
) -> Tensor:
    """G2: `losses/cross_entroy_loss.py:cross_entropy_loss`, the mean of the losses that are not 0.

    Args:
        pred_class_outputs: Logits `(B, classes)`.
        gt_classes: Labels, int64 `(B,)`, from 0.
        eps: Label smoothing. If it is below 0, each picture has its own: `alpha` times the
            probability of its class.
        alpha: Used only where `eps` is below 0.
    """
    smoothing: Any = eps
    if eps < 0:
        probabilities = F.softmax(pred_class_outputs, dim=1)
        smoothing = alpha * probabilities.gather(1, gt_classes[:, None])
    log_probabilities = F.log_softmax(pred_class_outputs, dim=1)
    with torch.no_grad():
        targets = torch.ones_like(log_probabilities)
        targets *= smoothing / (pred_class_outputs.size(1) - 1)
        targets.scatter_(1, gt_classes[:, None], 1 - smoothing)
    losses = (-targets * log_probabilities).sum(dim=1)
    with torch.no_grad():
        counted = (losses != 0).sum().clamp(min=1)
    return losses.sum() / counted


def soft_margin_loss(farther: Tensor, nearer: Tensor) -> Tensor:
    """G3: the branch of `losses/triplet_loss.py:triplet_loss` for a margin of 0.

    Args:
        farther: Distance of each picture from one of another person, `(B,)`.
        nearer: Distance of each picture from one of the same person, `(B,)`.

    Returns:
        The soft margin of their difference, or a margin of `SOFT_MARGIN_FALLBACK` where that is
        infinite.
    """
    ones = torch.ones_like(farther)
    difference = farther - nearer
    with torch.no_grad():
        infinite = F.soft_margin_loss(difference, ones) == torch.inf
    # 0 in the place of an infinite loss, whose gradient would be NaN.
    soft = F.soft_margin_loss(difference.masked_fill(infinite, 0.0), ones)
    hard = F.margin_ranking_loss(farther, nearer, ones, margin=SOFT_MARGIN_FALLBACK)
    return torch.where(infinite, hard, soft)


def one_hot(logits: Tensor, targets: Tensor, value: float) -> Tensor:
    """`value` at the label of each row of `logits`, 0 elsewhere; nowhere if the label is -1."""
    held = (targets != -1).to(logits.dtype).mul(value)
    return torch.zeros_like(logits).scatter_(1, targets.clamp(min=0)[:, None], held[:, None])


def cos_softmax(self: Any, logits: Tensor, targets: Tensor) -> Tensor:
    """G4: `layers/any_softmax.py:CosSoftmax.forward`."""
    return (logits - one_hot(logits, targets, self.m)) * self.s


def arc_softmax(self: Any, logits: Tensor, targets: Tensor) -> Tensor:
    """G4: `layers/any_softmax.py:ArcSoftmax.forward`."""
    return (logits.acos() + one_hot(logits, targets, self.m)).cos() * self.s


def circle_softmax(self: Any, logits: Tensor, targets: Tensor) -> Tensor:
    """G4: `layers/any_softmax.py:CircleSoftmax.forward`."""
    weight_p = torch.clamp_min(-logits.detach() + 1 + self.m, min=0.0)
    weight_n = torch.clamp_min(logits.detach() + self.m, min=0.0)
    own = one_hot(logits, targets, 1.0)
    logits_p = weight_p * (logits - (1 - self.m))
    logits_n = weight_n * (logits - self.m)
    return (logits_p * own + logits_n * (1 - own)) * self.s
