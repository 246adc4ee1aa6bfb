"""What an evaluation found, as figures for programs and as lines for people."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from passerby.evaluation import digits, protocols
from passerby.evaluation.identification import identification_rate
from passerby.evaluation.intervals import Interval, Intervals
from passerby.evaluation.pairs import Pairs
from passerby.evaluation.ranking import Ranking
from passerby.evaluation.verification import FEW_ERRORS, NOTHING_ACCEPTED, Verification

CURVE_RANKS = 50
SEARCHES = (
    "FAR is of pairs. In a search every picture of the gallery makes a pair, so many more "
    "strangers are accepted: take the distance of an FPIR for it, at the size of your gallery."
)
"""What stands wherever thresholds are printed."""
NOT_SURE = f"* from fewer than {FEW_ERRORS} errors of impostors: not sure"
"""What stands wherever a rate from so few is marked."""
Point = tuple[float, float]
"""A rate, and the threshold that gives it."""


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
    pairs: Pairs
    """The labels of all pairs, without junk."""
    collapsed: bool
    """Whether the features are nearly all alike: then no figure says much."""

    @property
    def map(self) -> float:
        """Mean average precision: mean of the precision at each hit."""
        return float(self.ranking.average_precision.mean())

    @property
    def map_trapezoid(self) -> float:
        """Mean of the area under precision over recall by trapezoids (lower)."""
        return float(self.ranking.average_precision_trapezoid.mean())

    @property
    def minp(self) -> float:
        """Mean inverse negative penalty."""
        return float(self.ranking.inverse_negative_penalty.mean())

    def cmc_curve(self) -> np.ndarray:
        """Share of valid queries with a hit among the first 1, 2, ... 50, `(50,)`."""
        return np.array([self.ranking.cmc(k) for k in range(1, CURVE_RANKS + 1)])

    def identification_rate(self, fpir: float) -> Point | None:
        """Open-set TPIR at rank 1, and its threshold: `identification.identification_rate`."""
        return identification_rate(self.ranking, self.verification, fpir)

    def impostor_errors(self, far: float) -> int | None:
        """How many impostor pairs the threshold of a FAR accepts; `None` as for the FAR itself."""
        point = self.verification.true_accept_rate(far)
        found = point and self.verification.accepted(point[1])
        return found[1] if found else None

    def stranger_errors(self, fpir: float) -> int | None:
        """How many strangers the threshold of an FPIR accepts; `None` as for the FPIR itself."""
        point = self.identification_rate(fpir)
        if point is None:
            return None
        return round(self.verification.strangers_accepted(point[1]) * self.counts["queries"])

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values: shares to six decimals, thresholds to nine digits.

        A TAR is `None` where its FAR is less than one impostor pair, a TPIR where its FPIR is less
        than one query.
        """
        told = {"protocol": self.protocol, "distance": self.distance, "counts": self.counts}
        figures = {
            "map": self.map,
            "map_trapezoid": self.map_trapezoid,
            "minp": self.minp,
            "cmc": {str(k): self.ranking.cmc(k) for k in self.ranks},
            "auc": self.verification.area_under_curve(),
            "eer": self.verification.equal_error_rate(),
        }
        for name, ranking in self.transductive.items():
            figures[name] = {
                "map": float(ranking.average_precision.mean()),
                "minp": float(ranking.inverse_negative_penalty.mean()),
                "cmc": {str(k): ranking.cmc(k) for k in self.ranks},
                **self._ties(ranking),
            }
        figures |= self._ties(self.ranking)
        collapsed = {"collapsed": True} if self.collapsed else {}
        if off_by := self.verification.area_is_off_by():
            figures["auc_is_off_by_at_most"] = off_by
        return {**told, **collapsed, **_rounded(figures), **self._spans(), **self._at_rates()}

    def _spans(self) -> dict[str, Any]:
        """The intervals, where they were asked for."""
        if self.intervals is None:
            return {}
        found = _rounded(self.intervals.to_dict())
        found["far_at_threshold"] = {
            f"{far:g}": span and [digits.rate(end) for end in span]
            for far, span in self.intervals.far_at_threshold.items()
        }
        return {"intervals": found}

    def _at_rates(self) -> dict[str, Any]:
        """What is given by FAR and by FPIR."""
        found = self.verification
        points = {f"{far:g}": found.true_accept_rate(far) for far in self.fars}
        errors = {f"{far:g}": self.impostor_errors(far) for far in self.fars}
        open_set = {f"{far:g}": self.identification_rate(far) for far in self.fars}
        return {
            "tar_at_far": {far: point and digits.share(point[0]) for far, point in points.items()},
            "threshold_at_far": _thresholds(points),
            "impostor_errors_at_far": errors,
            "far_at_threshold": {
                far: None if count is None else digits.rate(count / found.impostors)
                for far, count in errors.items()
            },
            "fpir_at_threshold": {
                far: point and digits.share(found.strangers_accepted(point[1]))
                for far, point in points.items()
            },
            "impostor_errors_at_fpir": {
                f"{fpir:g}": self.stranger_errors(fpir) for fpir in self.fars
            },
            "tpir_at_fpir": {
                fpir: point and digits.share(point[0]) for fpir, point in open_set.items()
            },
            "threshold_at_fpir": _thresholds(open_set),
        }

    def _ties(self, ranking: Ranking) -> dict[str, Any]:
        """How far ties leave a ranking to the gallery's order; nothing where there are none."""
        ties = ranking.ties
        if not ties.tied.any():
            return {}
        cmc = {str(k): ties.cmc(k) for k in self.ranks}
        return {"ties": {"queries": int(ties.tied.sum()), "map": ties.map, "cmc": cmc}}

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
            *self._warnings(),
            *self._thresholds_told(),
        ]
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
            lines.append(f"[95 % of {self.intervals.draws:,} draws of other people]")
        return "\n".join(lines)

    def _warnings(self) -> list[str]:
        """Whether features are collapsed, and what ties leave to the gallery's order."""
        lines = []
        if self.collapsed:
            lines.append(
                "collapsed  the features are nearly all alike (their spread is less than 1 % of "
                "their length): look at the model that gave them"
            )
        if off_by := self.verification.area_is_off_by():
            lines.append(
                f"AUC, EER   not sure: most distances are so nearly equal that AUC may be off by "
                f"{off_by:.4f}; look at how far apart the network puts queries and gallery"
            )
        ties = self.ranking.ties
        least, greatest = (f"{value:.2%}" for value in ties.map)
        if least != greatest:
            lines.append(
                f"ties       {ties.tied.sum():,} queries have a match that is exactly as near as "
                f"somebody else: by the gallery's order mAP is from {least} to {greatest}"
            )
        return lines

    def _thresholds_told(self) -> list[str]:
        """A line for each FAR and FPIR, and what they do not mean."""
        found, gallery = self.verification, self.counts["gallery"]
        lines, few = [], False
        for far in self.fars:
            point, errors = found.true_accept_rate(far), self.impostor_errors(far)
            mark = _few(errors)
            accepted = point and found.strangers_accepted(point[1])
            more = (
                ""
                if accepted is None
                else (f"; {accepted:.2%} of strangers accepted in a search of {gallery:,}")
            )
            lines.append(
                f"TAR at FAR {far:g}: {_told('pairs', point, self._span('tar', far), mark, more)}"
            )
            few |= bool(mark)
        for fpir in self.fars:
            point, errors = self.identification_rate(fpir), self.stranger_errors(fpir)
            mark = _few(errors)
            more, span = f"; in a search of {gallery:,}", self._span("tpir", fpir)
            told = _told("queries", point, span, mark, more)
            lines.append(f"TPIR at FPIR {fpir:g}: {told}")
            few |= bool(mark)
        if few:
            lines.append(NOT_SURE)
        return [*lines, SEARCHES] if lines else []

    def _span(self, name: str, key: float | None = None) -> str:
        """The interval of a figure, where there is one."""
        if self.intervals is None:
            return ""
        found = getattr(self.intervals, name)
        span: Interval | None = found if key is None else found[key]
        return f" [{span[0]:.2%}, {span[1]:.2%}]" if span else ""


def _told(what: str, point: Point | None, span: str, mark: str, more: str) -> str:
    if point is None:
        return f"too few {what}"
    if point[1] == NOTHING_ACCEPTED:
        return f"{point[0]:.2%}{span}{mark} (no distance: no match is accepted at this rate)"
    return f"{point[0]:.2%}{span}{mark} (distance <= {digits.threshold(point[1])}{more})"


def _few(errors: int | None) -> str:
    return "" if errors is None or errors >= FEW_ERRORS else "*"


def _thresholds(points: dict[str, Point | None]) -> dict[str, float | None]:
    return {rate: point and digits.threshold(point[1]) for rate, point in points.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [_rounded(inner) for inner in value]
    return value if value is None or isinstance(value, int) else digits.share(value)
