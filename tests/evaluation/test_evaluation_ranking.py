"""Ranking against other implementations, loops from the definitions, and hand-made cases."""

import evaluation_samples as plain
import numpy as np
import pytest
from evaluation_samples import drawn
from sklearn.metrics import average_precision_score

from passerby.evaluation import evaluate
from passerby.evaluation.pairs import Pairs, checked
from passerby.evaluation.ranking import Ranking, measured, rank


def ranked(distances: list[list[float]] | np.ndarray, pairs: Pairs) -> Ranking:
    block = np.array(distances, np.float32)
    return rank([(slice(0, len(block)), block)], pairs)


def rank_of_torchreid(distances: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, float]:
    """CMC (50 ranks) and mAP by the rule of torchreid 1.4 and fast-reid, junk taken out before."""
    kept = pairs.gallery_people != -1
    people, cameras = pairs.gallery_people[kept], pairs.gallery_cameras[kept]
    curves, precisions = [], []
    for row, person, camera in zip(
        distances[:, kept], pairs.query_people, pairs.query_cameras, strict=True
    ):
        order = np.argsort(row)
        keep = ~((people[order] == person) & (cameras[order] == camera))
        matches = (people[order] == person)[keep].astype(int)
        if not matches.any():
            continue
        curves.append(np.minimum(matches.cumsum(), 1)[:50])
        share = matches.cumsum() / np.arange(1, len(matches) + 1)
        precisions.append((share * matches).sum() / matches.sum())
    return np.mean(curves, axis=0), float(np.mean(precisions))


def precision_of_toolbox(order: np.ndarray, good: set[int], junk: set[int]) -> float:
    """`compute_AP.m` of Market-1501's evaluation code, step by step."""
    recall_before, precision_before, area = 0.0, 1.0, 0.0
    found, place = 0, 0
    for item in order.tolist():
        if item in junk:
            continue
        found += item in good
        recall, precision = found / len(good), found / (place + 1)
        area += (recall - recall_before) * (precision_before + precision) / 2
        recall_before, precision_before, place = recall, precision, place + 1
        if found == len(good):
            break
    return area


@pytest.mark.parametrize("seed", range(3))
def test_precision_equals_scikit_learns(seed: int) -> None:
    distances, pairs = drawn(seed)
    found = ranked(distances, pairs)
    genuine, counting = plain.genuine(pairs), ~plain.ignored(pairs)
    assert found.average_precision == pytest.approx(
        [
            average_precision_score(genuine[q, counting[q]], -distances[q, counting[q]])
            for q in found.query
        ],
        abs=1e-12,
    )


@pytest.mark.parametrize("seed", range(3))
def test_cmc_and_map_equal_those_of_torchreids_rule(seed: int) -> None:
    distances, pairs = drawn(seed)
    found = ranked(distances, pairs)
    curve, mean_precision = rank_of_torchreid(distances, pairs)
    assert [found.cmc(k) for k in range(1, 51)] == pytest.approx(curve, abs=1e-12)
    assert found.average_precision.mean() == pytest.approx(mean_precision, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_trapezoid_equals_markets_toolbox(seed: int) -> None:
    distances, pairs = drawn(seed)
    found = ranked(distances, pairs)
    for place, q in enumerate(found.query):
        same = pairs.gallery_people == pairs.query_people[q]
        near = pairs.gallery_cameras == pairs.query_cameras[q]
        good = set(np.flatnonzero(same & ~near).tolist())
        junk = set(np.flatnonzero((same & near) | (pairs.gallery_people == -1)).tolist())
        wanted = precision_of_toolbox(np.argsort(distances[q]), good, junk)
        assert found.average_precision_trapezoid[place] == pytest.approx(wanted, abs=1e-12)


def test_penalty_and_first_rank_equal_a_loop_from_the_definition() -> None:
    distances, pairs = drawn(5)
    found = ranked(distances, pairs)
    for place, q in enumerate(found.query):
        seen, hits = 0, []
        for item in np.argsort(distances[q]):
            person, camera = pairs.gallery_people[item], pairs.gallery_cameras[item]
            if person == -1:
                continue
            if person == pairs.query_people[q]:
                if camera == pairs.query_cameras[q]:
                    continue
                hits.append(seen + 1)
            seen += 1
        assert found.first_rank[place] == hits[0]
        assert found.inverse_negative_penalty[place] == pytest.approx(len(hits) / hits[-1])


def test_one_match_at_rank_two_gives_a_half_and_a_quarter() -> None:
    found = ranked([[0.1, 0.2, 0.3]], checked([1], [2, 1, 3], [1], [2, 2, 2]))
    assert found.average_precision.tolist() == [0.5]
    assert found.average_precision_trapezoid.tolist() == [0.25]
    assert found.inverse_negative_penalty.tolist() == [0.5]
    assert [found.cmc(1), found.cmc(2)] == [0.0, 1.0]


def test_junk_and_the_querys_own_camera_take_no_rank() -> None:
    pairs = checked([7], [-1, 7, -1, 7], [1], [2, 1, 1, 2])
    found = ranked([[0.1, 0.2, 0.3, 0.4]], pairs)
    assert found.first_rank.tolist() == [1]
    assert found.average_precision.tolist() == [1.0]


def test_a_distractor_takes_a_rank_by_whichever_camera() -> None:
    found = ranked([[0.1, 0.2, 0.3]], checked([7], [0, 0, 7], [1], [1, 2, 2]))
    assert found.first_rank.tolist() == [3]
    assert found.average_precision[0] == pytest.approx(1 / 3)


def test_a_query_seen_by_its_own_camera_only_is_left_out() -> None:
    pairs = checked([1, 2], [1, 1, 2], [1, 1], [1, 1, 2])
    found = ranked([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]], pairs)
    assert found.query.tolist() == [1]
    assert found.first_rank.tolist() == [3]


