"""The distances of one query: its counting gallery in order, its true matches marked."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from passerby.evaluation.ranked_list import RankedList
from passerby.report import curves, style

ONE_BY_ONE = 20
"""Up to this rank wrong answers have a mark each; beyond, marks would be a band."""


def figure(
    ranked: RankedList, distance: str, title: str = "", threshold: tuple[float, str] | None = None
) -> Figure:
    """Distance against rank, which is logarithmic.

    A dotted line stands at the number of true matches: a perfect list has all of them up to it.

    Args:
        ranked: The query's ranked list.
        distance: What the distance is called.
        title: What stands above.
        threshold: A distance up to which a pair is accepted, and what it is called.
    """
    made, axes = curves.panel(title)
    rank = np.arange(1, len(ranked.item) + 1)
    axes.plot(rank, ranked.distance, color="#888888", linewidth=1)
    wrong = ~ranked.genuine & (rank <= ONE_BY_ONE)
    axes.plot(
        rank[wrong], ranked.distance[wrong], "x", color=style.WRONG, ms=4.5, mew=1.1,
        label=f"another person (marked up to rank {ONE_BY_ONE})",
    )  # fmt: skip
    axes.plot(
        rank[ranked.genuine], ranked.distance[ranked.genuine], "o", color=style.RIGHT, ms=6.5,
        mec="black", mew=0.8, zorder=3, label="the query's person",
    )  # fmt: skip
    matches = int(ranked.genuine.sum())
    if matches:
        axes.axvline(
            matches, color="black", linewidth=1, linestyle=":", label=f"true matches: {matches}"
        )
    if threshold:
        at, text = threshold
        axes.axhline(at, color="black", linewidth=1, linestyle="--", label=text)
    axes.set_xscale("log")
    axes.set_xlim(0.9, len(rank) * 1.1)
    axes.set_xlabel("rank")
    axes.set_ylabel(f"{distance} distance")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    style.legend_below(made, axes, columns=1)
    return made
