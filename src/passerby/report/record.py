"""Rows of results to keep in git: what was measured, on which set, by which commit and settings.

`docs/results/NAME.tsv`; tables in texts are made from such rows. This file owns the format.
"""

import subprocess
from pathlib import Path

from passerby import files
from passerby.errors import BadInput
from passerby.foreign import texts
from passerby.report import outcomes
from passerby.report.outcomes import Outcome
from passerby.report.rows import MAP, columns
from passerby.settings import Params

Kept = dict[str, str]
"""A row of such a table, by its columns."""
ABOUT = ("model", "init", "recipe", "percent", "seed", "set")


def record(out: Path, params: Params, data: Path = Path("data"), add: bool = False) -> int:
    """Write a row for each result that the graph's branches have; returns how many rows there are.

    Args:
        out: The table.
        params: All settings; a hash of them stands in each row.
        data: Folder with `results/`.
        add: Take the results that are there so far, and keep what else the table has: a long
            comparison is measured a branch at a time, on several machines or days.

    Raises:
        BadInput: a branch has no result (with `add`: none has); this is no git repository; the
            table to be added to has rows of other settings.
    """
    read = outcomes.so_far if add else outcomes.read
    found = read(data / "results", params.branches)
    if not found:
        raise BadInput(f"{data / 'results'}: no result of any branch of the settings")
    made_by = {"commit": _commit(), "settings": files.fingerprint(params.model_dump(mode="json"))}
    # The first outcome has all columns: the settings ask the same of each.
    lines = [_about(outcome) | _figures(outcome) | made_by for outcome in found]
    kept = _rows_of(out, lines[0]) if add and out.exists() else []
    rows = {(row["model"], row["set"]): row for row in [*kept, *lines]}
    table = [list(lines[0]), *(list(rows[place].values()) for place in sorted(rows))]
    files.write_text(out, "".join("\t".join(line) + "\n" for line in table))
    return len(rows)


def read(table: Path) -> list[Kept]:
    """The rows of a table.

    Raises:
        BadInput: it is missing, or lacks columns that every such table has.
    """
    rows, columns = _parsed(table)
    if lacking := [name for name in (*ABOUT, MAP.title) if name not in columns]:
        raise BadInput(
            f"{table}: lacks columns {', '.join(lacking)}; a table of 'passerby record' wanted"
        )
    for row in rows:
        percent, figure = row["percent"], row[MAP.title]
        is_share = not percent or texts.whole_number(percent, 0, 100) is not None
        if not is_share or texts.finite_number(figure) is None:
            raise BadInput(
                f"{table}: percent '{percent[:40]}' and {MAP.title} '{figure[:40]}' of "
                f"'{row['model'][:60]}'; a whole number to 100 and a finite one wanted"
            )
    return rows


def _parsed(table: Path) -> tuple[list[Kept], list[str]]:
    """Rows and columns."""
    rows = texts.table(table, "\t")
    columns = rows[0][1] if rows else []
    for number, cells in rows[1:]:
        if len(cells) != len(columns):
            raise BadInput(f"{table}, line {number}: {len(cells)} cells, wanted {len(columns)}")
    return [dict(zip(columns, cells, strict=True)) for _, cells in rows[1:]], columns


def _rows_of(table: Path, like: Kept) -> list[Kept]:
    """The rows that a table has, if they are of the same columns and settings as `like`."""
    rows, columns = _parsed(table)
    if columns != list(like):
        raise BadInput(f"{table}: columns {columns}, wanted {list(like)}; name another file")
    for number, row in enumerate(rows, start=2):
        if row["settings"] != like["settings"]:
            raise BadInput(
                f"{table}, line {number}: a row of settings {row['settings']}, these are "
                f"{like['settings']}; rows of different settings share no table: name another file"
            )
    return rows


def _about(outcome: Outcome) -> Kept:
    model = outcome.model
    told = (model.name, model.init, model.recipe, model.percent, model.seed, outcome.set)
    return dict(zip(ABOUT, ("" if part is None else str(part) for part in told), strict=True))


def _figures(outcome: Outcome) -> Kept:
    """The figures as fractions; empty where there were too few pairs for a rate."""
    values = {column.title: column.of(outcome) for column in columns([outcome])}
    return {title: "" if value is None else f"{value:g}" for title, value in values.items()}


def _commit() -> str:
    """The commit that the code is at."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadInput(
            f"record: {done.stderr.strip()}: rows name the commit that made them, so run it "
            "inside the repository, with a commit made"
        )
    return done.stdout.strip()
