"""Which tracks of different cameras are one person's, by their features: arrays in, pairs out."""

from itertools import pairwise

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

BLOCK = 1024
"""Tracks whose similarities to all others are held at once."""


def means(features: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Mean directions of stretches of features.

    Args:
        features: float32 `(N, D)`, of length 1, those of a track one behind the other.
        begin: First row of each track, `(T,)`.
        end: One behind its last row, `(T,)`.

    Returns:
        float32 `(T, D)`, of length 1.
    """
    total = np.zeros((len(features) + 1, features.shape[1]))
    np.cumsum(features, axis=0, dtype=np.float64, out=total[1:])
    sums = total[end] - total[begin]
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.maximum(length, 1e-12)).astype(np.float32)


def standardised(features: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Features without what all pictures of a camera have in common.

    Each camera's are given mean 0 and deviation 1 in every coordinate, then length 1. Light,
    colours and background of a camera are else what makes two pictures alike.

    Args:
        features: float32 `(N, D)`.
        camera: Of each, `(N,)`.

    Returns:
        float32 `(N, D)`, of length 1.
    """
    found = np.empty_like(features)
    for one in np.unique(camera):
        rows = camera == one
        part = features[rows]
        found[rows] = (part - part.mean(axis=0)) / (part.std(axis=0) + 1e-6)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def mutual_nearest(
    means: Tensor, camera: np.ndarray, min_similarity: float, neighbours: int
) -> np.ndarray:
    """Pairs of tracks of two cameras that are each other's nearest there.

    Of these count the pairs that are also among each other's nearest of all other cameras: where a
    camera has nobody in common with another, its nearest there is a stranger.

    Args:
        means: Feature of each track, `(T, D)`, of length 1.
        camera: Of each track, `(T,)`, two different ones at least.
        min_similarity: Least cosine of a pair.
        neighbours: How many of all other cameras' tracks count as nearest.

    Returns:
        int64 `(P, 2)`, rows of `means`, the smaller first, sorted.
    """
    cameras, which = np.unique(camera, return_inverse=True)
    order = np.argsort(which, kind="stable")
    edges = np.searchsorted(which[order], np.arange(len(cameras) + 1))
    # near[t, c]: the track of camera c that is nearest to track t, both as places in `order`.
    near, similarity, least = _nearest(
        means[torch.from_numpy(order).to(means.device)], edges, neighbours
    )
    track, other = np.mgrid[: near.shape[0], : near.shape[1]]
    back = near[near, which[order][track]]
    chosen = (back == track) & (other > which[order][track]) & (similarity >= min_similarity)
    chosen &= (similarity >= least[:, None]) & (similarity >= least[near])
    pairs = np.stack([order[track[chosen]], order[near[chosen]]], axis=1)
    pairs.sort(axis=1)
    return pairs[np.lexsort(pairs.T[::-1])].astype(np.int64)


def agreeing(pairs: np.ndarray, count: int, min_common: int) -> np.ndarray:
    """Pairs whose two tracks have partners in common.

    A person whom three cameras saw makes three pairs that agree with each other; two people who
    look alike rarely look alike to a third camera, too.

    Args:
        pairs: int64 `(P, 2)`, each once.
        count: Tracks there are.
        min_common: Least number of tracks that are partners of both.

    Returns:
        int64 `(Q, 2)`, in their order.
    """
    one, other = pairs.T
    ones = np.ones(len(pairs), np.int32)
    partners = sparse.csr_matrix((ones, (one, other)), shape=(count, count))
    partners += partners.T
    common = partners[one].multiply(partners[other]).sum(axis=1)
    return pairs[np.asarray(common).ravel() >= min_common]


def _nearest(
    means: Tensor, edges: np.ndarray, neighbours: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """To each track its nearest of each camera and their cosine, both `(T, C)`.

    And the least cosine, `(T,)`, of the `neighbours` nearest of all other cameras.

    Args:
        means: `(T, D)`, sorted by camera.
        edges: First track of each camera, and `T`.
        neighbours: See above.
    """
    near, similarity, least = [], [], []
    first_of = torch.from_numpy(edges[:-1]).to(means.device)
    for begin in range(0, len(means), BLOCK):
        cosine = means[begin : begin + BLOCK] @ means.T  # b x T
        best = [cosine[:, first:last].max(dim=1) for first, last in pairwise(edges.tolist())]
        near.append(torch.stack([one.indices for one in best], 1) + first_of)
        similarity.append(torch.stack([one.values for one in best], 1))
        for first, last in pairwise(edges.tolist()):
            own = slice(max(first - begin, 0), max(last - begin, 0))
            cosine[own, first:last] = -torch.inf
        count = min(neighbours, len(means))
        least.append(cosine.topk(count, dim=1).values[:, -1])
    found = torch.cat(near), torch.cat(similarity), torch.cat(least)
    return found[0].cpu().numpy(), found[1].cpu().numpy(), found[2].cpu().numpy()
