"""Seeds pooled into rows, and what a pretrained start gained over the start that it came from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from passerby.evaluation.verification import FEW_ERRORS
from passerby.report.outcomes import Outcome
from passerby.settings import Params


@dataclass(frozen=True)
class Pooled:
    """A figure over training seeds: mean and extremes."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return sum(self.values) / len(self.values)

    @property
    def low(self) -> float:
        """The least value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The greatest value."""
        return max(self.values)


@dataclass(frozen=True)
class Column:
    """A figure that the tables show; `None` where an outcome does not have it."""

    title: str
    of: Callable[[Outcome], float | None]
    span: Callable[[Outcome], tuple[float, float] | None] = lambda _: None
    """Where the figure lies when people are drawn anew; `None` where that was not asked for."""
    errors: Callable[[Outcome], float | None] = lambda _: None
    """From how many errors of impostors a rate comes; `None` where it does not."""


@dataclass(frozen=True)
class Row:
    """An init by one recipe at one percent with its seeds, or a baseline: a line of the tables."""

    init: str
    recipe: str
    percent: int | None
    line: str
    """What is the same at every percent: init, and recipe where there are several."""
    title: str
    outcomes: tuple[Outcome, ...]

    def on(self, set_name: str) -> list[Outcome]:
        """Its outcomes on one set, one for each seed."""
        return [outcome for outcome in self.outcomes if outcome.set == set_name]

    def span(self, column: Column, set_name: str) -> tuple[float, float] | None:
        """Of a single seed, where the figure lies when people are drawn anew, if it is known."""
        of = self.on(set_name)
        return column.span(of[0]) if len(of) == 1 else None

    def few_errors(self, column: Column, set_name: str) -> bool:
        """Whether a figure comes, in one of the seeds, from too few errors to be sure."""
        errors = [column.errors(outcome) for outcome in self.on(set_name)]
        return any(count is not None and count < FEW_ERRORS for count in errors)

    def pooled(self, column: Column, set_name: str) -> Pooled | None:
        """A figure over the seeds; `None` where a seed lacks it (too few pairs for a rate, say)."""
        values = [column.of(outcome) for outcome in self.on(set_name)]
        known = tuple(value for value in values if value is not None)
        return Pooled(known) if known and len(known) == len(values) else None


MAP = Column(
    "mAP", lambda outcome: float(outcome.metrics["map"]), lambda outcome: _span(outcome, "map")
)


def rows(outcomes: Sequence[Outcome], params: Params) -> list[Row]:
    """One row for each percent (greatest first), init and recipe, then one for each baseline."""
    groups: dict[tuple[str, str, int | None], list[Outcome]] = {}
    for outcome in outcomes:
        model = outcome.model
        groups.setdefault((model.init, model.recipe, model.percent), []).append(outcome)
    several = len(params.branches.percents) > 1
    found = []
    for (init, recipe, percent), held in groups.items():
        line = f"{init}, {recipe}" if recipe and len(params.branches.recipes) > 1 else init
        found.append(Row(init, recipe, percent, line, titled(line, percent, several), tuple(held)))
    return sorted(found, key=lambda row: -(row.percent or 0))


def titled(line: str, percent: int | None, several: bool) -> str:
    """What tables call an init at a share of the labels, or a baseline.

    Example:
        >>> titled("moco", 0, False), titled("moco", 10, True), titled("attributes", None, True)
        ('moco, no label', 'moco, 10 %', 'attributes')
    """
    if percent == 0:
        return f"{line}, no label"
    return f"{line}, {percent} %" if several and percent else line


def columns(outcomes: Sequence[Outcome]) -> list[Column]:
    """All columns: of ranking, then of verification."""
    return [*ranking(outcomes), *verification(outcomes)]


