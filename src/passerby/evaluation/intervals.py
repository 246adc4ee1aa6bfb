"""How far figures would move with other people: intervals by drawing people anew.

Pairs are not independent: a thousand of them share one person, who is easy or hard in all of them.
So people are drawn with replacement, never pairs (the bootstrap over subjects of R. Bolle,
N. Ratha and S. Pankanti, "Error analysis of pattern recognition systems: the subsets bootstrap",
CVIU 93, 2004, with both sides of an impostor pair drawn). A person who is drawn w times weighs w: a
genuine pair weighs w, an impostor pair the product of its two weights. A distractor is a person of
its own.

There are two questions. How far would TAR at a FAR move if the threshold were chosen anew among the
other people? And what would TAR and FAR be among them at the threshold that was chosen here? A
user of a stored threshold asks the second.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from passerby import seeds
from passerby.evaluation.identification import identification_rate, nearest_match
from passerby.evaluation.pairs import Pairs
from passerby.evaluation.ranking import Ranking
from passerby.evaluation.verification import Verification
from passerby.evaluation.weights import Units, WeightedPairs

LEVEL = 0.95
BATCH_NUMBERS, MOST_DRAWS = 1 << 22, 64
"""Of a batch of draws."""
Interval = tuple[float, float]
ByRate = dict[float, Interval | None]
"""By FAR or FPIR; `None` where the rate cannot be measured."""


@dataclass(frozen=True)
class Intervals:
    """Where 95 % of the draws lie, as fractions."""

    draws: int
    map: Interval
    cmc: dict[int, Interval]
    """By rank."""
    tar: ByRate
    """TAR by FAR; each draw chooses its threshold."""
    tar_at_threshold: ByRate
    """TAR by FAR, at the threshold that all people together give."""
    far_at_threshold: ByRate
    """The FAR that is achieved at this threshold."""
    tpir: ByRate
    """TPIR by FPIR; each draw chooses its threshold."""

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "level": LEVEL,
            "draws": self.draws,
            "map": self.map,
            "cmc": {str(k): span for k, span in self.cmc.items()},
            "tar_at_far": _by_name(self.tar),
            "tar_at_threshold": _by_name(self.tar_at_threshold),
            "far_at_threshold": _by_name(self.far_at_threshold),
            "tpir_at_fpir": _by_name(self.tpir),
        }


def _by_name(spans: ByRate) -> dict[str, Interval | None]:
    return {f"{rate:g}": span for rate, span in spans.items()}


def intervals(
    pairs: Pairs,
    ranking: Ranking,
    verification: Verification,
    ranks: Sequence[int],
    fars: Sequence[float],
    draws: int,
) -> Intervals:
    """Draw the people anew, and see how the figures move.

    mAP, CMC and TPIR move with the queries' people; the gallery of a query stays whole.

    Args:
        pairs: Labels of all pairs, without junk.
        ranking: What was found of them.
        verification: What was found of them.
        ranks: Ranks k of CMC@k.
        fars: False-accept rates, at most those that `verification` was counted for; FPIRs, too.
        draws: How often.
    """
    points = {far: verification.true_accept_rate(far) for far in fars}
    thresholds = {far: point[1] for far, point in points.items() if point}
    searched = [f for f in fars if identification_rate(ranking, verification, f) is not None]
    weighted = WeightedPairs(pairs, verification, list(thresholds), list(thresholds.values()))
    values = [ranking.average_precision, *(ranking.first_rank <= k for k in ranks)]
    rows = []
    for weight in drawn_weights(pairs, ranking, draws, len(verification.genuine)):
        of_valid = weight[:, weighted.units.query[ranking.query]]
        ranked = of_valid @ np.stack(values, axis=1) / of_valid.sum(axis=1, keepdims=True)
        searches = _searches(ranking, verification, weight[:, weighted.units.query], searched)
        rows.append(np.concatenate([ranked, *weighted.rates(weight), searches], axis=1))
    found = iter(spans(np.concatenate(rows)))
    return Intervals(
        draws=draws,
        map=next(found),
        cmc={k: next(found) for k in ranks},
        tar=_of_rates(fars, thresholds, found),
        tar_at_threshold=_of_rates(fars, thresholds, found),
        far_at_threshold=_of_rates(fars, thresholds, found),
        tpir=_of_rates(fars, searched, found),
    )


def drawn_weights(pairs: Pairs, ranking: Ranking, draws: int, width: int) -> Iterator[np.ndarray]:
    """How often each unit is drawn, in batches of draws: `(b, U)`.

    Of few people it may happen that none with a match is drawn, or one person alone and so no pair
    of two people: then there is no figure, and people are drawn again.

    Args:
        pairs: Labels of all pairs, without junk.
        ranking: What was found of them.
        draws: How often.
        width: The most numbers that are computed of a draw at once: they decide how large a batch
            is.
    """
    units = Units.of(pairs)
    matched = np.unique(units.query[ranking.query])
    rng = seeds.stream(0, "evaluation", "intervals")
    widest = max(width, len(units.items_of), len(pairs.query_people))
    size = max(1, min(MOST_DRAWS, BATCH_NUMBERS // widest))
    for start in range(0, draws, size):
        batch: list[np.ndarray] = []
        while len(batch) < min(size, draws - start):
            weight = units.drawn(rng)
            if weight[matched].any() and units.pairs(weight[None]).any():
                batch.append(weight)
        yield np.stack(batch)


def spans(rows: np.ndarray) -> list[Interval]:
    """Between which values 95 % of the draws lie, of figures `(draws, n)`."""
    low, high = np.quantile(rows, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _of_rates(
    asked: Sequence[float], known: Sequence[float] | dict[float, float], found: Iterator[Interval]
) -> ByRate:
    of_known = {rate: next(found) for rate in known}
    return {rate: of_known.get(rate) for rate in asked}


def _searches(
    ranking: Ranking, verification: Verification, of_query: np.ndarray, fpirs: Sequence[float]
) -> np.ndarray:
    """TPIR at each FPIR, `(b, n)`, where each draw chooses its threshold among its strangers."""
    order = np.argsort(verification.nearest_of_query, kind="stable")
    stranger = np.append(verification.nearest_of_query[order], np.float32(np.inf))
    up_to = np.cumsum(of_query[:, order], axis=1)
    of_valid = of_query[:, ranking.query]
    match, first = nearest_match(ranking, verification), ranking.first_rank == 1
    found = []
    for fpir in fpirs:
        allowed = fpir * up_to[:, -1:] + 1e-9
        refused = stranger[(up_to <= allowed).sum(axis=1)]
        accepted = first & (match < refused[:, None])
        found.append((of_valid * accepted).sum(axis=1) / of_valid.sum(axis=1))
    return np.stack(found, axis=1) if found else np.empty((len(of_query), 0))
