"""Checkpoints in scratch: everything that decides the future of a run, and its contract.

The contract is what decides the bytes that a run ends with: settings, inputs, precision, code and
the versions of what computes. A checkpoint with another contract is refused, each difference listed
as saved / asked; one that is damaged is named, and the run begins anew. Random state is not in it:
every draw comes from a stream named by its step (`passerby.seeds`).
"""

import io
import json
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from passerby import files, sealed
from passerby.contract import differences
from passerby.errors import BadInput
from passerby.foreign import first_line
from passerby.sealed import Damaged
from passerby.text import say

FORMAT = "passerby.checkpoint/2"
CONTRACT = "contract.json"


def begin(folder: Path, contract: Mapping[str, Any]) -> None:
    """Note the contract of a run in its scratch, and say how those of other runs differ.

    `files.scratch` has told by then what they left, and how it is removed.

    Args:
        folder: Scratch of the run; unfinished runs of the same stage lie beside it.
        contract: What decides the run's result; JSON-able.
    """
    if (folder / CONTRACT).exists() and not _differences(folder / CONTRACT, contract):
        return
    for other in sorted(path for path in folder.parent.iterdir() if path.is_dir()):
        if other != folder:
            lines = "".join(f"\n  {line}" for line in _differences(other / CONTRACT, contract))
            say(
                f"{folder.parent.name}: not gone on from {other}, an unfinished run with another "
                f"contract; to go on from it, ask for what was saved:{lines}",
                sys.stderr,
            )
    files.write_json(folder / CONTRACT, contract)


def require_begun(folder: Path, contract: Mapping[str, Any]) -> None:
    """Refuse to compute under another contract than the one that scratch was begun with.

    Processes that a run starts later read the code anew: it may have changed since.

    Args:
        folder: Scratch of the run.
        contract: Of this process.

    Raises:
        BadInput: the differences.
    """
    noted = folder / CONTRACT
    lines = "".join(f"\n  {line}" for line in _differences(noted, contract))
    if noted.exists() and lines:
        raise BadInput(
            f"{folder}: the run began with another contract than this process of it has; code or "
            f"packages were changed while it ran: start it again:{lines}"
        )


def _differences(saved: Path, contract: Mapping[str, Any]) -> list[str]:
    """How a contract that was noted differs from the one asked for, a line each."""
    try:
        return differences(files.read_json(saved), json.loads(json.dumps(contract)))
    except (BadInput, ValueError, AttributeError):  # missing, not JSON, not text, not a mapping
        return [f"its {CONTRACT} is damaged, or was written by another version of passerby"]


def save(path: str | Path, contract: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write a checkpoint whole: a reader finds the last one or this one, never a part.

    Args:
        path: Of the file.
        contract: What decides the run's result; JSON-able.
        state: Tensors, numbers, strings and plain containers of them.
    """
    # Into an open file: torch does not say what went wrong with one that it opened itself.
    with sealed.written(path) as beside, open(beside, "wb") as file:
        torch.save({"format": FORMAT, "contract": dict(contract), "state": dict(state)}, file)


def load(
    path: str | Path, contract: Mapping[str, Any], quiet: bool = False
) -> dict[str, Any] | None:
    """The state of a checkpoint, or `None` where there is none to go on from.

    Args:
        path: Of the file, which need not be there. If it is damaged, that is said.
        contract: What decides the run's result.
        quiet: Say nothing: another process of this run does.

    Raises:
        BadInput: it is of another version, or was saved under another contract.
    """
    if not Path(path).exists():
        return None
    try:
        found = _read(path)
    except Damaged as error:
        if not quiet:
            sealed.say_again("checkpoint", error, "the run begins anew")
        return None
    if found.get("format") != FORMAT:
        raise BadInput(
            f"{path}: format {found.get('format')!r}, wanted {FORMAT!r}; delete it to begin anew"
        )
    lines = "".join(f"\n  {line}" for line in differences(found["contract"], contract))
    if lines:
        raise BadInput(
            f"{path}: of a run with another contract; ask for what was saved, or delete it to "
            f"begin anew:{lines}"
        )
    return dict(found["state"])


def _read(path: str | Path) -> dict[str, Any]:
    """What is in the file; it runs no code."""
    content = io.BytesIO(sealed.read(path))
    try:
        found = torch.load(content, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise BadInput(
            f"{path}: not a checkpoint ({first_line(error)}); delete it to begin anew"
        ) from None
    return found if isinstance(found, dict) else {}