def ranking(outcomes: Sequence[Outcome]) -> list[Column]:
    """Both mAPs, mINP, the ranks; behind them, where it was asked for, what is transductive."""
    ranks = _keys(outcomes, "cmc")
    return [
        MAP,
        Column("mAP (trapezoid)", lambda outcome: float(outcome.metrics["map_trapezoid"])),
        Column("mINP", lambda outcome: float(outcome.metrics["minp"])),
        *(Column(f"R{rank}", _entry("cmc", rank), _span_of("cmc", rank)) for rank in ranks),
        *(
            Column(f"{name} mAP", _entry(name, "map"))
            for name in ("reranked", "expanded")
            if any(name in outcome.metrics for outcome in outcomes)
        ),
    ]


def verification(outcomes: Sequence[Outcome]) -> list[Column]:
    """TAR and open-set TPIR at the rates that were measured, EER and AUC."""
    return [
        *(
            Column(
                f"{name}@{percent_text(float(rate))}",
                _entry(key, rate),
                _span_of(key, rate),
                _entry(errors, rate),
            )
            for name, key, errors in (
                ("TAR", "tar_at_far", "impostor_errors_at_far"),
                ("TPIR", "tpir_at_fpir", "impostor_errors_at_fpir"),
            )
            for rate in _keys(outcomes, key)
        ),
        Column("EER", lambda outcome: float(outcome.metrics["eer"])),
        Column("AUC", lambda outcome: float(outcome.metrics["auc"])),
    ]


def percent_text(share: float) -> str:
    """A share as percent, as short as it goes.

    Example:
        >>> percent_text(1e-3), percent_text(0.01)
        ('0.1 %', '1 %')
    """
    return f"{100 * share:g} %"


def _keys(outcomes: Sequence[Outcome], name: str) -> list[str]:
    found = {key for outcome in outcomes for key in outcome.metrics.get(name, {})}
    return sorted(found, key=float)


def _entry(name: str, key: str) -> Callable[[Outcome], float | None]:
    def of(outcome: Outcome) -> float | None:
        value = outcome.metrics.get(name, {}).get(key)
        return None if value is None else float(value)

    return of


def _span(outcome: Outcome, *keys: str) -> tuple[float, float] | None:
    """An interval of a result's, by its keys."""
    found = outcome.metrics.get("intervals")
    for key in keys:
        found = found and found.get(key)
    return (found[0], found[1]) if found else None


def _span_of(*keys: str) -> Callable[[Outcome], tuple[float, float] | None]:
    return lambda outcome: _span(outcome, *keys)


@dataclass(frozen=True)
class Gain:
    """What a pretrained start gained over the start that it came from, in mAP (fractions)."""

    arm: str
    start: str
    recipe: str
    percent: int
    set: str
    values: tuple[float, ...]
    """A value for each seed: the same seed with one start and with the other."""

    @property
    def points(self) -> float:
        """The mean gain in percent points, as it is shown: to one decimal."""
        return round(100 * sum(self.values) / len(self.values), 1) + 0.0


def gains(table: Sequence[Row], params: Params) -> list[Gain]:
    """The gain of each pretrained init on each set, by each recipe at each percent.

    The other side is what the arm began from. An arm whose start was not finetuned has no gain.
    """
    of = {(row.init, row.recipe, row.percent): row for row in table}
    found = []
    for arm in (init for init in params.branches.inits if init in params.arms):
        start = params.arms[arm].start
        known = start in params.branches.inits
        both = {arm, start} <= {*params.branches.unlabelled}
        percents = sorted(params.branches.percents, reverse=True)
        ways = [*product(percents, params.branches.recipes), *([(0, "")] if both else [])]
        for percent, recipe in ways if known else ():
            for name in sets(params):
                ours, theirs = (of[init, recipe, percent].on(name) for init in (arm, start))
                values = tuple(
                    a.metrics["map"] - b.metrics["map"] for a, b in zip(ours, theirs, strict=True)
                )
                found.append(Gain(arm, start, recipe, percent, name, values))
    return found


def sets(params: Params) -> list[str]:
    """All evaluated sets, the one that was finetuned on first; the others are unseen domains."""
    own = [name for name in params.branches.sets if name == params.finetune.benchmark]
    return [*own, *(name for name in params.branches.sets if name not in own)]
