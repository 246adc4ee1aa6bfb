"""How pictures look: told apart without colour, equal bytes each time.

Colours are Okabe and Ito's, told apart by the colour-blind; a line style, a marker and a hatch go
with each, so that a grey print says the same.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (6, 2, 1, 2)), (0, (1, 1.5)), (0, (8, 2, 2, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "///", "...", "xxx", "\\\\\\")

# From matplotlib's own defaults, so that a user's matplotlibrc changes no picture. The salt makes
# the ids inside an SVG depend on its content alone.
SETTINGS: dict[str, Any] = {
    "svg.hashsalt": "passerby",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 3.4,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.0,
}


@dataclass(frozen=True)
class Look:
    """How one init is drawn in every picture."""

    colour: str
    dash: Any
    marker: str
    hatch: str


def look(index: int) -> Look:
    """The look of the init at `index`; after 35 of them they repeat."""
    return Look(
        COLOURS[index % len(COLOURS)],
        DASHES[index % len(DASHES)],
        MARKERS[index % len(MARKERS)],
        HATCHES[index % len(HATCHES)],
    )


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """Draw inside of this: our settings on matplotlib's defaults, given back at the end."""
    defaults: Any = {
        key: value for key, value in matplotlib.rcParamsDefault.items() if key != "backend"
    }
    with matplotlib.rc_context(defaults | SETTINGS):
        yield


def panels(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[list[Axes]]]:
    """A figure of `rows` x `columns` panels, each `width` x `height` inches."""
    figure = Figure(figsize=(max(width * columns, 4.5), height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False).tolist()


def legend_below(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """One legend for all panels, under them, of the labels in `axes`."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(columns, len(labels)))


def percent_axis(axis: Any) -> None:
    """Show fractions as percent."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))


def data(figure: Figure, kind: str) -> bytes:
    """The bytes of a picture, without dates or versions.

    Args:
        figure: What was drawn.
        kind: `png` or `svg`.
    """
    stream = BytesIO()
    empty = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    figure.savefig(stream, format=kind, dpi=130, metadata=empty[kind])
    return stream.getvalue()
