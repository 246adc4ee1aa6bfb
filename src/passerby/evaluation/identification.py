"""Open-set identification: who is it, if it is anybody who is enrolled?

The nearest gallery item answers, if it is within the threshold. A query's person is enrolled in the
one trial, and taken out of the gallery in the other; so every query is a stranger once. FAR (also
false-positive identification rate) is the share of strangers for whom somebody is found within the
threshold; DIR (detection and identification rate, P. Grother and P. Phillips, "Models of large
population recognition performance", CVPR 2004) the share of the enrolled whose nearest item is of
their person and within it. One query and a gallery of thousands make thousands of pairs: rates here
are far below TAR at the same FAR.
"""

import numpy as np

from passerby.evaluation.ranking import Ranking
from passerby.evaluation.verification import NOTHING_ACCEPTED, Verification


def identification_rate(
    ranking: Ranking, verification: Verification, far: float
) -> tuple[float, float] | None:
    """DIR at rank 1 where at most `far` of the strangers are taken for somebody.

    Args:
        ranking: Of the valid queries.
        verification: Of all pairs of the same queries.
        far: Allowed share of strangers, in (0, 1].

    Returns:
        `(rate, threshold)`, the threshold being the distance of the farthest match that is found;
        `None` where `far` is less than one query.
    """
    stranger = np.sort(verification.nearest_of_query)
    allowed = int(far * len(stranger) + 1e-9)
    if allowed < 1:
        return None
    refused = stranger[allowed] if allowed < len(stranger) else np.inf
    match = np.full(len(stranger), np.inf, np.float32)
    np.minimum.at(match, verification.genuine_query, verification.genuine)
    of_valid = match[ranking.query]
    found = (ranking.first_rank == 1) & (of_valid < refused)
    threshold = float(of_valid[found].max()) if found.any() else NOTHING_ACCEPTED
    return float(found.mean()), threshold
