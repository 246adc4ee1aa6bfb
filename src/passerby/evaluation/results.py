"""Result files: `data/results/MODEL-SET/`, and files of embeddings with their labels.

    metrics.json     figures (fractions), counts, protocol, hashes
    roc.tsv          fpr, tpr, threshold
    cmc.tsv          rank, share
    distances.tsv    distance, share, kind (genuine or impostor)
    embeddings.npz   the six arrays that `evaluate` takes, by its argument names

This file owns these formats. Equal inputs give equal bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from passerby import files
from passerby.errors import BadInput
from passerby.evaluation.repeated_result import TrialsResult
from passerby.evaluation.result import Result
from passerby.foreign.arrays import npz

FORMAT = "passerby.result/1"
KEYS = (
    "query_features",
    "gallery_features",
    "query_people",
    "gallery_people",
    "query_cameras",
    "gallery_cameras",
)


def write(
    folder: str | Path,
    result: Result,
    arrays: Mapping[str, np.ndarray],
    about: Mapping[str, Any],
    trials: Sequence[TrialsResult] = (),
) -> None:
    """Write a whole result folder, `metrics.json` last.

    Args:
        folder: `data/results/MODEL-SET`.
        result: What `evaluate` found.
        arrays: What it was given.
        about: What else stands in `metrics.json`: `model`, `set`, `hashes`.
        trials: The same features by protocols of repeated trials.
    """
    folder = Path(folder)
    write_embeddings(folder / "embeddings.npz", arrays)
    curve, spread = result.verification.curve(), result.verification.histogram()
    _write_table(
        folder / "roc.tsv",
        ("fpr", "tpr", "threshold"),
        zip(curve.fpr, curve.tpr, curve.threshold, strict=True),
    )
    _write_table(folder / "cmc.tsv", ("rank", "share"), enumerate(result.cmc_curve(), start=1))
    _write_table(
        folder / "distances.tsv",
        ("distance", "share", "kind"),
        [
            (distance, share, kind)
            for kind, shares in (("genuine", spread.genuine), ("impostor", spread.impostor))
            for distance, share in zip(spread.distance, shares, strict=True)
        ],
    )
    told = {"format": FORMAT, **about, **result.to_dict()}
    if trials:
        told["trials"] = {one.protocol: one.to_dict() for one in trials}
    files.write_json(folder / "metrics.json", told)


def _write_table(path: Path, names: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    lines = ["\t".join(names)]
    lines += [
        "\t".join(f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row)
        for row in rows
    ]
    files.write_text(path, "\n".join(lines) + "\n")


def write_embeddings(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the six arrays of `KEYS`: features float32, labels int64.

    Where cameras are not known, a picture's number stands for its own, and it is a long one.
    """
    plain: dict[str, Any] = {
        key: np.asarray(arrays[key], np.float32 if key.endswith("features") else np.int64)
        for key in KEYS
    }
    with files.written_whole(path) as beside, open(beside, "wb") as file:
        np.savez(file, **plain)  # every member is dated 1980: equal arrays, equal bytes


def read_embeddings(path: str | Path) -> dict[str, np.ndarray]:
    """Read such a file; `evaluate(**read_embeddings(path))` evaluates it.

    Raises:
        BadInput: it is no `.npz` of arrays, or arrays of `KEYS` are not there.
    """
    arrays = npz(path)
    lacking = [key for key in KEYS if key not in arrays]
    if lacking:
        raise BadInput(
            f"{path}: lacks {', '.join(lacking)}; wanted {', '.join(KEYS)}, "
            f"found {', '.join(arrays) or 'nothing'}"
        )
    return {key: arrays[key] for key in KEYS}
