"""How pictures look: told apart without colour, equal bytes each time.

Colours are Okabe and Ito's, told apart by the colour-blind; a line style, a marker and a hatch go
with each, so that a grey print says the same.
"""

import contextlib
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from passerby.text import printable

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (6, 2, 1, 2)), (0, (1, 1.5)), (0, (8, 2, 2, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "///", "...", "xxx", "\\\\\\")
RIGHT, WRONG = "#009E73", "#D55E00"
"""Green and red that everybody tells apart; never alone: see where they are used."""

SCREEN_DPI, PRINT_DPI = 130, 220
TITLE_CHARACTERS = 12
"""Of a title, in an inch."""

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
    "image.composite_image": False,  # or an SVG has all photographs as one of 72 dots an inch
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


def legend_below(figure: Figure, axes: Axes, columns: int = 4, title: str | None = None) -> None:
    """One legend for all panels, under them, of the labels in `axes`."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        columns = min(columns, len(labels))
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, title=title)


def plain(text: str) -> str:
    r"""Text from outside for a picture: printable, and a dollar begins no formula.

    A blank goes before an underscore at its beginning: legends leave such labels out.

    Example:
        >>> plain("a$b$\x1b"), plain("_a")
        ('a\\$b\\$\\x1b', ' _a')
    """
    shown = printable(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def wrapped(text: str, width: float) -> str:
    """A title, `plain`, in lines that are not wider than so many inches.

    Example:
        >>> wrapped("moco-published-100-0 on city-market1501", 2.5)
        'moco-published-100-0 on city-\\nmarket1501'
    """
    lines = [textwrap.fill(line, int(TITLE_CHARACTERS * width)) for line in text.split("\n")]
    return plain("\n".join(lines))


def percent(share: float) -> str:
    """A share in percent to one decimal.

    Example:
        >>> percent(0.2066)
        '20.7 %'
    """
    return f"{100 * share:.1f} %"


def percent_axis(axis: Any) -> None:
    """Show fractions as percent."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))


def data(figure: Figure, kind: str, dpi: int = SCREEN_DPI) -> bytes:
    """The bytes of a picture, without dates or versions.

    Args:
        figure: What was drawn.
        kind: `png` or `svg`.
        dpi: Dots an inch of a PNG, and of photographs in an SVG.
    """
    stream = BytesIO()
    empty = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    figure.savefig(stream, format=kind, dpi=dpi, metadata=empty[kind])
    return stream.getvalue()
