"""Reading `data/results/MODEL-SET/`: one outcome for each branch of the graph, none missing.

A result that belongs to no branch of the settings (left by a profile or an experiment that ran
before) is stale: it is named and not used.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from passerby.errors import BadInput
from passerby.foreign import texts
from passerby.report import told
from passerby.settings import Branches

METRICS = "metrics.json"


@dataclass(frozen=True)
class Model:
    """A trained model: a start finetuned on a share of the labels, or a baseline.

    `percent` and `seed` are `None` for a baseline; 0 percent are features as they are. Neither has
    a recipe.
    """

    init: str
    percent: int | None
    seed: int | None
    recipe: str = ""

    @property
    def name(self) -> str:
        """The name of its folder in `data/models`.

        Example:
            >>> Model("moco", 10, 0, "bot").name, Model("attributes", None, None).name
            ('moco-bot-10-0', 'attributes')
        """
        parts = (self.init, self.recipe, self.percent, self.seed)
        return "-".join(str(part) for part in parts if part not in ("", None))


@dataclass(frozen=True)
class Outcome:
    """What one model did on one set. Fractions in [0, 1]."""

    model: Model
    set: str
    metrics: dict[str, Any]
    folder: Path

    def curve(self, name: str) -> dict[str, np.ndarray]:
        """The columns of `name`.tsv: `roc`, `cmc` or `distances`."""
        return read_columns(self.folder / f"{name}.tsv")


def models(branches: Branches) -> list[Model]:
    """All models of the graph, baselines last."""
    tuned = product(branches.inits, branches.recipes, branches.percents, branches.seeds)
    return [
        *(Model(init, percent, seed, recipe) for init, recipe, percent, seed in tuned),
        *(Model(init, 0, 0) for init in branches.unlabelled),
        *(Model(name, None, None) for name in branches.baselines),
    ]


def read(folder: Path, branches: Branches) -> list[Outcome]:
    """Read the outcome of every model on every set.

    Raises:
        BadInput: branches without a result (all are named), or a result that lacks a figure.
    """
    missing = [
        f"{model.name}-{name}"
        for model, name in _wanted(branches)
        if not _is_there(folder, model, name)
    ]
    if missing:
        raise BadInput(
            f"{folder}: no {METRICS} for {', '.join(missing)}; each branch of the settings needs "
            "its result: run 'dvc repro', or take the branch out of 'branches'"
        )
    return so_far(folder, branches)


def so_far(folder: Path, branches: Branches) -> list[Outcome]:
    """Read the outcomes that are there already.

    Raises:
        BadInput: a result lacks a figure.
    """
    return [
        _outcome(folder / f"{model.name}-{name}", model, name)
        for model, name in _wanted(branches)
        if _is_there(folder, model, name)
    ]


def _wanted(branches: Branches) -> list[tuple[Model, str]]:
    return list(product(models(branches), branches.sets))


def _is_there(folder: Path, model: Model, name: str) -> bool:
    return (folder / f"{model.name}-{name}" / METRICS).is_file()


def stale(folder: Path, branches: Branches) -> list[str]:
    """Names of result folders that belong to no branch, sorted."""
    known = {f"{model.name}-{name}" for model in models(branches) for name in branches.sets}
    return sorted(
        path.name for path in folder.iterdir() if path.is_dir() and path.name not in known
    )


def _outcome(folder: Path, model: Model, set_name: str) -> Outcome:
    return Outcome(model, set_name, told.metrics(folder / METRICS), folder)


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Read a table of tab-separated columns with a head line; numbers where all are numbers.

    Lines that begin with `#` are notes and are passed over.

    Raises:
        BadInput: the file is missing, has no head line, or a line has another number of fields.
    """
    lines = texts.lines(path, "run the stage that writes it again")
    rows = [
        (number, line.split("\t"))
        for number, line in enumerate(lines, start=1)
        if line and not line.startswith("#")
    ]
    if not rows:
        raise BadInput(f"{path}: empty; a head line with the names of the columns was wanted")
    head = rows[0][1]
    for number, row in rows[1:]:
        if len(row) != len(head):
            raise BadInput(f"{path}, line {number}: {len(row)} fields, wanted {len(head)}")
    return dict(_columns(head, [row for _, row in rows[1:]]))


def _columns(head: list[str], rows: Sequence[list[str]]) -> Iterator[tuple[str, np.ndarray]]:
    for index, name in enumerate(head):
        texts = [row[index] for row in rows]
        try:
            yield name, np.array([float(text) for text in texts])
        except ValueError:
            yield name, np.array(texts)
