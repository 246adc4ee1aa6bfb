"""What `finetuning.py` found, in words, tables and a chart."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import _chart
import _record

WANTED = 0.97
"""Of the ratio `iteration`: the trainer costs at most 3 % more than the plain loop."""

KINDS = {
    "passerby": "iteration, passerby",
    "plain": "iteration, plain loop",
    "forward": "forward pass of training",
    "passerby_loader": "batches alone, passerby",
    "plain_loader": "batches alone, plain loop",
    "query_forward": "forward pass of queries",
    "ranking": "ranking of queries",
}


def show(result: Mapping[str, Any]) -> str:
    """The result as tables in Markdown, and what holds."""
    rates, settings, machine = result["rates"], result["settings"], result["machine"]
    rows = [
        [title, *(_record.told(of_size[kind]) for of_size in rates.values())]
        for kind, title in KINDS.items()
    ]
    ratios = [
        [f"`{what}`", _record.told({"median": value, "iqr": result["ratios_iqr"][what]})]
        for what, value in result["ratios"].items()
    ]
    where = f"{machine['gpu'] or machine['cpu']}, {machine['cores']} cores"
    network = f"{settings['architecture']}, {settings['number_format']}"
    batch = "{} people x {}".format(*settings["batch"])
    about = f"{network}, batches of {batch}; {where}; {result['date']}."
    tables = [
        _record.table(["pictures/s, median ± IQR", *rates], rows),
        _record.table(["ratio", "median ± IQR"], ratios),
    ]
    return "\n\n".join([about, *tables, "\n".join(claims(result))])


def claims(result: Mapping[str, Any]) -> list[str]:
    """Whether the trainer, the loader and the ranking cost what they may cost."""
    lines = []
    for what, value in result["ratios"].items():
        kind = what.partition("_")[0]
        least = WANTED if kind == "iteration" else 1.0
        than = "the plain loop" if kind == "iteration" else "the forward pass"
        wanted = "at most 3 % more" if kind == "iteration" else "less than it"
        answer = "yes" if value >= least else "no"
        lines.append(f"- {what}: {1 / value:.1%} of the cost of {than}; {wanted}: {answer}")
    for size, seconds in result["checkpoint_seconds"].items():
        lines.append(f"- a checkpoint at {size}: {seconds:.2f} s, by default once a minute")
    return lines


def draw(path: Path, result: Mapping[str, Any]) -> None:
    """The chart of the rates."""
    panels = {
        size: {title: rates[kind] for kind, title in KINDS.items()}
        for size, rates in result["rates"].items()
    }
    machine = result["machine"]
    title = f"Finetuning on {machine['gpu'] or machine['cpu']}, {machine['cores']} cores"
    _chart.write(path, title, "pictures per second", panels)
