"""The pictures of one set evaluated by one model, and its hardest queries, into a folder.

They show people where the set does: they go only where the user asks for them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from passerby import files
from passerby.datasets.index import Benchmark
from passerby.evaluation import Result
from passerby.evaluation.result import NOT_SURE
from passerby.report import (
    curves,
    embedding_map,
    evaluated,
    hardest,
    query_distances,
    ranked,
    style,
)
from passerby.report.evaluated import Evaluated
from passerby.report.rows import percent_text

ROWS = 6
"""Queries in a picture of ranked lists."""
TABLE_ROWS = 50
FAR = 1e-3
"""Of the threshold that stands in the pictures of one query."""
KINDS = ("svg", "png")
NAMES = (
    "roc", "cmc", "distances", "embedding_map", "query_distances_hardest", "query_distances_random",
    "ranked_hardest", "ranked_random",
)  # fmt: skip
TABLE = "hardest.tsv"


def illustrate(
    folder: str | Path,
    title: str,
    result: Result,
    arrays: Mapping[str, Any],
    benchmark: Benchmark | None = None,
) -> str:
    """Draw everything, then write it; what an earlier run left under these names is taken away.

    Args:
        folder: Where to; made if it is not there. Other files in it stay.
        title: The model, and the set.
        result: What `evaluate` found.
        arrays: What it was given, by its argument names.
        benchmark: The set that was embedded; without it there are no picture files to show.

    Returns:
        One line: what was written, what was left out and why.

    Raises:
        BadInput: a picture cannot be read; then nothing is written.
    """
    pictures = evaluated.files_of(benchmark) if benchmark else None
    shown = Evaluated(title, result, arrays, pictures)
    with style.settings():
        drawn = {
            f"{name}.{kind}": style.data(figure, kind, style.PRINT_DPI)
            for name, figure in _figures(shown)
            for kind in KINDS
        }
    table = hardest.table(shown, TABLE_ROWS)
    for name in (f"{name}.{kind}" for name in NAMES for kind in KINDS):
        _write(Path(folder) / name, drawn.get(name))
    hardest.write(Path(folder) / TABLE, table)
    written = ", ".join(name for name in NAMES if f"{name}.svg" in drawn)
    left_out = "; ".join(_left_out(shown)) or "nothing"
    return f"{folder}: {written} (SVG, PNG), {TABLE}; left out: {left_out}"


def _write(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink(missing_ok=True)
        return
    with files.written_whole(path) as beside:
        beside.write_bytes(data)


def _figures(shown: Evaluated) -> Iterator[tuple[str, Figure]]:
    """Every picture that there is something for, with its name; those that read files first."""
    result, title = shown.result, shown.title
    chosen = {
        "hardest": evaluated.hardest(result.ranking, ROWS),
        "random": evaluated.drawn(result.ranking, ROWS),
    }
    for name, queries in chosen.items():
        if shown.files:
            rows = ranked.rows(shown, queries)
            yield f"ranked_{name}", ranked.figure(rows, result.distance, f"{title}, {name} queries")
        yield f"query_distances_{name}", _distances(shown, queries[0])
    yield "roc", curves.roc(result, title)
    yield "cmc", curves.cmc(result, title)
    yield "distances", curves.distances(result, title)
    found = embedding_map.mapped(shown)
    yield "embedding_map", embedding_map.figure(found, result.distance, title)


def _distances(shown: Evaluated, query: int) -> Figure:
    """The distances of one query, with the threshold at `FAR` where there is one."""
    at = curves.threshold(shown.result, FAR)
    few = f" *\n{NOT_SURE}" if curves.few_errors(shown.result, FAR) else ""
    threshold = None if at is None else (at, curves.threshold_text(FAR, at) + few)
    average_precision, _ = shown.standing(query)
    title = f"{shown.title}\nquery {query}, AP {style.percent(average_precision)}"
    (ranked_list,) = shown.lists([query])
    return query_distances.figure(ranked_list, shown.result.distance, title, threshold)


def _left_out(shown: Evaluated) -> list[str]:
    """What there is nothing for, and why."""
    rates = {far: shown.result.verification.true_accept_rate(far) for far in shown.result.fars}
    few = [percent_text(far) for far, found in rates.items() if found is None]
    none = [percent_text(far) for far, found in rates.items() if found and not found[0]]
    reasons = {
        "ranked lists (features alone, no picture files)": shown.files is None,
        f"TAR at FAR {', '.join(few)} (less than one pair of different people)": bool(few),
        f"thresholds at FAR {', '.join(none)} (no pair of one person is accepted)": bool(none),
    }
    return [text for text, holds in reasons.items() if holds]
