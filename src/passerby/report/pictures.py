"""The pictures: mAP bars, ROC, CMC, mAP against labels, pretraining curves, distances.

Each takes the rows of the tables (or histories) and returns a figure, or `None` where there is
nothing to draw. One look an init, the same in every picture; one line a seed.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from passerby.report import panels, style
from passerby.report.rows import MAP, Row, sets
from passerby.settings import Params

LEAST_FPR = 1e-4
SMOOTH_SHARE = 0.02
"""Width of the running mean over a loss curve, as a share of the steps."""


def looks(table: Sequence[Row]) -> dict[str, style.Look]:
    """The look of each init (by each recipe) and baseline."""
    return {line: style.look(i) for i, line in enumerate(dict.fromkeys(r.line for r in table))}


def bars(table: Sequence[Row], params: Params) -> Figure:
    """mAP of each row on each set: a bar for the mean, a dot for each seed."""
    names = sets(params)
    height = 0.9 + 0.34 * len(table)
    figure, grid = style.panels(1, len(names), 4.2, height)
    for axes, name in zip(grid[0], names, strict=True):
        for place, row in enumerate(table):
            _bar(axes, place, row, name, looks(table)[row.line])
        axes.set_yticks(range(len(table)), [row.title for row in table])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_title(name)
        axes.set_xlabel("mAP, %")
        axes.margins(x=0.16)
        style.percent_axis(axes.xaxis)
    return figure


def _bar(axes: Axes, place: int, row: Row, set_name: str, look: style.Look) -> None:
    pooled = row.pooled(MAP, set_name)
    assert pooled is not None  # every outcome has its mAP
    axes.barh(
        place, pooled.mean, 0.66, color=look.colour, alpha=0.85, hatch=look.hatch, edgecolor="white"
    )
    if len(pooled.values) > 1:
        axes.plot([pooled.low, pooled.high], [place, place], color="black", linewidth=1)
        axes.plot(
            pooled.values, [place] * len(pooled.values), "o", color="white", mec="black", ms=3.5
        )
    axes.text(pooled.high, place, f"  {100 * pooled.mean:.1f}", va="center")


def roc(table: Sequence[Row], params: Params) -> Figure:
    """True accepts against false accepts, false accepts on a logarithmic axis."""
    figure, grid = _curves(table, params, "roc", "fpr", "tpr", LEAST_FPR)
    for axes in (axes for line in grid for axes in line):
        panels.roc(axes, LEAST_FPR)
    return figure


def cmc(table: Sequence[Row], params: Params) -> Figure:
    """Share of queries with a right match among the first so many."""
    figure, grid = _curves(table, params, "cmc", "rank", "share", 0)
    for axes in (axes for line in grid for axes in line):
        panels.cmc(axes)
    return figure


def _curves(
    table: Sequence[Row], params: Params, file: str, x: str, y: str, least: float
) -> tuple[Figure, list[list[Axes]]]:
    """A panel for each percent and set, with the baselines in each; points with `x > least`."""
    percents, names = params.branches.percents, sets(params)
    figure, grid = style.panels(len(percents), len(names), 4.2, 3.4)
    for line, percent in zip(grid, percents, strict=True):
        for axes, name in zip(line, names, strict=True):
            for row in (row for row in table if row.percent in (percent, None)):
                for number, outcome in enumerate(row.on(name)):
                    points = outcome.curve(file)
                    kept = points[x] > least
                    look = looks(table)[row.line]
                    axes.plot(
                        points[x][kept], points[y][kept], color=look.colour, linestyle=look.dash,
                        marker=look.marker, markevery=(0.02 + 0.03 * (number % 3), 0.2),
                        label=row.line if number == 0 else None,
                    )  # fmt: skip
            axes.set_title(name if len(percents) == 1 else f"{name}, {percent} % of the labels")
    style.legend_below(figure, grid[0][0])
    return figure, grid


def labels(table: Sequence[Row], params: Params) -> Figure | None:
    """mAP against the share of the labels, where there are several shares."""
    if len(params.branches.percents) < 2:
        return None
    names = sets(params)
    figure, grid = style.panels(1, len(names), 4.2, 3.2)
    for axes, name in zip(grid[0], names, strict=True):
        for line, look in looks(table).items():
            _labels_line(axes, [row for row in table if row.line == line], name, look)
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks(params.branches.percents, [str(p) for p in params.branches.percents])
        axes.set_title(name)
        axes.set_xlabel("labelled people, %")
        axes.set_ylabel("mAP, %")
        style.percent_axis(axes.yaxis)
    style.legend_below(figure, grid[0][0])
    return figure


def _labels_line(axes: Axes, line: Sequence[Row], set_name: str, look: style.Look) -> None:
    """One init over its percents: the mean as a line, the seeds' span as a bar at each point."""
    points = sorted(
        (row.percent, pooled)
        for row in line
        if row.percent and (pooled := row.pooled(MAP, set_name)) is not None
    )
    if not points:
        return
    percents = [percent for percent, _ in points]
    means = np.array([pooled.mean for _, pooled in points])
    down = means - [pooled.low for _, pooled in points]
    up = np.array([pooled.high for _, pooled in points]) - means
    axes.errorbar(
        percents, means, yerr=np.abs([down, up]), capsize=3,
        color=look.colour, linestyle=look.dash, marker=look.marker, label=line[0].line,
    )  # fmt: skip


