"""Ranked lists, against a loop over the rules."""

from typing import Any

import numpy as np
import pytest
from evaluation_samples import drawn

from passerby.errors import BadInput
from passerby.evaluation import distance as distances
from passerby.evaluation import evaluate
from passerby.evaluation.distance import Kind
from passerby.evaluation.ranked_list import ranked_lists


def sample(seed: int, levels: int = 3) -> dict[str, Any]:
    """Features of few different values, so that many items are as near as others; and junk."""
    _, pairs = drawn(seed)
    rng = np.random.default_rng(seed)
    return {
        "query_features": rng.integers(1, levels, (40, 4)).astype(np.float32),
        "gallery_features": rng.integers(1, levels, (150, 4)).astype(np.float32),
        "query_people": pairs.query_people,
        "gallery_people": pairs.gallery_people,
        "query_cameras": pairs.query_cameras,
        "gallery_cameras": pairs.gallery_cameras,
    }


def slow_list(arrays: dict[str, Any], query: int, kind: Kind) -> list[tuple[float, int, bool]]:
    """Distance, place and whether it is right, of each item that counts, in order."""
    kept = [g for g in range(150) if arrays["gallery_people"][g] != -1]
    row = distances.pairwise(arrays["query_features"], arrays["gallery_features"][kept], kind)
    found = []
    for column, g in enumerate(kept):
        same_person = arrays["gallery_people"][g] == arrays["query_people"][query]
        same_camera = arrays["gallery_cameras"][g] == arrays["query_cameras"][query]
        if same_person and same_camera:
            continue
        found.append((float(row[query, column]), g, bool(same_person)))
    return sorted(found)


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", range(4))
def test_a_list_is_that_of_a_loop_with_junk_own_camera_and_ties(seed: int, kind: Kind) -> None:
    arrays = sample(seed)
    found = ranked_lists(arrays, [7, 0, 39], kind)
    assert [one.query for one in found] == [7, 0, 39]
    for one in found:
        rows = zip(one.distance.tolist(), one.item.tolist(), one.genuine.tolist(), strict=True)
        assert list(rows) == slow_list(arrays, one.query, kind)


def test_the_first_match_stands_where_the_evaluation_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(distances, "BLOCK_PAIRS", 7 * 150)
    arrays = sample(0, levels=50)
    ranking = evaluate(**arrays).ranking
    found = ranked_lists(arrays, ranking.query.tolist(), "cosine")
    assert [int(one.genuine.argmax()) + 1 for one in found] == ranking.first_rank.tolist()


def test_blocks_without_a_wanted_query_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "BLOCK_PAIRS", 7 * 150)
    arrays = sample(0)
    given = arrays["query_features"], arrays["gallery_features"], "cosine"
    whole = {rows.start: block for rows, block in distances.blocks(*given)}
    some = {rows.start: block for rows, block in distances.blocks(*given, only=[8, 20])}
    assert list(some) == [7, 14]
    for start, block in some.items():
        np.testing.assert_array_equal(block, whole[start])


def test_queries_that_there_are_not_are_refused() -> None:
    with pytest.raises(BadInput, match="queries: -1, 40 found; there are 40, counted from 0"):
        ranked_lists(sample(0), [3, -1, 40], "cosine")
