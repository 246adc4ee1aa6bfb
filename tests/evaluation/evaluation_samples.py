"""Slow twins of the evaluation, from the definitions, and labels and distances to try it on."""

from collections.abc import Iterator

import numpy as np

from passerby.evaluation.pairs import Pairs, checked


def drawn(
    seed: int, queries: int = 40, gallery: int = 150, levels: int | None = None
) -> tuple[np.ndarray, Pairs]:
    """Random distances in [0, 1); some people, distractors and junk over three cameras.

    Without ties, or of so many different values.
    """
    rng = np.random.default_rng(seed)
    distances = rng.permutation(queries * gallery).reshape(queries, gallery) / (queries * gallery)
    if levels:
        distances = np.floor(distances * levels) / levels
    pairs = checked(
        rng.integers(1, 15, queries),
        rng.integers(-1, 15, gallery),
        rng.integers(1, 4, queries),
        rng.integers(1, 4, gallery),
    )
    return distances.astype(np.float32), pairs


def blocks(distances: np.ndarray, rows: int = 7) -> Iterator[tuple[slice, np.ndarray]]:
    """Copies of so many rows at a time: what is evaluated may be written in."""
    for start in range(0, len(distances), rows):
        part = distances[start : start + rows].copy()
        yield slice(start, start + len(part)), part


def genuine(pairs: Pairs) -> np.ndarray:
    """Whether a pair is of one person by two cameras, `bool (Q, G)`."""
    return _same_person(pairs) & ~_same_camera(pairs)


def ignored(pairs: Pairs) -> np.ndarray:
    """Whether a pair counts for nothing, `bool (Q, G)`."""
    return _same_person(pairs) & _same_camera(pairs) | (pairs.gallery_people == -1)[None, :]


def impostor(pairs: Pairs) -> np.ndarray:
    """Whether a pair is of two people, `bool (Q, G)`."""
    return ~_same_person(pairs) & (pairs.gallery_people != -1)[None, :]


def _same_person(pairs: Pairs) -> np.ndarray:
    return pairs.query_people[:, None] == pairs.gallery_people[None, :]


def _same_camera(pairs: Pairs) -> np.ndarray:
    return pairs.query_cameras[:, None] == pairs.gallery_cameras[None, :]


def hits_in_order(distance: np.ndarray, genuine: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Whether each counting gallery item is a hit, nearest first; of a tie the earlier first."""
    order = np.argsort(distance, kind="stable")
    return genuine[order[~ignored[order]]]


def average_precision(hits: np.ndarray) -> float:
    """Mean over the hits of the precision at their rank."""
    ranks = np.flatnonzero(hits) + 1
    return float(np.mean([(ranks <= rank).sum() / rank for rank in ranks]))


def inverse_negative_penalty(hits: np.ndarray) -> float:
    """Number of hits over the rank of the last."""
    return float(hits.sum() / (np.flatnonzero(hits)[-1] + 1))


def first_rank(hits: np.ndarray) -> int:
    """Rank of the first hit, from 1."""
    return int(np.argmax(hits)) + 1
