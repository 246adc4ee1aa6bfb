"""An environment with only the packages that a machine with a GPU usually has, or is given."""

import os
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]

THERE = (
    *("torch", "torchvision", "triton", "numpy", "scipy", "opencv-python-headless", "pillow"),
    *("safetensors", "pyyaml", "scikit-learn", "pytest"),
)
"""Packages that such a machine usually has; what they need is added. A CPU has no Triton."""
CARRIED = (
    *("lmdb", "pydantic", "pydantic_core", "annotated-types", "typing-inspection"),
    *("typing_extensions", "fastreid", "yacs", "termcolor", "ruamel.yaml", "tabulate"),
)
"""Packages that are copied there as wheels, each without the packages that it needs."""
ABSENT = (
    *("av", "dvc", "faiss", "matplotlib", "onnx", "onnxruntime", "openvino", "pyarrow"),
    *("supervision", "ultralytics", "yt_dlp"),
)
"""Packages that must not be needed there."""


def make(folder: Path) -> dict[str, str]:
    """Fill a folder with links to the allowed packages; returns environment variables to see them.

    The interpreter to use with them is `interpreter()`, which does not see this environment.
    """
    folder.mkdir()
    for name in sorted({*with_needs(THERE), *map(plain, CARRIED)}):
        found = metadata.distribution(name)
        for top in {Path(str(file)).parts[0] for file in found.files or ()}:
            place = folder / top
            if top not in ("..", "__pycache__") and not top.endswith(".pth") and not place.exists():
                place.symlink_to(Path(str(found.locate_file(top))).resolve())
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    kept.pop("VIRTUAL_ENV", None)
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT / "src")]),
        "PYTHONNOUSERSITE": "1",
    }


def with_needs(names: Iterable[str]) -> set[str]:
    """Those of the packages that are installed, and all packages that they need."""
    found: set[str] = set()
    waiting = [plain(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            told = metadata.requires(name)
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        for line in told or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                waiting.append(plain(need.name))
    return found


def plain(name: str) -> str:
    """A package's name as PyPI compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def interpreter() -> str:
    """Python without this environment's packages."""
    return str(getattr(sys, "_base_executable", sys.executable))
