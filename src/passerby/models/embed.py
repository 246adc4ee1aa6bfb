"""The verb `embed`: features of a folder or a list of pictures, in one file."""

from pathlib import Path

import numpy as np

from passerby import files
from passerby.errors import BadInput, listing
from passerby.foreign import is_file, is_folder, texts
from passerby.models.embedder import BATCH, THREADS, Embedder

PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


def embed(
    model: str | Path,
    source: str | Path,
    out: str | Path,
    batch: int = BATCH,
    flip: bool = False,
    threads: int = THREADS,
) -> int:
    """Embed pictures and write `names` `(N,)` and `features` `float32 (N, D)` as `.npz`.

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
        BadInput: the model, the source or a picture cannot be used.
    """
    embedder = Embedder.load(model)
    root, names = pictures(source)
    features = embedder.embed_files([root / name for name in names], batch, flip, threads)
    with files.written_whole(out) as beside, open(beside, "wb") as file:
        np.savez(file, names=np.array(names, dtype=np.str_), features=features)
    return len(names)


def pictures(source: str | Path) -> tuple[Path, list[str]]:
    """The folder that names are relative to, and the names of the pictures.

    Raises:
        BadInput: there is no such folder or list, or no picture in it.
    """
    path = Path(source)
    if is_folder(path):
        found = (p for p in path.rglob("*") if p.suffix.lower() in PICTURES and p.is_file())
        root, names = path, sorted(p.relative_to(path).as_posix() for p in found)
    elif is_file(path) and path.suffix.lower() not in PICTURES:
        root, names = path.parent, _lines(path)
    else:
        raise BadInput(f"{source}: wanted a folder of pictures, or a text file with a path a line")
    if not names:
        raise BadInput(f"{source}: no pictures in it (looked for {listing(PICTURES)})")
    return root, names


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in texts.lines(path) if line.strip()]
