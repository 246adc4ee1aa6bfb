"""Ranked lists: whose pictures stand where, and how they are framed."""

from pathlib import Path

import numpy as np
import pytest
from evaluated_samples import evaluated, slow_list
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from passerby.errors import BadInput
from passerby.report import ranked, style
from passerby.report.evaluated import drawn, hardest
from passerby.report.ranked import Answer, Row


def row(rights: str, shape: tuple[int, int] = (16, 8)) -> Row:
    """A row with an answer a letter, `r` a right one."""
    picture = np.zeros((*shape, 3), np.uint8)
    answers = tuple(Answer(picture, n / 8, letter == "r") for n, letter in enumerate(rights))
    return Row("query 3\nperson 1", picture, answers)


@pytest.mark.parametrize("seed", range(3))
def test_answers_are_those_of_a_loop_with_junk_own_camera_and_ties(
    tmp_path: Path, seed: int
) -> None:
    given = evaluated(tmp_path, seed)
    queries = [int(q) for q in given.result.ranking.query]
    ties = 0
    for query, found in zip(queries, ranked.rows(given, queries), strict=True):
        wanted = slow_list(given, query)[:10]
        assert found.picture[0, 0].tolist() == [100 + query, query, query]
        shown = [(a.distance, int(a.picture[0, 0, 0]), a.right) for a in found.answers]
        assert shown == wanted
        ties += len(wanted) - len({distance for distance, _, _ in wanted})
    assert ties > 10  # or the order of equals was not tried


def test_a_row_says_whose_it_is_and_where_its_first_match_stands(tmp_path: Path) -> None:
    given = evaluated(tmp_path)
    query = hardest(given.result.ranking, 1)[0]
    rank = 1 + [right for _, _, right in slow_list(given, query)].index(True)
    (found,) = ranked.rows(given, [query])
    assert found.label.startswith(f"query {query}\nperson {query % 6 + 1}\ncamera ")
    assert found.label.endswith(f"first match:\nrank {rank}")


def test_right_answers_have_thick_solid_frames_and_wrong_ones_thin_dashed() -> None:
    (axes,) = ranked.figure([row("rwwr"), row("wwwr")], "cosine").axes
    frames = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    looks = [
        (frame.get_linestyle() == "solid", frame.get_linewidth(), to_hex(frame.get_edgecolor()))
        for frame in frames
    ]
    of = {
        "query": (True, 0.8, "#000000"),
        "r": (True, 2.8, style.RIGHT.lower()),
        "w": (False, 1.3, style.WRONG.lower()),
    }
    assert looks == [of[name] for name in ("query", *"rwwr", "query", *"wwwr")]


def test_a_tick_or_a_cross_and_the_distance_stand_under_each_answer() -> None:
    (axes,) = ranked.figure([row("rwr")], "cosine").axes
    texts = [text.get_text() for text in axes.texts]
    under = [text for text in texts if text[:1] in ("✓", "✗")]
    assert under[:3] == ["✓ 0.000", "✗ 0.125", "✓ 0.250"]
    assert [text for text in texts if text.isdigit()] == ["1", "2", "3"]
    assert any("cosine distance" in text for text in texts)


def test_every_answer_stands_right_of_the_one_before_and_keeps_its_shape() -> None:
    (axes,) = ranked.figure([row("rwr", shape=(10, 20))], "cosine").axes
    extents = [image.get_extent() for image in axes.images]
    lefts = [left for left, _, _, _ in extents]
    assert lefts == sorted(set(lefts))
    for left, right, bottom, top in extents:
        assert (right - left) / (bottom - top) == pytest.approx(2)


def test_a_short_gallery_gives_a_short_row() -> None:
    (axes,) = ranked.figure([row("rw"), row("w")], "cosine").axes
    assert len(axes.images) == 5


def test_a_query_that_was_not_evaluated_is_refused(tmp_path: Path) -> None:
    given = evaluated(tmp_path)
    with pytest.raises(BadInput, match=r"queries: 99 found; there are 12, counted from 0"):
        ranked.rows(given, [99])
    with pytest.raises(BadInput, match=r"query 12: not among the \d+ queries that have a match"):
        given.standing(12)


def test_without_picture_files_they_are_refused() -> None:
    with pytest.raises(BadInput, match="a model on a set: features alone; ranked lists want"):
        ranked.rows(evaluated(), [0])


def test_a_picture_that_is_gone_is_named(tmp_path: Path) -> None:
    given = evaluated(tmp_path)
    query = int(given.result.ranking.query[0])
    (tmp_path / "query" / f"{query}.png").unlink()
    with pytest.raises(BadInput, match=rf"query/{query}\.png: no such file"):
        ranked.rows(given, [query])


def test_the_hardest_are_those_of_least_average_precision_and_ties_go_by_place() -> None:
    ranking = evaluated().result.ranking
    pairs = zip(ranking.average_precision.tolist(), ranking.query.tolist(), strict=True)
    wanted = [query for _, query in sorted(pairs)]
    assert hardest(ranking, 5) == wanted[:5]
    assert hardest(ranking, 99) == wanted


def test_a_draw_of_queries_is_the_seeds_and_has_none_twice() -> None:
    ranking = evaluated().result.ranking
    found = drawn(ranking, 5, seed=3)
    assert found == drawn(ranking, 5, seed=3)
    assert found != drawn(ranking, 5, seed=4)
    assert len(set(found)) == 5
    assert drawn(ranking, 99) == ranking.query.tolist()
