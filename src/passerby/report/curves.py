"""The curves of one model on one set: ROC with intervals, CMC, distances with thresholds."""

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from passerby.evaluation.intervals import Interval
from passerby.evaluation.result import NOT_SURE, Result
from passerby.evaluation.verification import FEW_ERRORS, NOTHING_ACCEPTED
from passerby.report import panels, style
from passerby.report.rows import percent_text

WIDTH, HEIGHT = 4.5, 3.6
"""Inches: half the width of a page."""
MARGIN = 0.7
"""Inches on the left of a panel."""


def roc(result: Result, title: str = "") -> Figure:
    """True accepts against false accepts, with TAR and its 95 % interval at each named FAR."""
    figure, axes = panel(title)
    curve = result.verification.curve()
    area, equal = result.verification.area_under_curve(), result.verification.equal_error_rate()
    text = f"AUC {area:.4f}, EER {style.percent(equal)}"
    axes.plot(curve.fpr, curve.tpr, color=style.COLOURS[0], label=text)
    points = {far: result.verification.true_accept_rate(far) for far in result.fars}
    rates = {far: point[0] for far, point in points.items() if point}
    for number, (far, rate) in enumerate(rates.items()):
        span = result.intervals.tar[far] if result.intervals else None
        text = f"TAR at FAR {percent_text(far)}"
        _mark(axes, far, rate, span, text, number, few_errors(result, far))
    panels.roc(axes, min([curve.fpr[0], *rates]) / 1.5)
    return _with_legend(figure, axes, result, rates)


def cmc(result: Result, title: str = "") -> Figure:
    """Share of queries with a right match among the first so many, with intervals."""
    figure, axes = panel(title)
    curve, text = result.cmc_curve(), f"mAP {style.percent(result.map)}"
    axes.plot(range(1, len(curve) + 1), curve, color=style.COLOURS[0], label=text)
    for number, rank in enumerate(k for k in result.ranks if k <= panels.LAST_RANK):
        span = result.intervals.cmc[rank] if result.intervals else None
        _mark(axes, rank, result.ranking.cmc(rank), span, f"rank {rank}", number)
    panels.cmc(axes)
    axes.set_ylim(top=min(1.01, axes.get_ylim()[1]))
    return _with_legend(figure, axes, result)


def distances(result: Result, title: str = "") -> Figure:
    """How distances of both kinds of pairs are spread, with the threshold at each named FAR."""
    figure, axes = panel(title)
    found = result.verification.histogram()
    kinds = {"genuine": found.genuine, "impostor": found.impostor}
    panels.distances(axes, {kind: (found.distance, share) for kind, share in kinds.items()})
    axes.set_xlabel(f"{result.distance} distance")
    points = {far: threshold(result, far) for far in result.fars}
    known = {far: at for far, at in points.items() if at is not None}
    for far, at in known.items():
        text = threshold_text(far, at) + few_errors(result, far)
        _mark_threshold(axes, at, text, result.fars.index(far))
    style.legend_below(figure, axes, columns=1, title=_not_sure(result, known))
    return figure


def threshold(result: Result, far: float) -> float | None:
    """The distance up to which pairs are accepted at a FAR; `None` where no genuine pair is."""
    point = result.verification.true_accept_rate(far)
    return point[1] if point and point[1] > NOTHING_ACCEPTED else None


def few_errors(result: Result, far: float) -> str:
    """The mark of a rate from too few errors of impostors; empty for others."""
    errors = result.impostor_errors(far)
    return " *" if errors is not None and errors < FEW_ERRORS else ""


def _not_sure(result: Result, fars: Iterable[float]) -> str | None:
    """What the mark means, where one of these FARs has it."""
    return NOT_SURE if any(few_errors(result, far) for far in fars) else None


def threshold_text(far: float, at: float) -> str:
    """What the line of a threshold is called.

    Example:
        >>> threshold_text(0.001, 0.31234)
        'threshold at FAR 0.1 % of pairs: 0.3123'
    """
    return f"threshold at FAR {percent_text(far)} of pairs: {at:.4g}"


def panel(title: str) -> tuple[Figure, Axes]:
    """An empty panel with a title, half a page wide."""
    figure, grid = style.panels(1, 1, WIDTH, HEIGHT)
    grid[0][0].set_title(style.wrapped(title, WIDTH - MARGIN), pad=9)
    return figure, grid[0][0]


def _with_legend(figure: Figure, axes: Axes, result: Result, fars: Iterable[float] = ()) -> Figure:
    told = "bars and brackets: 95 % intervals, people drawn anew" if result.intervals else None
    lines = [line for line in (told, _not_sure(result, fars)) if line]
    style.legend_below(figure, axes, columns=1, title="\n".join(lines) or None)
    return figure


def _mark(
    axes: Axes, x: float, y: float, span: Interval | None, text: str, number: int, few: str = ""
) -> None:
    """A figure as a mark on its curve, with its interval as a bar; both in the legend."""
    between = f" [{100 * span[0]:.1f}, {100 * span[1]:.1f}]" if span else ""
    bar = [[max(y - span[0], 0)], [max(span[1] - y, 0)]] if span else None
    axes.errorbar(
        x, y, yerr=bar, color="black", marker=style.look(number).marker, markerfacecolor="white",
        linestyle="none", capsize=3, elinewidth=1, zorder=3, clip_on=False,
        label=f"{text}: {style.percent(y)}{between}{few}",
    )  # fmt: skip


def _mark_threshold(axes: Axes, at: float, text: str, number: int) -> None:
    """A line over the whole height; the mark on its top is that of the same FAR in the ROC."""
    axes.plot(
        [at, at], [0, 1], transform=axes.get_xaxis_transform(), color="black", linewidth=1,
        linestyle=style.look(number + 2).dash, marker=style.look(number).marker, markevery=[1],
        markerfacecolor="white", clip_on=False, label=text,
    )  # fmt: skip
