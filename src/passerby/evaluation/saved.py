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
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from passerby.errors import BadInput, listing
from passerby.evaluation.results import KEYS, read_arrays

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
    if path.is_dir():
        return _of_folder(path)
    if path.suffix == ".mat":
        return _of_matlab(path)
    return named(read_arrays(path), str(path))


def named(arrays: Mapping[str, Any], where: str) -> Arrays:
    """The six arrays under the names of `evaluate`, labels in one dimension.

    Args:
        arrays: What was saved, under any of `NAMES`.
        where: What messages call it.

    Raises:
        BadInput: some are not there.
    """
    held = {key: next((n for n in NAMES[key] if n in arrays), None) for key in KEYS}
    lacking = [f"{key} ({', '.join(NAMES[key][1:])})" for key, name in held.items() if name is None]
    if lacking:
        found = listing([name for name in arrays if not name.startswith("__")])
        raise BadInput(f"{where}: lacks {'; '.join(lacking)}; found {found or 'nothing'}")
    values = {key: np.asarray(arrays[name]) for key, name in held.items() if name is not None}
    return {key: v if key.endswith("features") else v.ravel() for key, v in values.items()}


def _of_matlab(path: Path) -> Arrays:
    if not path.exists():
        raise BadInput(f"{path}: no such file")
    try:
        arrays = loadmat(path)
    except (MatReadError, ValueError, TypeError, OSError, NotImplementedError) as error:
        raise BadInput(
            f"{path}: a MATLAB file of version 7 or below wanted, as scipy.io.savemat writes it: "
            f"{error}"
        ) from None
    return named(arrays, str(path))


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
        rows = [np.load(folder / side / name, allow_pickle=False).ravel() for name in names]
        lengths = {len(row) for row in rows}
        if len(lengths) > 1:
            raise BadInput(f"{folder / side}: features of {listing(sorted(lengths))} numbers")
        found[f"{side}_features"] = np.stack(rows)
        found |= {f"{side}_people": np.array(people), f"{side}_cameras": np.array(cameras)}
    return found


def _labels(folder: Path, names: Collection[str]) -> Iterator[tuple[int, int]]:
    matches = [LABELLED.fullmatch(name) for name in names]
    strange = [name for name, match in zip(names, matches, strict=True) if match is None]
    if strange:
        raise BadInput(
            f"{folder}: names without person and camera: {listing(strange)}; wanted such as "
            "0002_c1s1_000451_03.npy"
        )
    yield from ((int(match[1]), int(match[2])) for match in matches if match)
