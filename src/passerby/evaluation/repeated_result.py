"""What repeated trials found: mean and deviation, for programs and as lines for people."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from passerby.evaluation.digits import DECIMALS

Range = tuple[int, int]
"""Least and most of a trial."""


@dataclass(frozen=True)
class Spread:
    """A figure over `T` trials, as fractions."""

    mean: float
    deviation: float | None
    """Standard deviation of the sample; `None` of one trial. Trials share people, so it is no
    measure of how far the mean would move with other people."""

    @classmethod
    def of(cls, values: np.ndarray) -> "Spread":
        """Of the trials' values, `(T,)`."""
        deviation = float(values.std(ddof=1)) if len(values) > 1 else None
        return cls(float(values.mean()), deviation)

    def to_dict(self) -> dict[str, float | None]:
        """The same as plain values, rounded to six decimals."""
        deviation = None if self.deviation is None else round(self.deviation, DECIMALS)
        return {"mean": round(self.mean, DECIMALS), "deviation": deviation}

    def __str__(self) -> str:
        more = "" if self.deviation is None else f" ± {100 * self.deviation:.2f}"
        return f"{self.mean:.2%}{more}"


@dataclass(frozen=True)
class TrialsResult:
    """What `T` trials found; all shares are fractions in [0, 1]."""

    protocol: str
    rules: str
    distance: str
    ranks: tuple[int, ...]
    counts: dict[str, Range]
    """Queries (all, and those without a match, which are left out) and gallery of a trial."""
    cmc_of_trial: np.ndarray
    """`(T, R)`: CMC at each of the ranks."""
    map_of_trial: np.ndarray | None
    """`(T,)`: mean average precision; `None` where no query has several matches."""

    cmc_by_ties: np.ndarray
    """`(T, 2, R)`: the least and the greatest that CMC can be by the order of the gallery, where
    matches are exactly as near as somebody else."""

    @property
    def trials(self) -> int:
        """`T`."""
        return len(self.cmc_of_trial)

    @property
    def map(self) -> Spread | None:
        """Mean average precision over the trials; `None` where no query has several matches."""
        return None if self.map_of_trial is None else Spread.of(self.map_of_trial)

    def cmc(self, rank: int) -> Spread:
        """CMC at one of the ranks over the trials."""
        return Spread.of(self.cmc_of_trial[:, self.ranks.index(rank)])

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values, rounded to six decimals."""
        return {
            "protocol": self.protocol,
            "distance": self.distance,
            "trials": self.trials,
            "counts": {name: list(span) for name, span in self.counts.items()},
            "cmc": {str(k): self.cmc(k).to_dict() for k in self.ranks},
            "map": self.map and self.map.to_dict(),
            **self._ties(),
        }

    def _ties(self) -> dict[str, Any]:
        """How far ties leave the means to the gallery's order; nothing where there are none."""
        least, greatest = self.cmc_by_ties.mean(axis=0).round(DECIMALS).tolist()
        if least == greatest:
            return {}
        spans = zip(self.ranks, zip(least, greatest, strict=True), strict=True)
        return {"ties": {"cmc": {str(k): list(span) for k, span in spans}}}

    def table(self) -> str:
        """The figures as lines for people, in percent."""
        told = {name: _told(span) for name, span in self.counts.items()}
        lines = [
            f"protocol   {self.protocol}: {self.rules}",
            f"distance   {self.distance}",
            f"trials     {self.trials:,} of {told['queries']} queries "
            f"({told['queries_without_match']} without a match left out), "
            f"gallery {told['gallery']}",
            *(f"rank-{k:<5} {self.cmc(k)}" for k in self.ranks),
            *([f"mAP        {self.map}"] if self.map else []),
        ]
        least, greatest = (f"{value:.2%}" for value in self.cmc_by_ties.mean(axis=0)[:, 0])
        if least != greatest:
            lines.append(
                "ties       there are matches that are exactly as near as somebody else: by the "
                f"gallery's order rank-{self.ranks[0]} is from {least} to {greatest}"
            )
        if self.trials > 1:
            lines.append("[mean ± standard deviation over the trials]")
        return "\n".join(lines)


def _told(span: Range) -> str:
    least, most = span
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
