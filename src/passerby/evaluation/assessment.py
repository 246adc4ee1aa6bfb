"""The whole evaluation: ranking and verification under a protocol, in one pass over the pairs."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from passerby.errors import BadInput
from passerby.evaluation import distance as distances
from passerby.evaluation import inputs, protocols
from passerby.evaluation.distance import Block, Multiply, on_cpu
from passerby.evaluation.expansion import Expand, expanded
from passerby.evaluation.intervals import intervals
from passerby.evaluation.pairs import Pairs, checked
from passerby.evaluation.ranking import Ranking, hit_ranks, measured, rank
from passerby.evaluation.reranking import Rerank, reranked
from passerby.evaluation.result import Result
from passerby.evaluation.scale import collapsed
from passerby.evaluation.verification import Tally, Verification

RANKS = (1, 5, 10)
FARS = (1e-4, 1e-3, 1e-2)
Labels = Sequence[int] | np.ndarray


def evaluate(
    query_features: np.ndarray,
    gallery_features: np.ndarray,
    query_people: Labels,
    gallery_people: Labels,
    query_cameras: Labels,
    gallery_cameras: Labels,
    *,
    protocol: str = "market1501",
    distance: distances.Kind = "cosine",
    ranks: Sequence[int] = RANKS,
    fars: Sequence[float] = FARS,
    draws: int = 0,
    rerank: Rerank | None = None,
    expand: Expand | None = None,
    multiplier: Callable[[np.ndarray], Multiply] = on_cpu,
) -> Result:
    """Evaluate features under a protocol.

    Args:
        query_features: `(Q, D)`.
        gallery_features: `(G, D)`.
        query_people: `(Q,)`, from 1.
        gallery_people: `(G,)`; 0 is a distractor and -1 junk where the protocol knows them.
        query_cameras: `(Q,)`.
        gallery_cameras: `(G,)`.
        protocol: A name of `protocols.PROTOCOLS`.
        distance: `cosine` or `euclidean`.
        ranks: Ranks k of CMC@k, from 1.
        fars: False-accept rates at which TAR is given, in (0, 1); as FPIRs, TPIR.
        draws: How often people are drawn anew for 95 % intervals (`intervals`); 0 for none.
        rerank: Rank by k-reciprocal re-ranking too (`reranking`); `None` for no.
        expand: Rank after query expansion too (`expansion`); `None` for no.
        multiplier: What makes a `Multiply` of a gallery: numpy, or with
            `passerby.models.products.where_it_is_fast` a GPU.

    Raises:
        BadInput: an empty side, unequal dimensions, values that are not finite or that float32
            cannot hold the distances of, labels that do not fit, no query with a match, no impostor
            pair (which, and where).

    Example:
        >>> found = evaluate(np.eye(2), np.eye(2), [1, 2], [1, 2], [1, 1], [2, 2])
        >>> found.map, found.ranking.cmc(1), found.counts["impostor_pairs"]
        (1.0, 1.0, 2)
    """
    features = (query_features, gallery_features)
    pairs = checked(query_people, gallery_people, query_cameras, gallery_cameras)
    inputs.check_asked(ranks, fars)
    query, gallery = _looked_at(features, pairs, protocol)
    counts, pairs = _counts(pairs), pairs.without_junk()
    blocks = distances.blocks(query, gallery, distance, multiplier)
    ranking, verification = _measured(blocks, pairs, fars)
    counts |= {
        "queries_without_match": len(query) - len(ranking.query),
        "genuine_pairs": len(verification.genuine),
        "impostor_pairs": verification.impostors,
    }
    transductive = {}
    if rerank:
        again = reranked(query, gallery, distance, rerank, multiplier)
        transductive["reranked"] = rank(again, pairs)
    if expand:
        both = expanded(query, gallery, expand, multiplier)
        transductive["expanded"] = rank(distances.blocks(*both, distance, multiplier), pairs)
    return Result(
        protocol,
        distance,
        counts,
        ranking,
        verification,
        tuple(ranks),
        tuple(fars),
        intervals(pairs, ranking, verification, ranks, fars, draws) if draws else None,
        transductive,
        pairs,
        collapsed(query, gallery, distance),
    )


def _looked_at(
    features: tuple[np.ndarray, np.ndarray], pairs: Pairs, protocol: str
) -> tuple[np.ndarray, np.ndarray]:
    """Features of both sides, without those of junk, if the protocol can be asked of them."""
    query = inputs.features(features[0], "query_features")
    gallery = inputs.features(features[1], "gallery_features")
    inputs.check_sizes(query, gallery, pairs)
    protocols.named(protocol).check(pairs)
    counting = pairs.counting
    if not counting.any():
        raise BadInput("gallery_features: empty once junk (-1) is left out; nothing to search in")
    return query, gallery if counting.all() else gallery[counting]


def _measured(
    blocks: Iterable[Block], pairs: Pairs, fars: Sequence[float]
) -> tuple[Ranking, Verification]:
    """Both measures, in one pass."""
    query, ranks, tally = [], [], Tally(pairs, fars)
    for rows, block in blocks:
        genuine = pairs.genuine(rows)
        pairs.ignore(rows, block)
        query.append(rows.start + genuine[0])
        ranks.append(hit_ranks(block, genuine))
        tally.add(rows, block, genuine)
    ranking = measured(np.concatenate(query), np.concatenate(ranks, axis=1))
    verification = tally.found()
    if not len(ranking.query):
        raise BadInput(
            f"none of the {len(pairs.query_people):,} queries has a match by another camera in the "
            f"gallery of {len(pairs.gallery_people):,}; do the people and cameras of both sides "
            "belong together?"
        )
    if not verification.impostors:
        raise BadInput(
            "gallery_people: every item is of the query's own person; "
            "without other people nothing can be measured"
        )
    return ranking, verification


def _counts(pairs: Pairs) -> dict[str, int]:
    counting = int(pairs.counting.sum())
    return {
        "queries": len(pairs.query_people),
        "gallery": counting,
        "distractors": int((pairs.gallery_people == protocols.DISTRACTOR).sum()),
        "junk": len(pairs.gallery_people) - counting,
    }
