"""The threshold table: which distance to accept at, chosen on people who train nothing.

A threshold that was read off the test set flatters itself, and one of another model means nothing:
so the table is made of labelled people apart, and is stored with the model that it belongs to.
"""

from typing import Any

from passerby.evaluation.result import Result


def table(found: Result, chosen_on: str) -> dict[str, Any]:
    """What is stored: distances by FAR, with what they gave where they were chosen.

    Args:
        found: The evaluation of these people.
        chosen_on: Who they are, in words.

    Returns:
        Plain values. FARs of less than one impostor pair are left out: they cannot be measured.
    """
    rows = {}
    for far in found.fars:
        point = found.verification.true_accept_rate(far)
        if point is None:
            continue
        span = found.intervals and found.intervals.tar[far]
        rows[f"{far:g}"] = {
            "distance": round(point[1], 6),
            "tar": round(point[0], 6),
            **({"tar_95": [round(end, 6) for end in span]} if span else {}),
        }
    counts = {key: found.counts[key] for key in ("queries", "genuine_pairs", "impostor_pairs")}
    return {"chosen_on": chosen_on, **counts, "at_far": rows}
