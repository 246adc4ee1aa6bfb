"""Ranked lists: a query, then the gallery pictures that the model finds most like it.

A right answer has a thick solid frame and a tick, a wrong one a thin dashed frame and a cross:
green and red only say it again. Pictures that do not count (junk, and the query's person by its own
camera) are left out, as the protocol has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from passerby.errors import BadInput
from passerby.images import read_image
from passerby.report import style
from passerby.report.evaluated import Evaluated, camera_text

ANSWERS = 10
CELL_WIDTH, CELL_HEIGHT = 0.48, 0.96
"""Inches of a picture, at most: people are twice as high as wide."""
LINE, LABEL_WIDTH, GAP, AFTER_QUERY = 0.16, 0.92, 0.1, 0.16
ROOM = 0.018
"""Inches from a picture to the middle of its frame, which covers nothing."""
HEAD, FOOT, UNDER = 0.42, 0.24, 0.30
"""Inches above the first row, below the last, and under the pictures of each."""
SMALL, TINY = 7.5, 6.5
"""Points of type."""


@dataclass(frozen=True)
class Answer:
    """A gallery picture and what the model makes of it."""

    picture: np.ndarray
    """`uint8 (H, W, 3)` RGB."""
    distance: float
    right: bool


@dataclass(frozen=True)
class Row:
    """A query and its first answers."""

    label: str
    picture: np.ndarray
    """`uint8 (H, W, 3)` RGB."""
    answers: tuple[Answer, ...]


def rows(evaluated: Evaluated, queries: Sequence[int], count: int = ANSWERS) -> list[Row]:
    """Read the pictures of some queries and of their first answers.

    Args:
        evaluated: Whose queries.
        queries: Places among the queries, from 0.
        count: How many answers, at most.

    Raises:
        BadInput: there are features alone; a query that was not evaluated; a picture that cannot
            be read.
    """
    files = evaluated.files
    if files is None:
        raise BadInput(f"{evaluated.title}: features alone; ranked lists want picture files")
    found = []
    for one in evaluated.lists(queries):
        first = zip(one.item[:count], one.distance[:count], one.genuine[:count], strict=True)
        answers = tuple(
            Answer(read_image(files.root / files.gallery[item]), float(distance), bool(right))
            for item, distance, right in first
        )
        picture = read_image(files.root / files.query[one.query])
        found.append(Row(_label(evaluated, one.query), picture, answers))
    return found


def _label(evaluated: Evaluated, query: int) -> str:
    average_precision, first_rank = evaluated.standing(query)
    precision = style.percent(average_precision)
    person = evaluated.arrays["query_people"][query]
    camera = camera_text(int(evaluated.arrays["query_cameras"][query]))
    lines = (f"query {query}", f"person {person}", camera, f"AP {precision}")
    return "\n".join((*lines, f"first match:\nrank {first_rank:,}"))


def figure(shown: Sequence[Row], distance: str, title: str = "") -> Figure:
    """A row a query, rank by rank.

    Args:
        shown: The rows, from above.
        distance: What the distance under each answer is called.
        title: What stands above.
    """
    count = max(len(row.answers) for row in shown)
    width = _left(count) + CELL_WIDTH + GAP
    title = style.wrapped(title, width)
    head = HEAD + LINE * title.count("\n")
    height = head + len(shown) * (CELL_HEIGHT + UNDER) + FOOT
    made = Figure(figsize=(width, height))
    axes = made.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.text(GAP, 0.05, title, fontsize=9.5, va="top")
    for column in range(count + 1):
        text = str(column) if column else "query"
        axes.text(_left(column) + CELL_WIDTH / 2, head - 0.07, text, fontsize=SMALL, ha="center")
    for place, row in enumerate(shown):
        _draw_row(axes, head + place * (CELL_HEIGHT + UNDER), row)
    axes.text(
        GAP, height - 0.1, f"✓ thick: the query's person; ✗ dashed: another; numbers: {distance} "
        "distance; pictures that do not count are left out", fontsize=TINY,
    )  # fmt: skip
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    return made


def _left(column: int) -> float:
    """Where a column begins, in inches; the query's is 0, rank 1 is 1."""
    return LABEL_WIDTH + column * (CELL_WIDTH + GAP) + (AFTER_QUERY if column else 0)


def _draw_row(axes: Axes, top: float, row: Row) -> None:
    axes.text(GAP, top + 0.02, row.label, fontsize=SMALL, va="top", linespacing=1.35)
    _draw_picture(axes, _left(0), top, row.picture)
    for rank, answer in enumerate(row.answers, start=1):
        left, colour = _left(rank), style.RIGHT if answer.right else style.WRONG
        box = _draw_picture(axes, left, top, answer.picture)
        width, dash = (2.8, "solid") if answer.right else (1.3, (0, (3, 1.6)))
        box.set(edgecolor=colour, linewidth=width, linestyle=dash)
        text = f"{'✓' if answer.right else '✗'} {answer.distance:.3f}"
        axes.text(
            left + CELL_WIDTH / 2, top + CELL_HEIGHT + 0.06, text, fontsize=TINY, ha="center",
            va="top", color="black", fontweight="bold" if answer.right else "normal",
        )  # fmt: skip


def _draw_picture(axes: Axes, left: float, top: float, picture: np.ndarray) -> Rectangle:
    """A picture in the middle of its cell, its shape kept; gives the frame around it."""
    high, wide = picture.shape[:2]
    scale = min(CELL_WIDTH / wide, CELL_HEIGHT / high)
    width, height = wide * scale, high * scale
    left, top = left + (CELL_WIDTH - width) / 2, top + (CELL_HEIGHT - height) / 2
    axes.imshow(picture, extent=(left, left + width, top + height, top), aspect="auto")
    frame = Rectangle((left - ROOM, top - ROOM), width + 2 * ROOM, height + 2 * ROOM, fill=False)
    frame.set(edgecolor="black", linewidth=0.8, zorder=3)
    axes.add_patch(frame)
    return frame
