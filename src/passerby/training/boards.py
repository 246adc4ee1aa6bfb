"""TensorBoard files beside a run, for those who ask: `PASSERBY_TENSORBOARD=FOLDER`.

They hold clock times, so they are no output of the graph and decide nothing.
"""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from passerby.errors import BadInput

_FOLDER = "PASSERBY_TENSORBOARD"


def require() -> None:
    """Refuse what `Board` could not do, before long work starts.

    Raises:
        BadInput: files are asked for, and TensorBoard is not installed.
    """
    if os.environ.get(_FOLDER) and not find_spec("tensorboard"):
        raise BadInput(f"{_FOLDER} is set, but TensorBoard is missing: pip install tensorboard")


class Board:
    """Curves of one run; does nothing where no folder is named.

    Args:
        name: Of the run.
    """

    def __init__(self, name: str) -> None:
        self._writer: Any = None
        if folder := os.environ.get(_FOLDER):
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(Path(folder) / name))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to each of the curves."""
        if self._writer:
            for key, value in values.items():
                self._writer.add_scalar(key, value, step)
            self._writer.flush()
