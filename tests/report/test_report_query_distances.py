"""The distances of one query, as they are drawn."""

import numpy as np
import pytest
from evaluated_samples import evaluated, slow_list
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from passerby.evaluation.ranked_list import RankedList
from passerby.report import query_distances, style


def lines(axes: Axes) -> dict[str, Line2D]:
    """The lines of a panel by what the legend calls them."""
    return {str(line.get_label()): line for line in axes.get_lines()}


def points(line: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(*line.get_data(), strict=True)]


def test_distances_stand_in_order_with_true_matches_marked() -> None:
    given = evaluated()
    query = int(given.result.ranking.query[0])
    (axes,) = query_distances.figure(given.lists([query])[0], "cosine").axes
    wanted = [(rank, d, right) for rank, (d, _, right) in enumerate(slow_list(given, query), 1)]
    found = lines(axes)
    assert points(axes.get_lines()[0]) == [(rank, d) for rank, d, _ in wanted]
    assert points(found["the query's person"]) == [(rank, d) for rank, d, right in wanted if right]
    assert points(found["another person (marked up to rank 20)"]) == [
        (rank, d) for rank, d, right in wanted if not right and rank <= 20
    ]
    matches = sum(right for _, _, right in wanted)
    assert found[f"true matches: {matches}"].get_xdata()[0] == matches
    assert axes.get_xscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("rank", "cosine distance")


def test_right_and_wrong_differ_by_their_marks_not_by_colour_alone() -> None:
    given = evaluated()
    (axes,) = query_distances.figure(given.lists([0])[0], "cosine").axes
    assert [line.get_marker() for line in axes.get_lines()[1:3]] == ["x", "o"]


@pytest.mark.parametrize("threshold", [None, (0.25, "threshold at FAR 1 %: 0.25")])
def test_a_threshold_is_a_line_where_there_is_one(threshold: tuple[float, str] | None) -> None:
    given = evaluated()
    (axes,) = query_distances.figure(given.lists([0])[0], "cosine", threshold=threshold).axes
    found = {text: line for text, line in lines(axes).items() if text.startswith("threshold")}
    if threshold is None:
        assert not found
    else:
        assert list(found[threshold[1]].get_ydata()) == [0.25, 0.25]


def test_a_query_without_matches_has_no_line_at_zero() -> None:
    alone = RankedList(0, np.array([4, 2]), np.array([0.1, 0.2], np.float32), np.zeros(2, bool))
    (axes,) = query_distances.figure(alone, "cosine").axes
    assert not any("true matches" in text for text in lines(axes))


def test_titles_are_broken_and_dollars_are_no_formula() -> None:
    assert style.wrapped("a$b$c", 5) == r"a\$b\$c"
    assert style.wrapped("one two\nthree", 0.5) == "one\ntwo\nthree"
