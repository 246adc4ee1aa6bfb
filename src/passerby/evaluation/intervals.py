"""How far figures would move with other people: intervals by drawing people anew.

Pairs are not independent: a thousand of them share one person, who is easy or hard in all of them.
So people are drawn with replacement, never pairs (the bootstrap over subjects of R. Bolle,
N. Ratha and S. Pankanti, "Error analysis of pattern recognition systems: the subsets bootstrap",
CVIU 93, 2004, with both sides of an impostor pair drawn). A person who is drawn w times weighs w: a
genuine pair weighs w, an impostor pair the product of its two weights. A distractor is a person of
its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from passerby import seeds
from passerby.evaluation.pairs import Pairs
from passerby.evaluation.ranking import Ranking
from passerby.evaluation.verification import Verification

LEVEL = 0.95
Interval = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    """Where 95 % of the draws lie, as fractions."""

    draws: int
    map: Interval
    cmc: dict[int, Interval]
    """By rank."""
    tar: dict[float, Interval | None]
    """By FAR; `None` where the FAR cannot be measured."""

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "level": LEVEL,
            "draws": self.draws,
            "map": self.map,
            "cmc": {str(k): span for k, span in self.cmc.items()},
            "tar_at_far": {f"{far:g}": span for far, span in self.tar.items()},
        }


def intervals(
    pairs: Pairs,
    ranking: Ranking,
    verification: Verification,
    ranks: Sequence[int],
    fars: Sequence[float],
    draws: int,
) -> Intervals:
    """Draw the people anew, and see how the figures move.

    mAP and CMC move with the queries' people; the gallery of a query stays whole.

    Args:
        pairs: Labels of all pairs, without junk.
        ranking: What was found of them.
        verification: What was found of them.
        ranks: Ranks k of CMC@k.
        fars: False-accept rates, at most those that `verification` was counted for.
        draws: How often.
    """
    units = _Units.of(pairs)
    hits = [ranking.first_rank <= k for k in ranks]
    of_ranked = units.query[ranking.query]
    of_genuine = units.query[verification.genuine_query]
    query, item = np.divmod(verification.nearest_pair, len(units.gallery))
    of_nearest = units.query[query], units.gallery[item]
    known = [far for far in fars if verification.true_accept_rate(far) is not None]
    rng = seeds.stream(0, "evaluation", "intervals")
    rows: list[list[float]] = []
    while len(rows) < draws:
        weight = units.drawn(rng)
        ranked, genuine = weight[of_ranked], weight[of_genuine]
        if not ranked.sum() or not genuine.sum():
            continue  # of few people none with a match was drawn: no figure, draw again
        impostor = weight[of_nearest[0]] * weight[of_nearest[1]]
        refused = _first_refused(verification, impostor, np.array(known) * units.pairs(weight))
        accepted = verification.genuine < refused[:, None]
        rows.append(
            [
                *(ranked @ values / ranked.sum() for values in (ranking.average_precision, *hits)),
                *(accepted @ genuine / genuine.sum()),
            ]
        )
    low, high = np.quantile(rows, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    found = list(zip(low.tolist(), high.tolist(), strict=True))
    of_far = dict(zip(known, found[1 + len(ranks) :], strict=True))
    return Intervals(
        draws=draws,
        map=found[0],
        cmc=dict(zip(ranks, found[1:], strict=False)),
        tar={far: of_far.get(far) for far in fars},
    )


@dataclass(frozen=True)
class _Units:
    """What is drawn: `n` people, then the distractors one by one."""

    people: int
    query: np.ndarray
    """The unit of each query, `(Q,)`."""
    gallery: np.ndarray
    """The unit of each gallery item, `(G,)`."""
    queries_of: np.ndarray
    """Queries of each unit."""
    items_of: np.ndarray
    """Gallery items of each unit."""

    @classmethod
    def of(cls, pairs: Pairs) -> "_Units":
        somebody = pairs.gallery_people > 0
        known = np.unique([*pairs.query_people, *pairs.gallery_people[somebody]])
        strangers = int((~somebody).sum())
        query = np.searchsorted(known, pairs.query_people)
        gallery = np.searchsorted(known, pairs.gallery_people)
        gallery[~somebody] = len(known) + np.arange(strangers)
        total = len(known) + strangers
        return cls(
            len(known),
            query,
            gallery,
            np.bincount(query, minlength=total),
            np.bincount(gallery, minlength=total),
        )

    def drawn(self, rng: np.random.Generator) -> np.ndarray:
        """How often each unit is drawn: people and distractors each as many as there are."""
        strangers = len(self.items_of) - self.people
        parts = [self.people, *([strangers] if strangers else [])]
        return np.concatenate([rng.multinomial(n, np.full(n, 1 / n)) for n in parts]).astype(float)

    def pairs(self, weight: np.ndarray) -> float:
        """What all impostor pairs weigh together."""
        others = (weight * self.items_of).sum() - weight * self.items_of
        return float((weight * self.queries_of * others).sum())


def _first_refused(
    verification: Verification, impostor: np.ndarray, allowed: np.ndarray
) -> np.ndarray:
    """For each allowed weight the nearest distance with which impostor pairs would weigh more.

    Where the pairs that are kept do not weigh as much, it is the farthest of them: then TAR comes
    out too low, never too high.
    """
    place = np.searchsorted(np.cumsum(impostor), allowed + 1e-9, side="right")
    all_kept = len(verification.nearest) == verification.impostors
    end = np.inf if all_kept else verification.nearest[-1]
    return np.append(verification.nearest, np.float32(end))[place]
