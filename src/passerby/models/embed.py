"""The verb `embed`: features of a folder or a list of pictures, in one file."""

import sys
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from passerby import files, images, places
from passerby.errors import BadInput, listing
from passerby.foreign import is_file, is_folder, texts
from passerby.models import artifact
from passerby.models.embedder import BATCH, THREADS, Embedder
from passerby.text import say


class Pictures(NamedTuple):
    """Which files are embedded."""

    root: Path
    """The folder that names are relative to."""
    names: list[str]
    left_out: str
    """What else lies there, and why it is left out; empty where there is nothing else."""


def embed(
    model: str | Path,
    source: str | Path,
    out: str | Path,
    batch: int = BATCH,
    flip: bool = False,
    threads: int = THREADS,
) -> int:
    """Embed pictures and write `names` `(N,)` and `features` `float32 (N, D)` as `.npz`.

    What is left out of a folder is said on stderr.

    Args:
        model: Folder of a model artifact.
        source: A folder (all pictures in it and below it, sorted by path), or a text file with a
            path a line, relative to the text file's folder.
        out: The `.npz` file; `numpy.load` reads it.
        batch: Pictures that go through the network at once.
        flip: Whether a feature is the mean of the picture's and of its mirror image's.
        threads: Batches in work at once.

    Returns:
        The number of pictures.

    Raises:
        BadInput: `out` cannot be written, or is read for that; the model, the source or a picture
            cannot be used; or features are not finite.
    """
    places.require_file(out)
    embedder = Embedder.load(model)
    root, names, left_out = pictures(source)
    of_model = (Path(model) / name for name in artifact.FILES)
    places.require_unread(out, [source, *of_model, *(root / name for name in names)])
    if left_out:
        say(f"embed: {left_out}", sys.stderr)
    features = embedder.embed_files([root / name for name in names], batch, flip, threads)
    with files.written_whole(out) as beside, open(beside, "wb") as file:
        np.savez(file, names=np.array(names, dtype=np.str_), features=features)
    return len(names)


def pictures(source: str | Path) -> Pictures:
    """The pictures of a folder and of the folders below it, also linked ones, or those of a list.

    Raises:
        BadInput: there is no such folder or list, it cannot be read, no picture is in it, or a
            line of the list leads to no file.
    """
    path = Path(source)
    if is_folder(path):
        found = _of_folder(path)
    elif is_file(path) and not _is_picture(path.name):
        found = Pictures(path.parent, _lines(path), "")
        _require_files(path, found.names)
    else:
        raise BadInput(f"{source}: wanted a folder of pictures, or a text file with a path a line")
    if not found.names:
        raise BadInput(f"{source}: no pictures in it (looked for {', '.join(images.SUFFIXES)})")
    return found


def _of_folder(path: Path) -> Pictures:
    below = files.below(path)
    reasons = {
        "not among the endings of pictures": [n for n in below.files if not _is_picture(n)],
        "links to folders that are read already": below.again,
        "no regular files": below.others,
    }
    said = [f"{len(them):,} {why}: {listing(them)}" for why, them in reasons.items() if them]
    return Pictures(
        path,
        [name for name in below.files if _is_picture(name)],
        f"left out of {path}: {'; '.join(said)}" if said else "",
    )


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in images.SUFFIXES


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in texts.lines(path) if line.strip()]


def _require_files(path: Path, names: list[str]) -> None:
    """Refuse a list with a wrong line before the pictures of the others are embedded."""
    missing = [name for name in names if not is_file(path.parent / name)]
    if missing:
        raise BadInput(
            f"{path}: {len(missing):,} of {len(names):,} lines lead to no file, looked for from "
            f"{path.parent}: {listing(missing)}; correct them, or take them off"
        )
