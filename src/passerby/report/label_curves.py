"""mAP against the share of the labels, from tables of results that were kept.

One picture of what was measured under several settings: with more iterations at more labels, say,
or on several machines. A colour an init, a kind of line a recipe, a dot a seed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from passerby import files
from passerby.errors import BadInput
from passerby.report import record, style
from passerby.report.record import Kept

Points = dict[int, list[float]]
"""mAP of each seed, by the percent of the labels."""
KINDS = (".png", ".svg")
WIDTH, HEIGHT = 4.2, 3.4
"""Of a panel, in inches."""


def read(tables: Sequence[Path]) -> list[Kept]:
    """The rows of all tables that were trained on labels.

    Raises:
        BadInput: a table is missing or none; two have a row for the same model and set; no row has
            a share of labels.
    """
    rows: dict[tuple[str, str], tuple[Path, Kept]] = {}
    for table in tables:
        for row in record.read(table):
            place = row["model"], row["set"]
            if place in rows:
                raise BadInput(
                    f"{table}: has {place[0]} on {place[1]} as {rows[place][0]} has; "
                    "one picture shows each model once: leave one of the tables out"
                )
            rows[place] = table, row
    trained = [row for _, row in rows.values() if row["percent"] not in ("", "0")]
    if not trained:
        raise BadInput(f"{', '.join(map(str, tables))}: no row of a model that was finetuned")
    return trained


def write(out: Path, rows: Sequence[Kept], sets: Sequence[str] = ()) -> None:
    """Draw and write it whole: equal rows, equal bytes.

    Raises:
        BadInput: as `draw`; `out` is no name of a PNG or SVG.
    """
    if out.suffix not in KINDS:
        raise BadInput(f"{out}: a name that ends in {' or '.join(KINDS)} wanted")
    with style.settings(), files.written_whole(out) as beside:
        beside.write_bytes(style.data(draw(rows, sets), out.suffix[1:]))


def draw(rows: Sequence[Kept], sets: Sequence[str] = ()) -> Figure:
    """A panel for each set, a line for each init by each recipe.

    Args:
        rows: From `read`.
        sets: Which, in this order; all where none are named.

    Raises:
        BadInput: no row is of a set that was named.
    """
    known = list(dict.fromkeys(row["set"] for row in rows))
    if lacking := [name for name in sets if name not in known]:
        raise BadInput(f"no row is of set {', '.join(lacking)}; there are {', '.join(known)}")
    names = list(sets or known)
    figure, grid = style.panels(1, len(names), WIDTH, HEIGHT)
    for axes, name in zip(grid[0], names, strict=True):
        for (init, recipe), look in _looks(rows).items():
            _line(axes, _points(rows, init, recipe, name), style.plain(f"{init}, {recipe}"), look)
        _axes(axes, name, sorted({int(row["percent"]) for row in rows}))
    style.legend_below(figure, grid[0][0])
    return figure


def _looks(rows: Sequence[Kept]) -> dict[tuple[str, str], style.Look]:
    """Colour and marker of the init, dashes of the recipe."""
    inits = list(dict.fromkeys(row["init"] for row in rows))
    recipes = list(dict.fromkeys(row["recipe"] for row in rows))
    looks = {}
    for init, recipe in dict.fromkeys((row["init"], row["recipe"]) for row in rows):
        of_init, of_recipe = style.look(inits.index(init)), style.look(recipes.index(recipe))
        looks[init, recipe] = style.Look(
            of_init.colour, of_recipe.dash, of_init.marker, of_init.hatch
        )
    return looks


def _points(rows: Sequence[Kept], init: str, recipe: str, name: str) -> Points:
    points: Points = {}
    for row in rows:
        if (row["init"], row["recipe"], row["set"]) == (init, recipe, name):
            points.setdefault(int(row["percent"]), []).append(float(row["mAP"]))
    return dict(sorted(points.items()))


def _line(axes: Axes, points: Mapping[int, Sequence[float]], label: str, look: style.Look) -> None:
    means = [sum(values) / len(values) for values in points.values()]
    axes.plot(
        list(points), means, color=look.colour, linestyle=look.dash, marker=look.marker, label=label
    )
    for percent, values in points.items():
        if len(values) > 1:
            axes.plot(
                [percent] * len(values), values, "o", color="white", mec=look.colour, ms=3, zorder=3
            )


def _axes(axes: Axes, name: str, percents: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(percents, [str(percent) for percent in percents])
    axes.set_ylim(bottom=0)
    axes.set_title(style.plain(name))
    axes.set_xlabel("labelled people, %")
    axes.set_ylabel("mAP, %")
    style.percent_axis(axes.yaxis)
