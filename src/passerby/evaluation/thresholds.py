"""The threshold table: which distance to accept at, chosen on people who train nothing.

A threshold that was read off the test set flatters itself, and one of another model means nothing:
so the table is made of labelled people apart, and is stored with the model that it belongs to.

It has two parts. `at_far` is for a pair: are these two pictures of one person? `at_fpir` is for a
search: is this person among so many pictures? At the distance of a FAR of 0.001 a stranger who is
compared with ten thousand pictures is very likely accepted by one of them.

What a row gives, it gives at the stored distance, and so do its intervals.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from passerby.evaluation import digits
from passerby.evaluation.identification import Searches
from passerby.evaluation.intervals import drawn_weights, spans
from passerby.evaluation.result import NOT_SURE, SEARCHES, Result
from passerby.evaluation.verification import FEW_ERRORS, NOTHING_ACCEPTED
from passerby.evaluation.weights import Units

SIZES = (100, 1_000, 10_000, 100_000)
"""Pictures that a search goes through: those that the gallery has more of; and all of it."""
FPIRS = (1e-3, 1e-2, 1e-1)


def table(found: Result, chosen_on: str) -> dict[str, Any]:
    """What is stored: distances by FAR and by FPIR, with what they gave where they were chosen.

    Args:
        found: The evaluation of these people.
        chosen_on: Who they are, in words.

    Returns:
        Plain values. FARs of less than one impostor pair and FPIRs of less than one query are left
        out: they cannot be measured. Rows from fewer than 30 errors have `few_errors`; a table of
        features that are nearly all alike has `collapsed`.
    """
    counts = {key: found.counts[key] for key in ("queries", "genuine_pairs", "impostor_pairs")}
    collapsed = {"collapsed": True} if found.collapsed else {}
    return {
        "chosen_on": chosen_on,
        **collapsed,
        **counts,
        "at_far": {f"{far:g}": row for far, row in _at_fars(found)},
        "at_fpir": _at_fpirs(found),
    }


def lines(chosen: dict[str, Any]) -> list[str]:
    """A stored table as lines for people, with what its distances are for.

    Args:
        chosen: What `table` gave; also without `at_fpir`, as it was stored before.
    """
    told = [
        f"FAR {far}: {_accept(row)}; TAR {row['tar']:.2%} there"
        + (
            f", and {row['fpir']:.2%} of strangers in a search of {row['gallery']:,}"
            if "fpir" in row
            else ""
        )
        + _mark(row)
        for far, row in chosen["at_far"].items()
    ]
    told += [
        f"FPIR {fpir} in a search of {int(size):,}: {_accept(row)}; TPIR {row['tpir']:.2%} there"
        + _mark(row)
        for size, rows in chosen.get("at_fpir", {}).items()
        for fpir, row in rows.items()
    ]
    if not chosen["at_far"]:
        told.append(
            f"no FAR can be measured: too few impostor pairs ({chosen['impostor_pairs']:,})"
        )
    if not chosen.get("at_fpir", True):
        told.append(f"no FPIR can be measured: too few queries ({chosen['queries']:,})")
    if "collapsed" in chosen:
        told.append(
            "collapsed: the features are nearly all alike; look at the model that gave them"
        )
    if any("few_errors" in row for row in _all_rows(chosen)):
        told.append(NOT_SURE)
    return [*told, SEARCHES]


def _all_rows(chosen: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from chosen["at_far"].values()
    for rows in chosen.get("at_fpir", {}).values():
        yield from rows.values()


def _accept(row: dict[str, Any]) -> str:
    if row["distance"] == NOTHING_ACCEPTED:
        return "no distance, for no match is accepted at this rate"
    return f"accept at {row['distance']} and below"


def _mark(row: dict[str, Any]) -> str:
    return " *" if "few_errors" in row else ""


def _at_fars(found: Result) -> Iterator[tuple[float, dict[str, Any]]]:
    """For pairs, a row for each FAR that can be measured."""
    for far in found.fars:
        point, errors = found.verification.true_accept_rate(far), found.impostor_errors(far)
        if point is None or errors is None:
            continue
        drawn = found.intervals
        yield (
            far,
            {
                "distance": digits.threshold(point[1]),
                "tar": digits.share(point[0]),
                **_span("tar_95", drawn.tar_at_threshold[far] if drawn else None),
                "far": digits.rate(errors / found.verification.impostors),
                **_span("far_95", drawn.far_at_threshold[far] if drawn else None),
                "fpir": digits.share(found.verification.strangers_accepted(point[1])),
                "gallery": found.counts["gallery"],
                **_errors(errors),
            },
        )


def _at_fpirs(found: Result) -> dict[str, dict[str, Any]]:
    """For searches, by the size of the gallery, a row for each FPIR that can be measured."""
    searches = list(_searches(found))
    asked = [(size, search, fpir) for size, search in searches for fpir in FPIRS]
    points = [(size, search, fpir, search.threshold(fpir)) for size, search, fpir in asked]
    known = [(size, search, fpir, at) for size, search, fpir, at in points if at is not None]
    strangers = [search.strangers_accepted(at) for _, search, _, at in known]
    enrolled = [search.enrolled_found(at) for _, search, _, at in known]
    intervals = _drawn(found, strangers, enrolled)
    made: dict[str, dict[str, Any]] = {}
    for (size, _, fpir, at), accepted, right, drawn in zip(
        known, strangers, enrolled, intervals, strict=True
    ):
        made.setdefault(str(size), {})[f"{fpir:g}"] = {
            "distance": digits.threshold(at),
            "tpir": digits.share(right.mean()),
            **_span("tpir_95", drawn and drawn[1]),
            "fpir": digits.rate(accepted.mean()),
            **_span("fpir_95", drawn and drawn[0]),
            **_errors(digits.rate(accepted.sum())),
        }
    return made


def _searches(found: Result) -> Iterator[tuple[int, Searches]]:
    """Searches of the sizes that can be measured, and of the whole gallery."""
    given = found.pairs, found.ranking, found.verification
    whole = Searches.of(*given, None)
    for size in SIZES:
        if size < whole.impostors.min():
            yield size, Searches.of(*given, size)
    yield found.counts["gallery"], whole


def _drawn(
    found: Result, strangers: list[np.ndarray], enrolled: list[np.ndarray]
) -> list[tuple[Any, Any] | None]:
    """The intervals of FPIR and of TPIR of each row, where they were asked for.

    They move with the queries' people; the gallery of a query stays as it is.
    """
    if not found.intervals or not strangers:
        return [None] * len(strangers)
    units = Units.of(found.pairs)
    rows = []
    for weight in drawn_weights(found.pairs, found.ranking, found.intervals.draws, 0):
        of_query = weight[:, units.query]
        of_valid = of_query[:, found.ranking.query]
        rows.append(
            np.concatenate(
                [
                    of_query @ np.stack(strangers, axis=1) / of_query.sum(axis=1, keepdims=True),
                    of_valid @ np.stack(enrolled, axis=1) / of_valid.sum(axis=1, keepdims=True),
                ],
                axis=1,
            )
        )
    ends = spans(np.concatenate(rows))
    return list(zip(ends[: len(strangers)], ends[len(strangers) :], strict=True))


def _span(name: str, ends: tuple[float, float] | None) -> dict[str, list[float]]:
    return {name: [digits.rate(end) for end in ends]} if ends else {}


def _errors(errors: float) -> dict[str, Any]:
    few = {"few_errors": True} if errors < FEW_ERRORS else {}
    return {"impostor_errors": errors, **few}
