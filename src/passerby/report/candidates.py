"""Recipes set side by side on labelled people who were held out of training."""

from pathlib import Path

import numpy as np

from passerby.report.outcomes import read_columns
from passerby.report.tables import Cell, Table
from passerby.settings import Params

RULE = (
    "Candidates are compared by cross-validation inside the labelled people: no test set takes "
    "part. The rule for all starts: the recipe with the best mean over those compared is taken."
)


def compared(folder: Path, params: Params) -> Table | None:
    """mAP of each start by each candidate: mean over the folds, least and greatest beneath.

    Args:
        folder: Where `INIT-RECIPE.tsv` lie.
        params: All settings.

    Raises:
        BadInput: a branch of the settings has no table.
    """
    names, inits = params.branches.candidates, params.branches.compared
    if not names or not inits:
        return None
    scores = {
        init: {name: read_columns(folder / f"{init}-{name}.tsv")["map"] for name in names}
        for init in inits
    }
    means = {name: float(np.mean([scores[i][name].mean() for i in inits])) for name in names}
    chosen = max(means, key=lambda name: means[name])
    last = [Cell(f"{100 * means[n]:.1f}", "chosen" if n == chosen else "") for n in names]
    asked = params.crossvalidate
    caption = (
        f"mAP in % on held-out labelled people ({asked.percent} % of the identities, "
        f"{asked.folds} folds; mean, least and greatest)"
    )
    lines = [(Cell(init), *_line(list(scores[init].values()))) for init in inits]
    return Table(caption, ("start", *names), (*lines, (Cell("mean of the starts"), *last)))


def _line(found: list[np.ndarray]) -> list[Cell]:
    """A start's cells, the best of them marked."""
    best = max(values.mean() for values in found)
    return [
        Cell(
            f"{100 * values.mean():.1f}",
            f"{100 * values.min():.1f} to {100 * values.max():.1f}",
            "best" if values.mean() == best else "",
        )
        for values in found
    ]
