"""What explains the figures: starts and what began afresh, arms, crops by reason, the sets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from passerby.errors import BadInput, listing
from passerby.foreign import reading, require_file, texts
from passerby.report import rows, told
from passerby.report.outcomes import read_columns
from passerby.report.rows import Row
from passerby.report.tables import Table, figures, plain
from passerby.settings import Params

LAST_SHARE = 0.05
"""Share of a history's end whose mean stands in the table."""


def histories(folder: Path, params: Params) -> dict[str, dict[str, np.ndarray]]:
    """The pretraining history of every arm.

    Raises:
        BadInput: an arm has none, it lacks the columns `step` and `loss`, or what stands in a
            column is no number.
    """
    return {arm: _numbers(folder / arm / "history.tsv", ("step", "loss")) for arm in params.arms}


def monitors(folder: Path, params: Params) -> dict[str, dict[str, np.ndarray]]:
    """What the monitor saw of every arm that had one, by `epoch`.

    Raises:
        BadInput: as `histories`, of the columns `epoch` and `map`.
    """
    watched = [arm for arm in params.arms if params.arm(arm).monitor.every_epochs]
    return {arm: _numbers(folder / arm / "monitor.tsv", ("epoch", "map")) for arm in watched}


def _numbers(path: Path, wanted: tuple[str, str]) -> dict[str, np.ndarray]:
    """Columns of numbers, of which two must be there and finite; others may hold NaN."""
    found = read_columns(path)
    count = len(next(iter(found.values())))
    if set(wanted) - set(found) or not count:
        raise BadInput(
            f"{path}: columns {', '.join(found)}, {count} rows; '{wanted[0]}' and '{wanted[1]}' "
            "with rows were wanted: run the stage 'pretrain' again"
        )
    strange = [name for name, values in found.items() if values.dtype.kind != "f"]
    strange += [n for n in (*wanted, "pairs") if n in found and n not in strange
                and not np.isfinite(found[n]).all()]  # fmt: skip
    if strange:
        raise BadInput(
            f"{path}: {listing(strange)}: finite numbers wanted; run the stage 'pretrain' again"
        )
    return found


def starts(folder: Path, params: Params) -> Table:
    """Each init: where it came from, and which tensors started afresh."""
    lines = []
    for init in params.branches.inits:
        path = folder / f"{init}.safetensors"
        header = _header(path)
        fresh = header.get("fresh", [])
        if not isinstance(fresh, list) or not all(isinstance(name, str) for name in fresh):
            raise BadInput(f"{path}: 'fresh' in its header is no list of names; run 'dvc repro'")
        text = f"{len(fresh)} of its tensors: {listing(sorted(fresh), 4)}" if fresh else "none"
        text = "all" if fresh == ["*"] else text
        title = header.get("title", "")
        lines.append((init, f"{header['source']}{f' ({title})' if title else ''}", text))
    return plain("Where training started", ("init", "source", "started afresh"), lines)


def _header(path: Path) -> dict[str, Any]:
    """What a file of weights says of itself; its tensors are not read."""
    require_file(path, "run 'dvc repro'")
    wanted = "weights with passerby's header"
    with reading(path, wanted, "run 'dvc repro'"), safe_open(path, framework="numpy") as file:
        told = (file.metadata() or {})["passerby"]
    header: dict[str, Any] = texts.json_value(told, f"{path}: its header")
    if not isinstance(header, dict) or "source" not in header:
        raise BadInput(f"{path}: a header that does not say its source; run 'dvc repro'")
    return header


def arms(
    found: dict[str, dict[str, np.ndarray]],
    watched: dict[str, dict[str, np.ndarray]],
    params: Params,
) -> Table:
    """Each arm: its start, what it replaces in `pretrain`, how far it got."""
    lines = []
    for name, arm in params.arms.items():
        given = [f"{key} {value}" for key, value in flat(arm.given()).items()]
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
                _watched(watched.get(name)),
                _mined(history),
            )
        )
    head = (
        "arm", "start", "positives", "replaced", "steps", "loss", "contrast accuracy",
        "monitor's mAP", "mined pairs",
    )  # fmt: skip
    return plain("Pretraining", head, lines)


def _watched(scores: dict[str, np.ndarray] | None) -> str:
    """Before the first epoch and after the last, on training people."""
    if scores is None:
        return "not watched"
    return f"{100 * scores['map'][0]:.1f} to {100 * scores['map'][-1]:.1f}"


def _mined(history: dict[str, np.ndarray]) -> str:
    """How many pairs the last epoch had, and how many of those whose people are known are right."""
    if not {"pairs", "right_pairs"} <= set(history):
        return ""
    right = history["right_pairs"][-1]
    known = "not known how many are right" if np.isnan(right) else f"{100 * right:.0f} % right"
    return f"{int(history['pairs'][-1]):,}, {known}"


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings as one mapping, its keys dotted.

    Example:
        >>> flat({"mining": {"share": 0.5}, "epochs": 3})
        {'mining.share': 0.5, 'epochs': 3}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{before}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found


def _last(values: np.ndarray) -> float:
    """The mean of the last rows."""
    return float(values[-max(1, round(LAST_SHARE * len(values))) :].mean())


def crops(path: Path) -> Table:
    """How many crops there are of each source, and why boxes were left out.

    Raises:
        BadInput: the file is not what the stage `crop` writes.
    """
    found = told.crops(path)
    reasons = sorted(found["total"]["left_out"])
    parts = {"videos": found["videos"], **found["images"], "total": found["total"]}
    lines = [
        (
            name,
            *(f"{part[key]:,}" for key in ("sources", "boxes", "crops")),
            *(f"{part['left_out'].get(reason, 0):,}" for reason in reasons),
        )
        for name, part in parts.items()
        if part["sources"]
    ]
    head = ("from", "sources", "boxes", "crops", *(f"left out: {reason}" for reason in reasons))
    tracks = f"{found['total']['tracks']:,} tracks"
    return figures(f"Unlabelled crops, {tracks}", head, lines)


def tracks(params: Params) -> str:
    """Where the tracks of the unlabelled crops came from, when some are better than a tracker's."""
    if not params.crops.benchmarks:
        return ""
    return (
        f"Training images of {', '.join(params.crops.benchmarks)} are among the unlabelled crops. "
        "Their tracks come from file names (one identity, camera and sequence): a perfect "
        "tracker's, better than any that runs on video."
    )


def mined(params: Params) -> str:
    """When mined positives apply, where an arm has them."""
    arms = [name for name in params.arms if params.arm(name).positives == "mined"]
    if not arms:
        return ""
    return (
        f"Mined positives ({', '.join(arms)}) pair tracks of different cameras that look alike. "
        "That applies where the cameras are known and see the same people; on videos that share "
        "nobody every pair is wrong. No label is used: the share of right pairs is only counted."
    )


def sets(table: Sequence[Row], params: Params) -> Table:
    """What each set holds, as it was counted when it was evaluated."""
    lines = []
    for name in rows.sets(params):
        metrics = table[0].on(name)[0].metrics
        counted = ", ".join(
            f"{what.replace('_', ' ')} {n:,}" for what, n in metrics["counts"].items()
        )
        lines.append((name, str(metrics["protocol"]), counted))
    return plain("The sets", ("set", "protocol", "counted"), lines)
