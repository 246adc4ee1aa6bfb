"""What a step of `gpu.py` is given, and how it keeps what it finds."""

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

import _record
from passerby import files
from passerby.errors import PasserbyError

PACKAGES = (
    *("torch", "torchvision", "triton", "numpy", "opencv-python-headless", "pillow"),
    *("fastreid", "lmdb", "pydantic", "passerby"),
)

MOST_CHARACTERS = 600
"""How much of the message of a failure is kept."""


class Failed(Exception):
    """A step has found something wrong; what it had kept stays in its result."""


@dataclass(frozen=True)
class Size:
    """Sizes of network, pictures and batches."""

    architecture: str
    height_px: int
    width_px: int
    batch: int
    bn_groups: int
    queue: int
    pictures: int
    """How many pictures are drawn for the steps that need no real ones."""


FULL = Size("resnet50", 256, 128, 256, 8, 65_536, 4_096)
QUICK = Size("resnet18", 64, 32, 32, 4, 256, 128)


@dataclass
class Context:
    """What a step is given, and what it keeps.

    Attributes:
        step: Name of the step.
        work: Folder for everything that the steps make and share.
        kind: `cuda` or `cpu`.
        quick: Whether everything is small.
        budget_s: Duration that the step shall aim at.
        market: Folder of Market-1501, or a folder that holds that folder.
        archives: Folder with the archives of Market-1501.
        found: What the step has kept so far.
    """

    step: str
    work: Path
    kind: str
    quick: bool
    budget_s: float
    market: Path | None = None
    archives: Path | None = None
    found: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begin_s = time.monotonic()

    @property
    def size(self) -> Size:
        """The sizes of this run."""
        return QUICK if self.quick else FULL

    @property
    def device(self) -> torch.device:
        """The first GPU, or the CPU."""
        return torch.device("cuda:0" if self.kind == "cuda" else "cpu")

    @property
    def threads(self) -> int:
        """Threads for work on the CPU; one in a quick run, which may share the machine."""
        return 1 if self.quick else _record.cores()

    @property
    def left_s(self) -> float:
        """Seconds that are left of `budget_s`."""
        return self.budget_s - (time.monotonic() - self._begin_s)

    def wait(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.kind == "cuda":
            torch.cuda.synchronize()

    @cached_property
    def _about(self) -> dict[str, Any]:
        return _record.circumstances(PACKAGES)

    def keep(self, **parts: Any) -> None:
        """Add to the step's result, and write it at once, so that a kill loses nothing."""
        self.found |= parts
        self._write({"result": self.found})

    def fail(self, error: Exception) -> None:
        """Write why the step failed, together with what it had found."""
        name = "" if isinstance(error, Failed | PasserbyError) else f"{type(error).__name__}: "
        self._write({"result": self.found, "error": f"{name}{error}"[:MOST_CHARACTERS]})

    def _write(self, told: dict[str, Any]) -> None:
        path = self.work / "results" / f"{self.step}.json"
        files.write_json(path, _record.rounded({"about": self._about, **told}))
