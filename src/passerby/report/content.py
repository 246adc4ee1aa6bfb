"""What the page and the summary both say, in their order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from passerby.evaluation.result import SEARCHES
from passerby.report import candidates, headline, outcomes, pictures, published, style, tables, why
from passerby.report.rows import Gain, Row, gains, rows, sets
from passerby.report.tables import Table
from passerby.settings import Params


@dataclass(frozen=True)
class Picture:
    """A picture with its name, what it shows in words, and its bytes."""

    name: str
    caption: str
    svg: bytes
    png: bytes


@dataclass(frozen=True)
class Section:
    """A heading with tables, pictures and remarks under it."""

    title: str
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Content:
    """The whole report, without its form."""

    title: str
    sentences: tuple[str, ...]
    gains: tuple[Gain, ...]
    """On every set at the largest share of the labels."""
    sections: tuple[Section, ...]
    last_line: str


DEFINITIONS = (
    "mAP counts a hit at its own rank (mean of the precisions at the right matches); mAP "
    "(trapezoid) is the area under the precision-recall curve by trapezoids, as older scripts "
    "report it. mINP is the share of right matches among all pictures up to the hardest one.",
    "R1, R5, R10: share of queries with a right match among the first 1, 5, 10. Pictures of the "
    "query's person from the query's own camera are left out, junk too.",
    "ROC and TAR: a pair of one person is positive. TAR@0.1 % is the share of such pairs accepted "
    "when at most one in a thousand pairs of different people is accepted too.",
    "TPIR: the nearest picture of the gallery answers, if it is near enough. TPIR@1 % is the share "
    "of queries answered rightly, when at most one query in a hundred gets an answer though its "
    "person is taken out of the gallery. Queries are few, so the rates that can be measured are.",
    SEARCHES,
    "reranked (k-reciprocal) and expanded hang on all queries and the whole gallery at once: such "
    "figures are no measure of the encoder alone, and no single query can be answered so.",
    "gain: mAP less that of the start which the pretraining began from, finetuned with the same "
    "labels and seeds.",
)


def gather(params: Params, data: Path) -> Content:
    """Read everything under `data` and say it.

    Raises:
        BadInput: a branch of the settings has no result, or a file cannot be read.
    """
    found = outcomes.read(data / "results", params.branches)
    table = rows(found, params)
    gained = gains(table, params)
    return Content(
        params.report.title,
        tuple(headline.sentences([gain for gain in gained if gain.percent], params)),
        tuple(gain for gain in gained if gain.percent == max(params.branches.percents)),
        (
            _results(table, gained, params),
            *_candidates(params, data),
            _verification(table, params),
            _published(table, params),
            _why(table, params, data),
            _measured(table, params),
        ),
        _last_line(outcomes.stale(data / "results", params.branches)),
    )


def _results(table: Sequence[Row], gained: Sequence[Gain], params: Params) -> Section:
    each = tuple(tables.results(table, gained, params, name) for name in sets(params))
    drawn = [
        _picture("map", "mAP on each set; a dot is a seed.", lambda: pictures.bars(table, params)),
        _picture(
            "labels",
            "mAP against the share of the labels; bars span the seeds.",
            lambda: pictures.labels(table, params),
        ),
    ]
    return Section("Results", each, tuple(picture for picture in drawn if picture))


def _candidates(params: Params, data: Path) -> tuple[Section, ...]:
    table = candidates.compared(data / "validation", params)
    return (Section("Ways of finetuning", (table,), (), (candidates.RULE,)),) if table else ()


def _verification(table: Sequence[Row], params: Params) -> Section:
    each = tuple(tables.verified(table, params, name) for name in sets(params))
    drawn = [
        _picture(
            "roc",
            "ROC: same person accepted against different people accepted (logarithmic).",
            lambda: pictures.roc(table, params),
        ),
        _picture(
            "distances",
            "Distances of pairs: the less the two overlap, the better a threshold works.",
            lambda: pictures.distances(table, params),
        ),
    ]
    return Section("Verification", each, tuple(picture for picture in drawn if picture))


def _published(table: Sequence[Row], params: Params) -> Section:
    few = (tables.few_labels(),) if min(params.branches.percents) < 100 else ()
    ours = tables.both_protocols(table, params)
    shown = (tables.published(), *((ours,) if ours else ()), *few)
    return Section("Published figures", shown, (), published.REMARKS)


def _why(table: Sequence[Row], params: Params, data: Path) -> Section:
    histories = why.histories(data / "pretrain", params)
    watched = why.monitors(data / "pretrain", params)
    drawn = [
        _picture(
            "pretraining",
            "Pretraining: a running mean over the steps. Spread and uniformity near 0 are "
            "collapse. The monitor scores the encoder on training people, and chooses nothing.",
            lambda: pictures.pretraining(
                histories, watched, [*params.branches.inits, *params.arms]
            ),
        ),
        _picture(
            "cmc", "CMC: queries with a right match, by rank.", lambda: pictures.cmc(table, params)
        ),
    ]
    explained = (
        why.starts(data / "init", params),
        why.arms(histories, watched, params),
        why.crops(data / "crops_counts.json"),
    )
    notes = tuple(note for note in (why.tracks(params), why.mined(params)) if note)
    kept = tuple(picture for picture in drawn if picture)
    return Section("Why", explained, kept, notes)


def _measured(table: Sequence[Row], params: Params) -> Section:
    return Section("How it was measured", (why.sets(table, params),), (), DEFINITIONS)


def _picture(name: str, caption: str, draw: Callable[[], Figure | None]) -> Picture | None:
    with style.settings():
        figure = draw()
        if figure is None:
            return None
        return Picture(name, caption, style.data(figure, "svg"), style.data(figure, "png"))


def _last_line(names: Sequence[str]) -> str:
    if not names:
        return "Every result that was found belongs to a branch of the settings."
    return f"Not used, since no branch of the settings makes them: {', '.join(names)}."
