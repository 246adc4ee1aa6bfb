"""MoCo v2 (arXiv 1911.05722, 2003.04297): two encoders, a queue of keys, InfoNCE.

The order of a step is the paper's Algorithm 1: queries, then the key encoder moves, then keys, then
logits against the queue, then the keys are taken in; a batch never sees its own keys as negatives.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passerby import seeds
from passerby.models.backbones import Backbone
from passerby.models.small_maps import quick_on_small_maps
from passerby.pretrain.batchnorm import grouped
from passerby.settings import Pretrain
from passerby.training import schedule


class Encoder(nn.Module):
    """A backbone and a head: pictures `(B, 3, H, W)` to embeddings `(B, D)`, not normalised.

    Args:
        backbone: Gives pooled features.
        dim: D.
        mlp: Whether the head has a hidden layer (v2) or is linear (v1).
    """

    def __init__(self, backbone: Backbone, dim: int, mlp: bool) -> None:
        super().__init__()
        self.backbone = backbone
        wide = backbone.dim
        hidden: list[nn.Module] = [nn.Linear(wide, wide), nn.ReLU(inplace=True)] if mlp else []
        self.head = nn.Sequential(*hidden, nn.Linear(wide, dim))

    def forward(self, images: Tensor) -> Tensor:
        """Embed."""
        out: Tensor = self.head(self.backbone(images))
        return out


def seeded(backbone: Backbone, dim: int, mlp: bool, seed: int) -> Encoder:
    """An encoder whose head's first weights follow from `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seeds.number(seed, "head"))
        return Encoder(backbone, dim, mlp)


def pair(encoder: Encoder, groups: int) -> tuple[Encoder, Encoder]:
    """The query encoder, and a key encoder that begins as its copy and has no gradient."""
    quick_on_small_maps(grouped(encoder, groups))
    key_encoder = copy.deepcopy(encoder)
    key_encoder.requires_grad_(False)
    return encoder, key_encoder


@torch.no_grad()
def follow(key_encoder: nn.Module, query_encoder: nn.Module, share: float | Tensor) -> None:
    """Equation 2: `theta_k <- m theta_k + (1 - m) theta_q`, parameters only.

    Running statistics are the key encoder's own, from the keys that it sees.

    Args:
        key_encoder: Moves.
        query_encoder: It moves towards this one.
        share: `1 - m`, a number or a tensor of one number, `()`, on the encoders' device.
    """
    keys: list[Tensor] = list(key_encoder.parameters())
    queries: list[Tensor] = list(query_encoder.parameters())
    if isinstance(share, Tensor):
        torch._foreach_lerp_(keys, queries, [share] * len(keys))
    else:
        torch._foreach_lerp_(keys, queries, share)


def info_nce(
    queries: Tensor,
    keys: Tensor,
    negatives: Tensor,
    temperature: float,
    masked: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Equation 1, in float32 whatever comes in.

    Args:
        queries: `(N, D)`, not normalised.
        keys: `(N, D)`, normalised; row i is the positive of query i.
        negatives: `(K, D)`, normalised.
        temperature: tau.
        masked: `(N, K)`, True where a key is no negative of a query.

    Returns:
        The loss of each query, `(N,)`, and whether its own key was the nearest, bool `(N,)`.
    """
    with torch.autocast(queries.device.type, enabled=False):
        q = F.normalize(queries.float())
        positive = (q * keys).sum(dim=1, keepdim=True)  # N x 1
        negative = q @ negatives.T  # N x K
        if masked is not None:
            negative = negative.masked_fill(masked, -torch.inf)
        logits = torch.cat([positive, negative], dim=1) / temperature  # N x (1 + K)
        target = torch.zeros(len(q), dtype=torch.int64, device=q.device)
        return F.cross_entropy(logits, target, reduction="none"), logits.argmax(dim=1) == 0


def no_negatives(labels: Tensor, queue_labels: Tensor, friends: Tensor) -> Tensor:
    """Which keys of the queue are no negatives: those of the query's own label and its friends'.

    Args:
        labels: Of the queries, `(N,)`; a query below 0 has only negatives.
        queue_labels: `(K,)`.
        friends: Other labels that are one with each label, `(L, F)`.

    Returns:
        bool `(N, K)`.
    """
    labelled = (labels >= 0).view(-1, 1)
    masked = labels.view(-1, 1) == queue_labels.view(1, -1)
    for others in friends[labels.clamp(min=0)].unbind(1) if friends.shape[1] else ():
        masked = masked | (others.view(-1, 1) == queue_labels.view(1, -1))
    return masked & labelled


def elsewhere(key_labels: Tensor, queue_labels: Tensor, cameras: Tensor) -> Tensor:
    """Which keys of the queue another camera saw than the queries' own keys.

    Args:
        key_labels: Of the queries' own keys, `(N,)`; one below 0 has no camera, and none elsewhere.
        queue_labels: `(K,)`; a key below 0 is elsewhere to none (a new queue's noise, crops without
            a track).
        cameras: Of each label, `(L,)`.

    Returns:
        bool `(N, K)`.
    """
    here, there = (cameras[labels.clamp(min=0)] for labels in (key_labels, queue_labels))
    known = (key_labels >= 0).view(-1, 1) & (queue_labels >= 0).view(1, -1)
    return (here.view(-1, 1) != there.view(1, -1)) & known


def momentum(arm: Pretrain, step: int, steps: int) -> float:
    """The m of a step: constant, or along half a cosine to `momentum_end` (MoCo v3)."""
    last = arm.momentum if arm.momentum_end is None else arm.momentum_end
    return schedule.ramp(step, steps, arm.momentum, last)
