"""Protocols by name: which labels a set may have, and what its figures may be compared with.

All of them share the rules of `pairs`; they differ in what a set of that kind can hold. The counts
of a set are its own business and are checked where it is read.
"""

from dataclasses import dataclass

import numpy as np

from passerby.errors import BadInput, listing, nearest
from passerby.evaluation.pairs import JUNK, Pairs

DISTRACTOR = 0


@dataclass(frozen=True)
class Protocol:
    """What a set may hold under one protocol."""

    name: str
    rules: str
    """The rules in one sentence, for people."""
    strangers: bool = False
    """The gallery may hold distractors (0) and junk (-1)."""
    across_views: bool = False
    """No camera of the queries is one of the gallery."""

    def check(self, pairs: Pairs) -> None:
        """Refuse labels that the protocol does not know.

        Raises:
            BadInput: gallery images of nobody, or cameras on both sides, where there are none.
        """
        nobody = np.flatnonzero(pairs.gallery_people <= 0)
        below = np.flatnonzero(pairs.gallery_people < JUNK)
        if len(below) or (len(nobody) and not self.strangers):
            which = below if self.strangers else nobody
            raise BadInput(
                f"gallery_people: items {listing(list(which))} are "
                f"{listing(sorted(set(pairs.gallery_people[which].tolist())))}; {self.name} knows "
                f"{'people from 1, 0 and -1' if self.strangers else 'people from 1'} only"
            )
        both = np.intersect1d(pairs.query_cameras, pairs.gallery_cameras)
        if self.across_views and len(both):
            raise BadInput(
                f"cameras {listing(list(both))} are among the queries and in the gallery; "
                f"{self.name} has queries of one view and a gallery of the other"
            )


OWN_RULES = (
    "matches by the query's own camera are ignored; where no camera is known, only its very picture"
)
"""Of a set of one's own. `datasets.index.Items.views` gives such a picture a camera of its own."""

PROTOCOLS: dict[str, Protocol] = {
    "market1501": Protocol(
        "market1501",
        "matches by the query's own camera and junk (-1) are ignored; distractors (0000) are wrong",
        strangers=True,
    ),
    "cuhk03-np": Protocol(
        "cuhk03-np",
        "matches by the query's own camera are ignored; several matches a query",
    ),
    "cuhk01": Protocol(
        "cuhk01",
        "multi-shot: queries of one view, gallery of the other; the split of people is drawn",
        across_views=True,
    ),
    "msmt17": Protocol(
        "msmt17",
        "matches by the query's own camera are ignored; several matches a query",
    ),
    "folder": Protocol("folder", OWN_RULES),
    "csv": Protocol("csv", OWN_RULES),
}


def named(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        BadInput: there is none.
    """
    if name not in PROTOCOLS:
        known = list(PROTOCOLS)
        raise BadInput(f"protocol: no '{name}'{nearest(name, known)}; known: {', '.join(known)}")
    return PROTOCOLS[name]
