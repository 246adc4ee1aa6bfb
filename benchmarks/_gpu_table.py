"""The results of `gpu.py` in plain text, and which goals they reach."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

GOALS_PAIRS_PER_S = {
    "H200": {"resnet50": 8_000, "resnet18": 25_000},
    "H100": {"resnet50": 6_000, "resnet18": 18_000},
}
"""Goals for `end_to_end_pairs_per_s` at last stride 2, by a part of the card's name."""
MOST_VIEWS_SHARE = 0.05
FIRST = ("configuration", "epoch", "name", "place", "run")
"""Columns that name a row; they come before the others."""
MOST_ROWS = 40
MOST_WIDTH = 60


def goals(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The goals for the card, each with what was measured; those that were not measured are absent.

    Args:
        found: The whole result.

    Returns:
        `what`, `wanted`, `found` and `met` of each goal.
    """
    results = {name: step.get("result", {}) for name, step in found["steps"].items()}
    quick, card = found["settings"]["quick"], (found.get("machine") or {}).get("gpu")
    if quick or not card:
        return []
    told = []
    wanted = next((goal for name, goal in GOALS_PAIRS_PER_S.items() if name in card), {})
    rows = results.get("speeds", {}).get("configurations", [])
    for architecture, least in wanted.items():
        rates = [
            row["end_to_end_pairs_per_s"]
            for row in rows
            if (row["architecture"], row["last_stride"]) == (architecture, 2)
        ]
        if rates:
            what = f"{architecture}, last stride 2, pairs_per_s"
            told.append(_goal(what, f"at least {least:,}", max(rates), max(rates) >= least))
    share = results.get("profile", {}).get("views_share_of_step")
    if share is not None:
        most = f"at most {MOST_VIEWS_SHARE}"
        told.append(_goal("views_share_of_step", most, share, share <= MOST_VIEWS_SHARE))
    syncs = results.get("syncs", {}).get("host_syncs_per_step")
    if syncs is not None:
        told.append(_goal("host_syncs_per_step", "0", syncs, syncs == 0))
    same = results.get("finetune", {}).get("same_bytes")
    if same is not None:
        told.append(_goal("finetuning twice: same_bytes", "true", same, same))
    return told


def _goal(what: str, wanted: str, found: object, met: bool) -> dict[str, Any]:
    return {"what": what, "wanted": wanted, "found": found, "met": met}


def table(found: Mapping[str, Any]) -> str:
    """The whole result: circumstances, steps with their figures, goals, and what was left out."""
    lines = [_circumstances(found), ""]
    for name, step in found["steps"].items():
        took = f"{step['took_s']:.0f} s" if "took_s" in step else ""
        lines.append(f"{name:<10} {step['status']:<10} {took}".rstrip())
        if "error" in step:
            lines.append(f"    {_short(step['error'], 200)}")
        lines += [f"    {line}" for line in told(step.get("result") or {})]
    if found["goals"]:
        lines += ["", "goals"]
        for goal in found["goals"]:
            met = "met" if goal["met"] else "NOT MET"
            lines.append(f"    {met:<8} {goal['what']}: {figure(goal['found'])}, {goal['wanted']}")
    return "\n".join([*lines, "", last_line(found)])


def _circumstances(found: Mapping[str, Any]) -> str:
    settings, machine = found["settings"], found.get("machine")
    words = ["no step has run"]
    if machine:
        words = [machine.get("gpu") or machine["cpu"], found["date"], f"commit {found['commit']}"]
    quick = ["QUICK: the figures mean nothing"] if settings["quick"] else []
    return "; ".join([*words, settings["data"], *quick])


def last_line(found: Mapping[str, Any]) -> str:
    """One line: how many steps passed, and which failed or were left out, with the reasons.

    Example:
        >>> last_line({"steps": {"views": {"status": "passed"}}, "left_out": {"rival": "no time"}})
        'passed: 1; left out: rival (no time)'
    """
    steps = found["steps"]
    passed = sum(step["status"] == "passed" for step in steps.values())
    words = [f"passed: {passed}"]
    faults = [
        f"{name} ({step['status']}: {_short(step.get('error', ''), 120)})"
        for name, step in steps.items()
        if step["status"] != "passed"
    ]
    left_out = [f"{name} ({why})" for name, why in found["left_out"].items()]
    if faults:
        words.append(f"not passed: {', '.join(faults)}")
    if left_out:
        words.append(f"left out: {', '.join(left_out)}")
    return "; ".join(words)


def told(value: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """A result as lines of text: one for each figure, and a table for each list of rows.

    Example:
        >>> list(told({"copy_gb_per_s": 4012.3, "card": {"name": "X"}, "rows": [{"a": 1, "b": 2}]}))
        ['copy_gb_per_s  4,012', 'card.name  X', 'rows:', '  a  b', '  1  2']
    """
    for key, item in value.items():
        name = f"{before}{key}"
        if isinstance(item, Mapping):
            yield from told(item, f"{name}.")
        elif isinstance(item, list) and item and isinstance(item[0], Mapping):
            yield f"{name}:"
            yield from (f"  {line}" for line in _rows(item))
        else:
            yield f"{name}  {figure(item)}"


def _rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows as lines with aligned columns."""
    names = [name for name in rows[0] if not isinstance(rows[0][name], Mapping)]
    names.sort(key=lambda name: name not in FIRST)
    cells = [names, *([figure(row.get(name)) for name in names] for row in rows[:MOST_ROWS])]
    widths = [max(len(line[place]) for line in cells) for place in range(len(names))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    more = len(rows) - MOST_ROWS
    return [*lines, *([f"and {more} more"] if more > 0 else [])]


def figure(value: object) -> str:
    """A value as a cell of the table.

    Example:
        >>> [figure(value) for value in (12345.6, 3.14159, 0.00012345, True, None, [1, 2])]
        ['12,346', '3.142', '0.0001234', 'yes', '-', '1 2']
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return _short(" ".join(map(figure, value)))
    return _short(str(value))


def _short(text: str, width: int = MOST_WIDTH) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 3]}..."
