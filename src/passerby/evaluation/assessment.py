"""The whole evaluation of a set of features: ranking and verification under a protocol."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from passerby.errors import BadInput, listing
from passerby.evaluation import distance as distances
from passerby.evaluation import protocols
from passerby.evaluation.pairs import JUNK, Pairs, checked
from passerby.evaluation.ranking import Ranking, rank
from passerby.evaluation.verification import Verification, verify

CURVE_RANKS = 50
DECIMALS = 6


@dataclass(frozen=True)
class Result:
    """What an evaluation found; all shares and rates are fractions in [0, 1]."""

    protocol: str
    distance: str
    counts: dict[str, int]
    """Queries (all, and those without a match, which are left out), gallery images that count,
    distractors among them, junk left out, genuine and impostor pairs."""
    ranking: Ranking
    verification: Verification
    ranks: tuple[int, ...]
    fars: tuple[float, ...]

    @property
    def map(self) -> float:
        """Mean average precision: mean of the precision at each hit."""
        return float(self.ranking.average_precision.mean())

    @property
    def map_trapezoid(self) -> float:
        """Mean average precision as Market-1501's toolbox computes it (lower)."""
        return float(self.ranking.average_precision_trapezoid.mean())

    @property
    def minp(self) -> float:
        """Mean inverse negative penalty."""
        return float(self.ranking.inverse_negative_penalty.mean())

    def cmc_curve(self) -> np.ndarray:
        """Share of valid queries with a hit among the first 1, 2, ... 50, `(50,)`."""
        return np.array([self.ranking.cmc(k) for k in range(1, CURVE_RANKS + 1)])

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values, rounded to six decimals.

        A TAR is `None` where its FAR is less than one impostor pair.
        """
        points = {f"{far:g}": self.verification.true_accept_rate(far) for far in self.fars}
        figures = {
            "map": self.map,
            "map_trapezoid": self.map_trapezoid,
            "minp": self.minp,
            "cmc": {str(k): self.ranking.cmc(k) for k in self.ranks},
            "tar_at_far": {far: point and point[0] for far, point in points.items()},
            "threshold_at_far": {far: point and point[1] for far, point in points.items()},
            "auc": self.verification.area_under_curve(),
            "eer": self.verification.equal_error_rate(),
        }
        told = {"protocol": self.protocol, "distance": self.distance, "counts": self.counts}
        return {**told, **_rounded(figures)}

    def table(self) -> str:
        """The figures as lines for people, in percent."""
        counts = self.counts
        lines = [
            f"protocol   {self.protocol}: {protocols.named(self.protocol).rules}",
            f"distance   {self.distance}",
            f"queries    {counts['queries']:,} ({counts['queries_without_match']:,} without a "
            f"match left out), gallery {counts['gallery']:,} ({counts['distractors']:,} "
            f"distractors; {counts['junk']:,} junk left out)",
            f"mAP        {self.map:.2%} (trapezoid {self.map_trapezoid:.2%})",
            *(f"rank-{k:<5} {self.ranking.cmc(k):.2%}" for k in self.ranks),
            f"mINP       {self.minp:.2%}",
        ]
        for far in self.fars:
            point = self.verification.true_accept_rate(far)
            told = f"{point[0]:.2%} (distance <= {point[1]:.6g})" if point else "too few pairs"
            lines.append(f"TAR at FAR {far:g}: {told}")
        area, equal = self.verification.area_under_curve(), self.verification.equal_error_rate()
        lines.append(
            f"AUC {area:.4f}, EER {equal:.2%}, {counts['genuine_pairs']:,} genuine and "
            f"{counts['impostor_pairs']:,} impostor pairs"
        )
        return "\n".join(lines)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return value if value is None else round(float(value), DECIMALS)


def evaluate(
    query_features: np.ndarray,
    gallery_features: np.ndarray,
    query_people: Sequence[int] | np.ndarray,
    gallery_people: Sequence[int] | np.ndarray,
    query_cameras: Sequence[int] | np.ndarray,
    gallery_cameras: Sequence[int] | np.ndarray,
    *,
    protocol: str = "market1501",
    distance: distances.Kind = "cosine",
    ranks: Sequence[int] = (1, 5, 10),
    fars: Sequence[float] = (1e-3, 1e-2),
) -> Result:
    """Evaluate features under a protocol.

    Args:
        query_features: `(Q, D)`.
        gallery_features: `(G, D)`.
        query_people: `(Q,)`, from 1.
        gallery_people: `(G,)`; 0 is a distractor and -1 junk where the protocol knows them.
        query_cameras: `(Q,)`.
        gallery_cameras: `(G,)`.
        protocol: A name of `protocols.PROTOCOLS`.
        distance: `cosine` or `euclidean`.
        ranks: Ranks k of CMC@k, from 1.
        fars: False-accept rates at which TAR is given, in (0, 1).

    Raises:
        BadInput: an empty side, unequal dimensions, values that are not finite, labels that do not
            fit, no query with a match, no impostor pair (which, and where).

    Example:
        >>> found = evaluate(np.eye(2), np.eye(2), [1, 2], [1, 2], [1, 1], [2, 2])
        >>> found.map, found.ranking.cmc(1), found.counts["impostor_pairs"]
        (1.0, 1.0, 2)
    """
    rules = protocols.named(protocol)
    query = _features(query_features, "query_features")
    gallery = _features(gallery_features, "gallery_features")
    pairs = checked(query_people, gallery_people, query_cameras, gallery_cameras)
    _check_sizes(query, gallery, pairs)
    _check_asked(ranks, fars)
    rules.check(pairs)
    counting = pairs.gallery_people != JUNK
    counts = _counts(pairs, counting)
    pairs = Pairs(
        pairs.query_people,
        pairs.gallery_people[counting],
        pairs.query_cameras,
        pairs.gallery_cameras[counting],
    )
    ranking, verification = _measured(query, gallery[counting], pairs, distance)
    counts |= {
        "queries_without_match": len(query) - len(ranking.query),
        "genuine_pairs": len(verification.genuine),
        "impostor_pairs": verification.impostors,
    }
    return Result(rules.name, distance, counts, ranking, verification, tuple(ranks), tuple(fars))


def _measured(
    query: np.ndarray, gallery: np.ndarray, pairs: Pairs, distance: distances.Kind
) -> tuple[Ranking, Verification]:
    """Two passes over the distances: the second counts impostors against all genuine pairs."""
    if not len(gallery):
        raise BadInput("gallery_features: empty once junk (-1) is left out; nothing to search in")
    seen = _Seen()
    ranking = rank(seen.watch(distances.blocks(query, gallery, distance), pairs), pairs)
    if not len(ranking.query):
        raise BadInput(
            f"none of the {len(query):,} queries has a match by another camera in the gallery of "
            f"{len(gallery):,}; do the people and cameras of both sides belong together?"
        )
    impostors = (
        block[pairs.impostor(rows)] for rows, block in distances.blocks(query, gallery, distance)
    )
    verification = verify(np.concatenate(seen.genuine), impostors, seen.least, seen.most)
    if not verification.impostors:
        raise BadInput(
            "gallery_people: every item is of the query's own person; "
            "without other people nothing can be measured"
        )
    return ranking, verification


@dataclass
class _Seen:
    """What the first pass leaves for the second."""

    genuine: list[np.ndarray] = field(default_factory=list)
    least: float = np.inf
    most: float = -np.inf

    def watch(
        self, blocks: Iterator[tuple[slice, np.ndarray]], pairs: Pairs
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Pass the blocks on; keep genuine distances and the least and greatest of all."""
        for rows, block in blocks:
            self.genuine.append(block[pairs.genuine(rows)])
            self.least = min(self.least, float(block.min()))
            self.most = max(self.most, float(block.max()))
            yield rows, block