def test_ties_go_to_the_earlier_item_of_the_gallery() -> None:
    first = ranked([[0.5, 0.5]], checked([1], [1, 2], [1], [2, 2]))
    second = ranked([[0.5, 0.5]], checked([1], [2, 1], [1], [2, 2]))
    assert (first.first_rank[0], second.first_rank[0]) == (1, 2)


@pytest.mark.parametrize("levels", [None, 3, 20])
@pytest.mark.parametrize("seed", range(3))
def test_every_measure_equals_its_definition_with_ties_and_without(
    seed: int, levels: int | None
) -> None:
    distances, pairs = drawn(seed, levels=levels)
    found = rank(plain.blocks(distances), pairs)
    genuine, ignored = plain.genuine(pairs), plain.ignored(pairs)
    assert found.query.tolist() == np.flatnonzero(genuine.any(axis=1)).tolist()
    for place, q in enumerate(found.query):
        hits = plain.hits_in_order(distances[q], genuine[q], ignored[q])
        assert found.first_rank[place] == plain.first_rank(hits)
        assert found.average_precision[place] == pytest.approx(
            plain.average_precision(hits), abs=1e-12
        )
        assert found.inverse_negative_penalty[place] == pytest.approx(
            plain.inverse_negative_penalty(hits), abs=1e-12
        )


def test_ties_lie_between_the_optimistic_and_the_pessimistic_rank() -> None:
    distances, pairs = drawn(1, levels=5)
    genuine, ignored = plain.genuine(pairs), plain.ignored(pairs)
    stated = rank(plain.blocks(distances), pairs)
    kind, unkind = (
        rank(plain.blocks(distances + sign * 0.01 * genuine), pairs) for sign in (-1, 1)
    )
    assert (kind.first_rank <= stated.first_rank).all()
    assert (stated.first_rank <= unkind.first_rank).all()
    assert (kind.average_precision > stated.average_precision).any()
    assert (stated.average_precision > unkind.average_precision).any()
    assert not (genuine & ignored).any()


def test_a_row_without_any_hit_and_a_gallery_of_one_are_ranked() -> None:
    found = ranked([[0.4], [0.4]], checked([1, 2], [2], [1, 1], [2]))
    assert (found.query.tolist(), found.first_rank.tolist()) == ([1], [1])
    assert not len(ranked([[0.4]], checked([1], [2], [1], [2])).query)


def test_perfect_and_reversed_orders_have_known_values() -> None:
    found = measured(np.array([0, 0, 1, 1]), np.array([1, 2, 3, 4]))
    assert found.average_precision == pytest.approx([1.0, (1 / 3 + 2 / 4) / 2])
    assert found.average_precision_trapezoid == pytest.approx(
        [1.0, ((0 + 1 / 3) / 2 + (1 / 3 + 2 / 4) / 2) / 2]
    )
    assert found.inverse_negative_penalty.tolist() == [1.0, 0.5]


def test_blocks_give_the_same_ranking_as_the_whole() -> None:
    distances, pairs = drawn(9)
    whole = ranked(distances, pairs)
    split = rank(plain.blocks(distances, 7), pairs)
    assert split.query.tolist() == whole.query.tolist()
    assert split.average_precision.tolist() == whole.average_precision.tolist()


def test_a_querys_measures_do_not_depend_on_the_other_queries() -> None:
    rng = np.random.default_rng(3)
    query, gallery = rng.normal(size=(6, 8)), rng.normal(size=(40, 8))
    people, cameras = rng.integers(1, 5, 40), rng.integers(1, 4, 40)
    labels = [1, 2, 3, 4, 1, 2]
    whole = evaluate(query, gallery, labels, people, [9] * 6, cameras)
    alone = [
        evaluate(query[i : i + 1], gallery, labels[i : i + 1], people, [9], cameras).map
        for i in range(6)
    ]
    assert whole.ranking.average_precision == pytest.approx(alone, abs=1e-12)
