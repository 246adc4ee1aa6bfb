"""What decides a result beside settings and inputs: our own code, and the packages that compute.

A run that was stopped goes on only under the contract that it began with. Weights that old code
began and new code ended would be those of neither.
"""

import functools
import importlib.metadata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2

from passerby import files
from passerby.errors import listing

CODE = "code"
PACKAGES = ("numpy", "pillow", "torch")
_ROOT = Path(__file__).parent
_GROUND = ("images.py", "seeds.py", "vision.py")
"""The files outside of rooms that decide bytes."""


def of_run(
    told: Mapping[str, Any], rooms: Iterable[str], packages: Iterable[str] = ()
) -> dict[str, Any]:
    """The contract of a run: its settings and inputs, its code, and what computes.

    Args:
        told: Settings and inputs; may have `versions` of its own.
        rooms: Folders of `passerby`, those that the stage's entry in `dvc.yaml` follows.
        packages: Those that compute in this stage beside `PACKAGES` and OpenCV.

    Returns:
        `told` with `code`, a hash by file, and `versions`, by package (empty: not installed).
    """
    installed = {name: _version(name) for name in (*PACKAGES, *packages)}
    # Several packages bring OpenCV, under names of their own.
    versions = {"opencv": cv2.__version__, **installed, **told.get("versions", {})}
    return {**told, CODE: code(rooms), "versions": versions}


def code(rooms: Iterable[str]) -> dict[str, str]:
    """The first 16 hex digits of the SHA-256 of each file of these rooms, by its path in them.

    A process computes with the code that it was started with, so a file is read once: one that is
    changed while a run of many hours goes on does not change what the run has followed.

    Example:
        >>> sorted(code(["evaluation"]))[0]
        'evaluation/__init__.py'
    """
    paths = [path for room in rooms for path in sorted((_ROOT / room).rglob("*.py"))]
    paths += [_ROOT / name for name in _GROUND]
    return {path.relative_to(_ROOT).as_posix(): _sha256(path)[:16] for path in paths}


_sha256 = functools.cache(files.sha256)


def differences(saved: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Say how two contracts differ, a line each; changed code is one line that names its files.

    Example:
        >>> differences({"moco": {"queue": 4}, "lr": 0.3}, {"moco": {"queue": 8}, "lr": 0.3})
        ['moco.queue: saved 4, asked 8']
        >>> differences({"code": {"a.py": "1", "b.py": "1"}}, {"code": {"a.py": "2", "b.py": "1"}})
        ['code: changed in a.py']
    """
    before, now = _flat(saved), _flat(asked)
    changed = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    files_changed = [key[len(CODE) + 1 :] for key in changed if key.startswith(f"{CODE}.")]
    told = [f"{CODE}: changed in {listing(files_changed)}"] if files_changed else []
    return told + [
        f"{key}: saved {before.get(key)!r}, asked {now.get(key)!r}"
        for key in changed
        if not key.startswith(f"{CODE}.")
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


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
