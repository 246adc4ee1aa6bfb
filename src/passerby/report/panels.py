"""Panels that pictures of one model and of many share: axes of ROC and CMC, distances of pairs."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from passerby.report import style

KINDS = {"genuine": "same person", "impostor": "different people"}
"""What the two kinds of pairs are called."""
LAST_RANK = 20
"""Of a picture of CMC."""
Spread = tuple[np.ndarray, np.ndarray]
"""The middles of `n` bins of distance, and the share of the pairs in each: `(n,)` both."""


def roc(axes: Axes, least_fpr: float) -> None:
    """Axes of true accepts against false accepts, those logarithmic from `least_fpr`."""
    axes.set_xscale("log")
    axes.set_xlim(least_fpr, 1)
    axes.set_ylim(0, 1.01)
    axes.set_xlabel("false accepts (different people), share")
    axes.set_ylabel("true accepts (same person), %")
    style.percent_axis(axes.yaxis)


def cmc(axes: Axes) -> None:
    """Axes of the share of queries with a right match against the rank."""
    axes.set_xlabel("rank")
    axes.set_ylabel("queries with a match up to it, %")
    axes.set_xlim(1, LAST_RANK)
    axes.set_xticks([1, 5, 10, 15, 20])
    style.percent_axis(axes.yaxis)


def distances(axes: Axes, spread: Mapping[str, Spread]) -> None:
    """How the distances of pairs of each of `KINDS` are spread."""
    for index, (kind, text) in enumerate(KINDS.items()):
        look = style.look(index)
        x, y = spread[kind]
        axes.plot(x, y, color=look.colour, linestyle=look.dash, label=text)
        axes.fill_between(x, y, color=look.colour, alpha=0.15)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("pairs, %")
    style.percent_axis(axes.yaxis)
