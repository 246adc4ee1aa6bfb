"""Features of other people's models, as their projects save them, under the names of `evaluate`.

- `.npz`: this project's own (`results`), or arrays by torchreid's variable names (`qf`, `q_pids`,
  `q_camids`, `gf`, ...), which is what one has at hand in its engine;
- `.mat`: `pytorch_result.mat` of layumi/Person_reID_baseline_pytorch and of its many heirs;
- a folder with `query/*.npy` and `gallery/*.npy`, a picture a file, as fast-reid's `demo/demo.py`
  writes them: person and camera are read off the name, `0002_c1...` as in Market-1501.

What torch saves is read by `passerby.models.torch_features`.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from passerby.errors import BadInput, listing
from passerby.evaluation.results import KEYS
from passerby.foreign import arrays, is_folder, matlab
from passerby.foreign.texts import whole_number

NAMES: dict[str, tuple[str, ...]] = {
    "query_features": ("query_features", "qf", "query_f"),
    "gallery_features": ("gallery_features", "gf", "gallery_f"),
    "query_people": ("query_people", "q_pids", "query_label"),
    "gallery_people": ("gallery_people", "g_pids", "gallery_label"),
    "query_cameras": ("query_cameras", "q_camids", "query_cam"),
    "gallery_cameras": ("gallery_cameras", "g_camids", "gallery_cam"),
}
"""What each of `evaluate`'s arguments is called by others."""
LABELLED = re.compile(r"(-?\d+)_c(\d+).*\.npy")
Arrays = dict[str, np.ndarray]


def read(path: str | Path) -> Arrays:
    """Read features and labels; `evaluate(**read(path))` evaluates them.

    Args:
        path: An `.npz` or `.mat` file, or a folder.

    Raises:
        BadInput: it is missing, is something else, or lacks arrays (which).
    """
    path = Path(path)
    if is_folder(path):
        return _of_folder(path)
    if path.suffix == ".mat":
        return named(matlab.read(path), str(path))
    return named(arrays.npz(path), str(path))


def named(given: Mapping[str, Any], where: str) -> Arrays:
    """The six arrays under the names of `evaluate`, labels in one dimension.

    Args:
        given: What was saved, under any of `NAMES`.
        where: What messages call it.

    Raises:
        BadInput: some are not there.
    """
    held = {key: next((n for n in NAMES[key] if n in given), None) for key in KEYS}
    lacking = [f"{key} ({', '.join(NAMES[key][1:])})" for key, name in held.items() if name is None]
    if lacking:
        found = listing([name for name in given if not name.startswith("__")])
        raise BadInput(f"{where}: lacks {'; '.join(lacking)}; found {found or 'nothing'}")
    values = {key: np.asarray(given[name]) for key, name in held.items() if name is not None}
    return {key: v if key.endswith("features") else v.ravel() for key, v in values.items()}


def _of_folder(folder: Path) -> Arrays:
    found: Arrays = {}
    for side in ("query", "gallery"):
        names = sorted(path.name for path in (folder / side).glob("*.npy"))
        if not names:
            raise BadInput(
                f"{folder / side}: no .npy files; wanted {folder}/query and {folder}/gallery, a "
                "feature a file, as fast-reid's demo.py writes them"
            )
        people, cameras = zip(*_labels(folder / side, names), strict=True)
        rows = [arrays.npy(folder / side / name).ravel() for name in names]
        lengths = {len(row) for row in rows}
        if len(lengths) > 1:
            raise BadInput(f"{folder / side}: features of {listing(sorted(lengths))} numbers")
        if kinds := sorted({str(row.dtype) for row in rows if row.dtype.kind not in "biuf"}):
            raise BadInput(f"{folder / side}: values of type {listing(kinds)}; numbers wanted")
        found[f"{side}_features"] = np.stack(rows)
        found |= {f"{side}_people": np.array(people), f"{side}_cameras": np.array(cameras)}
    return found


def _labels(folder: Path, names: Collection[str]) -> Iterator[tuple[int, int]]:
    labels = {name: _label(name) for name in names}
    strange = [name for name, label in labels.items() if label is None]
    if strange:
        raise BadInput(
            f"{folder}: names without person and camera: {listing(strange)}; wanted such as "
            "0002_c1s1_000451_03.npy"
        )
    yield from (label for label in labels.values() if label)


def _label(name: str) -> tuple[int, int] | None:
    """Person and camera of a file's name; nothing where they are no numbers that labels can be."""
    match = LABELLED.fullmatch(name)
    person = whole_number(match[1], least=-1) if match else None
    camera = whole_number(match[2]) if match else None
    return None if person is None or camera is None else (person, camera)
