"""Checkpoints in scratch: everything that decides the future of a run, and its contract.

The contract is what decides the bytes that a run ends with: settings, inputs, precision. A
checkpoint with another contract is refused, each difference listed as saved / asked. Random state
is not in it: every draw comes from a stream named by its step (`passerby.seeds`).
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from passerby import files
from passerby.errors import BadInput

FORMAT = "passerby.checkpoint/1"


def save(path: str | Path, contract: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write a checkpoint whole: a reader finds the last one or this one, never a part.

    Args:
        path: Of the file.
        contract: What decides the run's result; JSON-able.
        state: Tensors, numbers, strings and plain containers of them.
    """
    # Into an open file: torch does not say what went wrong with one that it opened itself.
    with files.written_whole(path) as beside, open(beside, "wb") as file:
        torch.save({"format": FORMAT, "contract": dict(contract), "state": dict(state)}, file)


def load(path: str | Path, contract: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state of a checkpoint, or `None` where there is no such file.

    Raises:
        BadInput: it cannot be read, or was saved under another contract.
    """
    if not Path(path).exists():
        return None
    found = _read(path)
    if found.get("format") != FORMAT:
        raise BadInput(
            f"{path}: format {found.get('format')!r}, wanted {FORMAT!r}; delete it to begin anew"
        )
    lines = differences(found["contract"], contract)
    if lines:
        listed = "\n  ".join(lines)
        raise BadInput(
            f"{path}: of a run with other settings:\n  {listed}\n"
            "  ask for what was saved, or delete it to begin anew"
        )
    return dict(found["state"])


def _read(path: str | Path) -> dict[str, Any]:
    """What is in the file; it runs no code."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{path}: not a whole checkpoint ({why}); delete it to begin anew") from None
    return found if isinstance(found, dict) else {}


def differences(saved: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Say how two contracts differ, a line each.

    Example:
        >>> differences({"moco": {"queue": 4}, "lr": 0.3}, {"moco": {"queue": 8}, "lr": 0.3})
        ['moco.queue: saved 4, asked 8']
    """
    before, now = _flat(saved), _flat(asked)
    return [
        f"{key}: saved {before.get(key)!r}, asked {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]


def _flat(values: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    """Nested mappings as one, its keys dotted; sequences as lists."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{key}{name}.")
        else:
            flat[f"{key}{name}"] = list(value) if isinstance(value, tuple) else value
    return flat
