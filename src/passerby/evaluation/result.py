"""What an evaluation found, as figures for programs and as lines for people."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from passerby.evaluation import protocols
from passerby.evaluation.identification import identification_rate
from passerby.evaluation.intervals import Interval, Intervals
from passerby.evaluation.ranking import Ranking
from passerby.evaluation.verification import Verification

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
    intervals: Intervals | None
    """Where figures lie when people are drawn anew; `None` where it was not asked for."""
    transductive: dict[str, Ranking]
    """Rankings by distances that hang on all queries and the whole gallery, where asked for:
    `reranked` and `expanded`. Never the headline."""

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

    def identification_rate(self, far: float) -> tuple[float, float] | None:
        """Open-set DIR at rank 1, and its threshold: `identification.identification_rate`."""
        return identification_rate(self.ranking, self.verification, far)

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values, rounded to six decimals.

        A TAR is `None` where its FAR is less than one impostor pair.
        """
        points = {f"{far:g}": self.verification.true_accept_rate(far) for far in self.fars}
        open_set = {f"{far:g}": self.identification_rate(far) for far in self.fars}
        figures = {
            "map": self.map,
            "map_trapezoid": self.map_trapezoid,
            "minp": self.minp,
            "cmc": {str(k): self.ranking.cmc(k) for k in self.ranks},
            "tar_at_far": {far: point and point[0] for far, point in points.items()},
            "threshold_at_far": {far: point and point[1] for far, point in points.items()},
            "dir_at_far": {far: point and point[0] for far, point in open_set.items()},
            "auc": self.verification.area_under_curve(),
            "eer": self.verification.equal_error_rate(),
        }
        for name, ranking in self.transductive.items():
            figures[name] = {
                "map": float(ranking.average_precision.mean()),
                "minp": float(ranking.inverse_negative_penalty.mean()),
                "cmc": {str(k): ranking.cmc(k) for k in self.ranks},
            }
        told = {"protocol": self.protocol, "distance": self.distance, "counts": self.counts}
        if self.intervals:
            figures["intervals"] = self.intervals.to_dict()
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
            f"mAP        {self.map:.2%}{self._span('map')} (trapezoid {self.map_trapezoid:.2%})",
            *(f"rank-{k:<5} {self.ranking.cmc(k):.2%}{self._span('cmc', k)}" for k in self.ranks),
            f"mINP       {self.minp:.2%}",
        ]
        for far in self.fars:
            accepted, found = self.verification.true_accept_rate(far), self.identification_rate(far)
            lines.append(f"TAR at FAR {far:g}: {_told(accepted, self._span('tar', far))}")
            lines.append(f"DIR at FAR {far:g}: {_told(found)}")
        area, equal = self.verification.area_under_curve(), self.verification.equal_error_rate()
        lines.append(
            f"AUC {area:.4f}, EER {equal:.2%}, {counts['genuine_pairs']:,} genuine and "
            f"{counts['impostor_pairs']:,} impostor pairs"
        )
        lines += [
            f"{name} (transductive: uses all queries at once): mAP "
            f"{ranking.average_precision.mean():.2%}, rank-1 {ranking.cmc(1):.2%}"
            for name, ranking in self.transductive.items()
        ]
        if self.intervals:
            lines.append(f"[95 % of {self.intervals.draws} draws of other people]")
        return "\n".join(lines)

    def _span(self, name: str, key: float | None = None) -> str:
        """The interval of a figure, where there is one."""
        if self.intervals is None:
            return ""
        found = getattr(self.intervals, name)
        span: Interval | None = found if key is None else found[key]
        return f" [{span[0]:.2%}, {span[1]:.2%}]" if span else ""


def _told(point: tuple[float, float] | None, span: str = "") -> str:
    return f"{point[0]:.2%}{span} (distance <= {point[1]:.6g})" if point else "too few pairs"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [_rounded(inner) for inner in value]
    return value if value is None or isinstance(value, int) else round(float(value), DECIMALS)
