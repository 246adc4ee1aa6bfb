"""The picture of a benchmark: lying bars, named at their side, so that a grey print says it all."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes

from passerby import files
from passerby.report import style

Figures = Mapping[str, Mapping[str, float]]
"""`{"median", "iqr"}` by the name of what was measured."""


def write(path: Path, title: str, unit: str, panels: Mapping[str, Figures]) -> None:
    """Draw a panel of bars for each kind of measurement; whiskers span the quartiles' distance.

    Args:
        path: Of the PNG.
        title: Of the whole picture.
        unit: Of the bars; longer is better.
        panels: What is drawn, by each panel's title.
    """
    with style.settings():
        height = max(1.5, 0.5 + 0.22 * max(map(len, panels.values())))
        figure, axes = style.panels(len(panels), 1, width=7.0, height=height)
        for row, (name, figures) in zip(axes, panels.items(), strict=True):
            _bars(row[0], name, figures)
        about = f"{unit}: longer is better; each panel has a scale of its own"
        figure.supxlabel(about, fontsize=9)
        figure.suptitle(title, fontsize=10, x=0.01, ha="left")
        picture = style.data(figure, "png")
    with files.written_whole(path) as beside:
        beside.write_bytes(picture)


def _bars(axes: Axes, name: str, figures: Figures) -> None:
    """One panel, its first bar on top."""
    axes.set_title(name)
    longest = max(figure["median"] for figure in figures.values())
    for place, figure in enumerate(figures.values()):
        look, middle, half = style.look(place), figure["median"], figure["iqr"] / 2
        axes.barh(place, middle, color=look.colour, hatch=look.hatch, edgecolor="white")
        axes.errorbar(middle, place, xerr=half, color="black", capsize=3, linewidth=1)
        axes.text(middle + half + longest / 80, place, _figure(middle), va="center")
    axes.set_yticks(range(len(figures)), list(figures))
    axes.set_xlim(0, 1.15 * longest)
    axes.invert_yaxis()
    axes.grid(False, axis="y")


def _figure(value: float) -> str:
    """Four digits, or all before the point.

    Example:
        >>> _figure(64.634), _figure(18820.4)
        ('64.63', '18,820')
    """
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
