"""What explains the figures: starts and what began afresh, arms, crops by reason, the sets."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from passerby import files
from passerby.errors import BadInput, listing
from passerby.report.outcomes import read_columns
from passerby.report.rows import Row
from passerby.report.tables import Table, plain
from passerby.settings import Params

REPLACED = ("positives", "temperature", "queue", "epochs", "seed", "views")
LAST_SHARE = 0.05
"""Share of a history's end whose mean stands in the table."""


def histories(folder: Path, params: Params) -> dict[str, dict[str, np.ndarray]]:
    """The pretraining history of every arm.

    Raises:
        BadInput: an arm has none, or it lacks the columns `step` and `loss`.
    """
    found = {}
    for arm in params.arms:
        path = folder / arm / "history.tsv"
        found[arm] = read_columns(path)
        lacking = {"step", "loss"} - set(found[arm])
        if lacking or not len(found[arm]["step"]):
            raise BadInput(
                f"{path}: columns {', '.join(found[arm])}, {len(next(iter(found[arm].values())))} "
                f"rows; 'step' and 'loss' with rows were wanted: run the stage 'pretrain' again"
            )
    return found


def starts(folder: Path, params: Params) -> Table:
    """Each init: where it came from, and which tensors started afresh."""
    lines = []
    for init in params.branches.inits:
        header = _header(folder / f"{init}.safetensors")
        fresh = header.get("fresh", [])
        text = f"{len(fresh)} tensors: {listing(sorted(fresh), most=4)}" if fresh else "none"
        title = header.get("title", "")
        lines.append((init, f"{header['source']}{f' ({title})' if title else ''}", text))
    return plain("Where training started", ("init", "source", "started afresh"), lines)


def _header(path: Path) -> dict[str, Any]:
    """What a file of weights says of itself; its tensors are not read."""
    try:
        with safe_open(path, framework="numpy") as file:
            header: dict[str, Any] = json.loads((file.metadata() or {})["passerby"])
            return header
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file; run 'dvc repro'") from None
    except (SafetensorError, KeyError, ValueError):
        raise BadInput(f"{path}: not weights with passerby's header; run 'dvc repro'") from None


def arms(found: dict[str, dict[str, np.ndarray]], params: Params) -> Table:
    """Each arm: its start, what it replaces in `pretrain`, how far it got."""
    lines = []
    for name, arm in params.arms.items():
        given = [f"{key} {getattr(arm, key)}" for key in REPLACED if getattr(arm, key) is not None]
        history = found[name]
        lines.append(
            (
                name,
                arm.start,
                params.arm(name).positives,
                ", ".join(given) or "nothing",
                f"{int(history['step'][-1]):,}",
                f"{history['loss'][0]:.2f} to {_last(history['loss']):.2f}",
                f"{100 * _last(history['accuracy']):.1f} %" if "accuracy" in history else "",
            )
        )
    head = ("arm", "start", "positives", "replaced", "steps", "loss", "contrast accuracy")
    return plain("Pretraining", head, lines)


def _last(values: np.ndarray) -> float:
    """The mean of the last rows."""
    return float(values[-max(1, round(LAST_SHARE * len(values))) :].mean())


def crops(path: Path) -> Table:
    """How many crops there are, and why boxes were left out."""
    lines = [(name, f"{count:,}") for name, count in _counts(files.read_json(path))]
    return plain("Unlabelled crops", ("what", "count"), lines)


def _counts(value: Any, name: str = "") -> Iterator[tuple[str, int]]:
    """All whole numbers of a nested mapping, with their place in it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _counts(inner, f"{name}, {key}" if name else str(key).replace("_", " "))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield name, value


def tracks(params: Params) -> str:
    """Where the tracks of the unlabelled crops came from, when some are better than a tracker's."""
    if not params.crops.benchmarks:
        return ""
    return (
        f"Training images of {', '.join(params.crops.benchmarks)} are among the unlabelled crops. "
        "Their tracks come from file names (one identity, camera and sequence): a perfect "
        "tracker's, better than any that runs on video."
    )


def sets(table: Sequence[Row], params: Params) -> Table:
    """What each set holds, as it was counted when it was evaluated."""
    lines = []
    for name in params.branches.sets:
        metrics = table[0].on(name)[0].metrics
        counted = ", ".join(f"{what} {n:,}" for what, n in _counts(metrics["counts"]))
        lines.append((name, str(metrics["protocol"]), counted))
    return plain("The sets", ("set", "protocol", "counted"), lines)