def _counts(pairs: Pairs, counting: np.ndarray) -> dict[str, int]:
    return {
        "queries": len(pairs.query_people),
        "gallery": int(counting.sum()),
        "distractors": int((pairs.gallery_people == protocols.DISTRACTOR).sum()),
        "junk": int((~counting).sum()),
    }


def _features(features: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(features)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise BadInput(
            f"{name}: {array.dtype} of shape {array.shape} found, numbers of shape (N, D) wanted"
        )
    if not array.size:
        raise BadInput(f"{name}: empty, of shape {array.shape}; at least one feature wanted")
    broken = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(broken):
        raise BadInput(
            f"{name}: {len(broken)} of {len(array):,} rows hold NaN or infinity: "
            f"{listing(list(broken))}; the model that gave them is broken"
        )
    return array


def _check_sizes(query: np.ndarray, gallery: np.ndarray, pairs: Pairs) -> None:
    if query.shape[1] != gallery.shape[1]:
        raise BadInput(
            f"query_features have {query.shape[1]} dimensions, gallery_features "
            f"{gallery.shape[1]}; both must come of one model"
        )
    for side, features, people in (
        ("query", query, pairs.query_people),
        ("gallery", gallery, pairs.gallery_people),
    ):
        if len(features) != len(people):
            raise BadInput(
                f"{side}: {len(features):,} features, but {len(people):,} labels; one each wanted"
            )


def _check_asked(ranks: Sequence[int], fars: Sequence[float]) -> None:
    if any(k < 1 for k in ranks):
        raise BadInput(f"ranks: {listing(list(ranks))} found; they count from 1")
    if any(not 0 < far < 1 for far in fars):
        raise BadInput(f"fars: {listing(list(fars))} found; rates above 0 and below 1 wanted")