SHOWN = (
    ("loss", "contrast loss"),
    ("accuracy", "key found among the queue, share"),
    ("spread", "spread of the embeddings"),
    ("alignment", "alignment: distance of positives"),
    ("uniformity", "uniformity"),
)
"""Columns of a history that are drawn, where it was kept."""


def pretraining(
    histories: dict[str, dict[str, np.ndarray]],
    watched: dict[str, dict[str, np.ndarray]],
    order: Sequence[str],
) -> Figure | None:
    """What each arm measured of itself against the step, and what the monitor saw.

    Args:
        histories: Columns `step`, `loss` and others of each arm; a running mean is drawn.
        watched: Columns `epoch` and `map` of the arms that had a monitor.
        order: Inits and arms: a place in it gives the look, as in the other pictures.
    """
    if not histories:
        return None
    kept = [(key, text) for key, text in SHOWN if all(key in h for h in histories.values())]
    count = len(kept) + bool(watched)
    columns = min(count, 3)
    figure, grid = style.panels(-(-count // columns), columns, 4.2, 3.0)
    panels = [axes for line in grid for axes in line]
    for axes, (key, text) in zip(panels, kept, strict=False):
        smooth = {arm: (h["step"], running_mean(h[key])) for arm, h in histories.items()}
        _arm_curves(axes, smooth, order, "step", text)
    if watched:
        scores = {arm: (found["epoch"], found["map"]) for arm, found in watched.items()}
        _arm_curves(panels[len(kept)], scores, order, "epoch", "monitor: mAP on training people, %")
        style.percent_axis(panels[len(kept)].yaxis)
    for axes in panels[count:]:
        axes.set_axis_off()
    style.legend_below(figure, panels[0])
    return figure


def _arm_curves(
    axes: Axes,
    curves: dict[str, tuple[np.ndarray, np.ndarray]],
    order: Sequence[str],
    over: str,
    title: str,
) -> None:
    """A curve for each arm."""
    for arm, (x, y) in curves.items():
        look = style.look(order.index(arm))
        axes.plot(
            x, y, color=look.colour, linestyle=look.dash, marker=look.marker, markevery=0.2,
            label=arm,
        )  # fmt: skip
    axes.set_xlabel(over)
    axes.set_title(title)


def running_mean(values: np.ndarray) -> np.ndarray:
    """The mean of a window around each value; the window is narrower at both ends.

    Example:
        >>> running_mean(np.array([1.0, 2.0, 6.0])).tolist()
        [1.0, 2.0, 6.0]
    """
    half = round(SMOOTH_SHARE * len(values) / 2)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    reach = np.minimum(np.minimum(place, len(values) - 1 - place), half)
    return np.asarray((sums[place + reach + 1] - sums[place - reach]) / (2 * reach + 1))


def distances(table: Sequence[Row], params: Params) -> Figure:
    """How far apart pictures of one person and of two people are, at the largest share of labels.

    A panel for each init (rows) and set (columns), of the first seed.
    """
    most = max(params.branches.percents)
    shown = [row for row in table if row.percent in (most, None)]
    names = sets(params)
    figure, grid = style.panels(len(shown), len(names), 4.2, 1.7)
    for line, row in zip(grid, shown, strict=True):
        for axes, name in zip(line, names, strict=True):
            panels.distances(axes, _kinds(row.on(name)[0].curve("distances")))
            axes.set_title(f"{row.line} on {name}")
    for axes in grid[-1]:
        axes.set_xlabel("distance")
    style.legend_below(figure, grid[0][0])
    return figure


def _kinds(points: dict[str, np.ndarray]) -> dict[str, panels.Spread]:
    """Distances and shares of each kind of pairs, out of the columns of `distances.tsv`."""
    of = {kind: points["kind"] == kind for kind in panels.KINDS}
    return {kind: (points["distance"][i], points["share"][i]) for kind, i in of.items()}
