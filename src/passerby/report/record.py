"""Rows of results to keep in git: what was measured, on which set, by which commit and settings.

`docs/results/NAME.tsv`; tables in texts are made from such rows. This file owns the format.
"""

import subprocess
from pathlib import Path

from passerby import files
from passerby.errors import BadInput
from passerby.report import outcomes
from passerby.report.outcomes import Outcome
from passerby.report.rows import columns
from passerby.settings import Params

ABOUT = ("model", "init", "percent", "seed", "set")


def record(out: Path, params: Params, data: Path = Path("data")) -> int:
    """Write a row for each result that the graph's branches have; returns how many.

    Args:
        out: The table.
        params: All settings; a hash of them stands in each row.
        data: Folder with `results/`.

    Raises:
        BadInput: a branch has no result, or this is no git repository.
    """
    found = sorted(outcomes.read(data / "results", params.branches), key=_place)
    made_by = {"commit": _commit(), "settings": files.fingerprint(params.model_dump(mode="json"))}
    lines = [_about(outcome) | _figures(outcome) | made_by for outcome in found]
    # The first outcome has all columns: the settings ask the same of each.
    text = "".join("\t".join(line) + "\n" for line in (lines[0], *(r.values() for r in lines)))
    files.write_text(out, text)
    return len(lines)


def _place(outcome: Outcome) -> tuple[str, str]:
    return outcome.model.name, outcome.set


def _about(outcome: Outcome) -> dict[str, str]:
    model = outcome.model
    told = (model.name, model.init, model.percent, model.seed, outcome.set)
    return dict(zip(ABOUT, ("" if part is None else str(part) for part in told), strict=True))


def _figures(outcome: Outcome) -> dict[str, str]:
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
