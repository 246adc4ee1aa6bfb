"""Evaluating repeated trials: each by the rules of `evaluate`, all of them of the same features."""

from collections.abc import Sequence

import numpy as np

from passerby.errors import BadInput, listing
from passerby.evaluation import distance as distances
from passerby.evaluation import inputs
from passerby.evaluation.pairs import Pairs, checked
from passerby.evaluation.ranking import Ranking, rank
from passerby.evaluation.repeated_result import TrialsResult
from passerby.evaluation.trials import Labels, Trial, Trials

RANKS = (1, 5, 10, 20)


def evaluate_trials(
    features: np.ndarray,
    people: Labels,
    cameras: Labels,
    trials: Trials,
    *,
    distance: distances.Kind = "cosine",
    ranks: Sequence[int] = RANKS,
) -> TrialsResult:
    """Evaluate the features of all test pictures in each trial.

    Args:
        features: `(N, D)`, of every picture once.
        people: `(N,)`, from 1.
        cameras: `(N,)`; of these protocols the views.
        trials: Which pictures are queries and gallery: `classic_cuhk03`, `cuhk01`.
        distance: `cosine` or `euclidean`.
        ranks: Ranks k of CMC@k, from 1.

    Raises:
        BadInput: no trials; features that are none; labels that are not one of each for each
            feature; in a trial (which is said) an empty side, a picture that is not there, or no
            query with a match.

    Example:
        >>> from passerby.evaluation.trials import cuhk01
        >>> people, views = np.array([1, 1, 2, 2]), np.array([1, 2, 1, 2])
        >>> there_and_back = cuhk01(people, views, [(1, 2)])
        >>> found = evaluate_trials(np.eye(3)[people], people, views, there_and_back)
        >>> found.trials, found.cmc(1), found.map
        (2, Spread(mean=1.0, deviation=0.0), None)
    """
    known = inputs.features(features, "features")
    person, camera = np.asarray(people), np.asarray(cameras)
    inputs.check_asked(ranks, ())
    if not len(known) == len(person) == len(camera):
        raise BadInput(
            f"{len(known):,} features, {len(person):,} people and {len(camera):,} cameras; "
            "one of each wanted for each picture"
        )
    if not trials.trials:
        raise BadInput(f"{trials.protocol}: no trials; one wanted at least")
    found = []
    for number, trial in enumerate(trials.trials, start=1):
        where = f"trial {number} of {len(trials.trials)}"
        _check(trial, len(known), where)
        pairs = checked(
            person[trial.query], person[trial.gallery], camera[trial.query], camera[trial.gallery]
        )
        blocks = distances.blocks(known[trial.query], known[trial.gallery], distance)
        ranking = rank(blocks, pairs)
        if not len(ranking.query):
            raise BadInput(
                f"{where}: none of the {len(trial.query):,} queries has a match by another camera "
                f"in the gallery of {len(trial.gallery):,}"
            )
        found.append((pairs, ranking))
    return _result(found, trials, distance, tuple(ranks))


def _check(trial: Trial, count: int, where: str) -> None:
    for side, places in (("queries", trial.query), ("gallery", trial.gallery)):
        if not len(places):
            raise BadInput(f"{where}: no {side}; pictures of both views are wanted")
        beyond = places[(places < 0) | (places >= count)]
        if len(beyond):
            raise BadInput(
                f"{where}: {side} {listing(beyond.tolist())}, but there are features of "
                f"{count:,} pictures, counted from 0"
            )


def _result(
    found: Sequence[tuple[Pairs, Ranking]], trials: Trials, distance: str, ranks: tuple[int, ...]
) -> TrialsResult:
    queries = [len(pairs.query_people) for pairs, _ in found]
    valid = [len(ranking.query) for _, ranking in found]
    gallery = [len(pairs.gallery_people) for pairs, _ in found]
    counts = {
        "queries": queries,
        "queries_without_match": np.subtract(queries, valid).tolist(),
        "gallery": gallery,
    }
    # Average precision of a single match is but one over its rank, and no paper's mAP.
    several = any(_several(pairs, ranking) for pairs, ranking in found)
    precision = np.array([ranking.average_precision.mean() for _, ranking in found])
    return TrialsResult(
        protocol=trials.protocol,
        rules=trials.rules,
        distance=distance,
        ranks=ranks,
        counts={name: (min(numbers), max(numbers)) for name, numbers in counts.items()},
        cmc_of_trial=np.array([[ranking.cmc(k) for k in ranks] for _, ranking in found]),
        map_of_trial=precision if several else None,
        cmc_by_ties=np.array(
            [[ranking.ties.cmc(k) for k in ranks] for _, ranking in found]
        ).transpose(0, 2, 1),
    )


def _several(pairs: Pairs, ranking: Ranking) -> bool:
    """Whether a query has more matches than one."""
    matches, _ = pairs.genuine(slice(0, len(pairs.query_people)))
    return len(matches) > len(ranking.query)
