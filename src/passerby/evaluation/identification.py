"""Open-set identification: who is it, if it is anybody who is enrolled?

The nearest gallery item answers, if it is within the threshold. A query's person is enrolled in the
one trial (a mated search), and taken out of the gallery in the other (a non-mated search); so every
query is a stranger once. FPIR (false-positive identification rate) is the share of strangers for
whom somebody is found within the threshold; TPIR (true-positive identification rate at rank 1) the
share of the enrolled whose nearest item is of their person and within it. One query and a gallery
of thousands make thousands of pairs: rates here are far below TAR at a FAR of the same number.

Both rates depend on how much is searched. Of a gallery of `G` impostors to a query, `N` are drawn
without replacement; none of the `c` nearest is among them with probability C(G - c, N) / C(G, N).
So the rates in a smaller gallery are computed, and nothing is drawn (`Searches`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln

from passerby.evaluation.pairs import Pairs
from passerby.evaluation.ranking import Ranking
from passerby.evaluation.verification import NOTHING_ACCEPTED, Verification


def identification_rate(
    ranking: Ranking, verification: Verification, fpir: float
) -> tuple[float, float] | None:
    """TPIR at rank 1, in the whole gallery, where at most `fpir` of the strangers are accepted.

    Args:
        ranking: Of the valid queries.
        verification: Of all pairs of the same queries.
        fpir: Allowed share of strangers, in (0, 1].

    Returns:
        `(rate, threshold)`, the threshold being the distance of the farthest match that is found;
        `None` where `fpir` is less than one query.
    """
    stranger = np.sort(verification.nearest_of_query)
    allowed = int(fpir * len(stranger) + 1e-9)
    if allowed < 1:
        return None
    refused = stranger[allowed] if allowed < len(stranger) else np.inf
    of_valid = nearest_match(ranking, verification)
    found = (ranking.first_rank == 1) & (of_valid < refused)
    threshold = float(of_valid[found].max()) if found.any() else NOTHING_ACCEPTED
    return float(found.mean()), threshold


def nearest_match(ranking: Ranking, verification: Verification) -> np.ndarray:
    """The distance of each valid query's nearest match, `float32 (V,)`."""
    match = np.full(len(verification.nearest_of_query), np.inf, np.float32)
    np.minimum.at(match, verification.genuine_query, verification.genuine)
    return match[ranking.query]


@dataclass(frozen=True)
class Searches:
    """What is found in a gallery of `N` impostor items, drawn for each of `Q` queries.

    The matches of a query are in the gallery in any case.
    """

    size: int | None
    """`N`; `None` for all that there are."""
    impostors: np.ndarray
    """`int64 (Q,)`: how many impostor items each query has in the whole gallery."""
    distance: np.ndarray
    """`float32 (K,)`: distances of the nearest impostor pairs, sorted."""
    query: np.ndarray
    """`int64 (K,)`: the query of each."""
    complete: bool
    """Whether these are all impostor pairs that there are."""
    match: np.ndarray
    """`float32 (V,)`: the distance of each valid query's nearest match."""
    first: np.ndarray
    """`(V,)`: probability that no impostor is drawn that is nearer than it."""

    @classmethod
    def of(
        cls, pairs: Pairs, ranking: Ranking, verification: Verification, size: int | None
    ) -> "Searches":
        """Of what an evaluation found.

        Args:
            pairs: Labels of all pairs, without junk.
            ranking: What was found of them.
            verification: What was found of them.
            size: `N`, at most the impostor items of any query; `None` for the whole gallery.
        """
        known, number = np.unique(pairs.gallery_people, return_counts=True)
        place = np.minimum(known.searchsorted(pairs.query_people), len(known) - 1)
        own = np.where(known[place] == pairs.query_people, number[place], 0)
        impostors = len(pairs.gallery_people) - own
        return cls(
            size,
            impostors,
            verification.nearest,
            verification.nearest_pair // len(pairs.gallery_people),
            len(verification.nearest) == verification.impostors,
            nearest_match(ranking, verification),
            _none_drawn(impostors[ranking.query], ranking.first_rank - 1, size),
        )

    def threshold(self, fpir: float) -> float | None:
        """The distance of the farthest match that is accepted where at most `fpir` strangers are.

        Args:
            fpir: Allowed share of strangers, in (0, 1].

        Returns:
            `NOTHING_ACCEPTED` where no match is; `None` where `fpir` is less than one query. Where
            more impostor pairs would be needed than are known, it is too near, never too far.
        """
        if fpir * len(self.impostors) < 1 - 1e-9:
            return None
        place = int(self._strangers.searchsorted(fpir * len(self.impostors) + 1e-6, "right"))
        end = np.inf if self.complete else self.distance[-1]
        refused = self.distance[place] if place < len(self.distance) else end
        accepted = self.match[(self.match < refused) & (self.first > 0)]
        return float(accepted.max()) if len(accepted) else NOTHING_ACCEPTED

    @cached_property
    def _strangers(self) -> np.ndarray:
        """How many strangers are accepted with each impostor pair and those before it, `(K,)`."""
        order = np.argsort(self.query, kind="stable")
        first = np.searchsorted(self.query[order], np.arange(len(self.impostors)))
        before = np.empty(len(order), np.int64)
        before[order] = np.arange(len(order)) - first[self.query[order]]
        of_pair = self.impostors[self.query]
        none_yet = _none_drawn(of_pair, before, self.size)
        return np.cumsum(none_yet - _none_drawn(of_pair, before + 1, self.size))

    def strangers_accepted(self, distance: float) -> np.ndarray:
        """For each query, as a stranger, the probability that somebody is found: `(Q,)`."""
        within = int(self.distance.searchsorted(np.float32(distance), "right"))
        near = np.bincount(self.query[:within], minlength=len(self.impostors))
        return 1 - _none_drawn(self.impostors, near, self.size)

    def enrolled_found(self, distance: float) -> np.ndarray:
        """For each valid query the probability that the right person is found: `(V,)`."""
        return np.where(self.match <= np.float32(distance), self.first, 0)


def _none_drawn(count: np.ndarray, near: np.ndarray, size: int | None) -> np.ndarray:
    """Probability that none of `near` is among `size` that are drawn of `count`."""
    if size is None:
        return (near == 0).astype(float)
    left = np.maximum(count - near - size, 0)
    logarithm = (
        gammaln(count - near + 1) - gammaln(left + 1) - gammaln(count + 1)
        + gammaln(count - size + 1)
    )  # fmt: skip
    drawn = np.where(near == 0, 1.0, np.exp(np.minimum(logarithm, 0)))
    return np.where(count - near >= size, drawn, 0.0)
