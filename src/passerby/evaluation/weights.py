"""What pairs weigh when people are drawn anew: of many draws at once, without copying anybody.

The nearest impostor pairs stand sorted, in parts of a few thousand. What a part weighs in all draws
of a batch is one sparse product; only the part in which a threshold falls is looked at pair by
pair. Weights are whole numbers, so sums are exact in whichever order they are made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from passerby.evaluation.pairs import Pairs
from passerby.evaluation.verification import Verification

LEAST_PART, MOST_PARTS = 1 << 13, 1 << 8
"""Pairs of a part, at the least; and into how many parts the pairs are cut, at the most."""


@dataclass(frozen=True)
class Units:
    """What is drawn: people, then the distractors one by one; `U` together."""

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
    def of(cls, pairs: Pairs) -> "Units":
        """The units of all pairs, without junk."""
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

    def pairs(self, weight: np.ndarray) -> np.ndarray:
        """What all impostor pairs weigh together in each draw: `(b, U)` to `(b,)`."""
        items = weight * self.items_of
        others = items.sum(axis=1, keepdims=True) - items
        return np.asarray((weight * self.queries_of * others).sum(axis=1))


class WeightedPairs:
    """TAR and FAR of draws.

    Args:
        pairs: Labels of all pairs, without junk.
        verification: What was found of them.
        fars: False-accept rates that can be measured.
        thresholds: The distance of each, among the impostor pairs that are kept.
    """

    def __init__(
        self,
        pairs: Pairs,
        verification: Verification,
        fars: Sequence[float],
        thresholds: Sequence[float],
    ) -> None:
        self.units = Units.of(pairs)
        self._found, self._fars = verification, np.array(fars)
        limits = np.array(thresholds, np.float32)
        self._within = verification.nearest.searchsorted(limits, "right")
        self._accepted = verification.genuine.searchsorted(limits, "right")
        query, item = np.divmod(verification.nearest_pair, len(self.units.gallery))
        self._of_pair = self.units.query[query], self.units.gallery[item]
        step = max(LEAST_PART, -(-len(query) // MOST_PARTS))
        even = np.arange(0, len(query) + step, step).clip(max=len(query))
        self._bounds = np.unique(np.concatenate([even, self._within]))
        self._parts: list[sparse.csr_array] = []

    def rates(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of a batch of draws, for each FAR.

        Args:
            weight: `(b, U)`.

        Returns:
            TAR at the threshold of the draw, TAR and FAR at the given one: `(b, n)` each.
        """
        genuine = weight[:, self.units.query[self._found.genuine_query]]
        up_to = np.concatenate([np.zeros((len(weight), 1)), np.cumsum(genuine, axis=1)], axis=1)
        every_pair = self.units.pairs(weight)
        allowed = self._fars * every_pair[:, None] + 1e-9
        impostor = self._up_to_bounds(weight, allowed.max(axis=1, initial=0))
        refused = self._first_refused(weight, allowed, impostor)
        chosen = self._found.genuine.searchsorted(refused, "left")
        far = impostor[:, self._bounds.searchsorted(self._within)]
        return (
            np.take_along_axis(up_to, chosen, axis=1) / up_to[:, -1:],
            up_to[:, self._accepted] / up_to[:, -1:],
            far / np.maximum(every_pair, 1)[:, None],
        )

    def _up_to_bounds(self, weight: np.ndarray, enough: np.ndarray) -> np.ndarray:
        """What the pairs before each bound weigh, `(b, n)`; as many bounds as are needed."""
        by_unit = np.ascontiguousarray(weight.T)
        people = by_unit[: self.units.people]
        sums = [np.zeros(len(weight))]
        needed = int(self._bounds.searchsorted(self._within.max(initial=0)))
        for number in range(len(self._bounds) - 1):
            if number >= needed and (sums[-1] > enough).all():
                break
            part = self._part(number)
            sums.append(sums[-1] + np.einsum("ub,ub->b", people, part @ by_unit))
        return np.stack(sums, axis=1)

    def _part(self, number: int) -> sparse.csr_array:
        """How many pairs of a part each two units have."""
        if number == len(self._parts):
            here = slice(*self._bounds[number : number + 2])
            query, item = self._of_pair[0][here], self._of_pair[1][here]
            shape = self.units.people, len(self.units.items_of)
            ones = np.ones(len(query))
            self._parts.append(sparse.csr_array((ones, (query, item)), shape=shape))
        return self._parts[number]

    def _first_refused(
        self, weight: np.ndarray, allowed: np.ndarray, up_to: np.ndarray
    ) -> np.ndarray:
        """The nearest distance with which impostor pairs would weigh more than is allowed.

        Where the pairs that are kept do not weigh as much, it is the farthest of them: then TAR
        comes out too low, never too high.
        """
        nearest = self._found.nearest
        end = np.float32(np.inf if len(nearest) == self._found.impostors else nearest[-1])
        found = np.full(allowed.shape, end, np.float32)
        for draw, rate in np.ndindex(*allowed.shape):
            after = int(up_to[draw].searchsorted(allowed[draw, rate], "right"))
            if after < up_to.shape[1]:
                here = slice(*self._bounds[after - 1 : after + 1])
                own = weight[draw]
                pairs = own[self._of_pair[0][here]] * own[self._of_pair[1][here]]
                sums = up_to[draw, after - 1] + np.cumsum(pairs)
                place = int(sums.searchsorted(allowed[draw, rate], "right"))
                found[draw, rate] = nearest[here][place]
        return found
