"""HDF5 files from outside: only what lies in the file itself, and no more than was expected.

HDF5 lets a file lead elsewhere: names can be links to other files, values can lie in any file of
the machine (external storage) or be put together from others (virtual sets), and a set may claim
any shape without holding a byte of it.
"""

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from passerby.errors import BadInput, listing
from passerby.foreign import reading, require_file

AGAIN = "fetch it again"
MOST_PIECE = 1 << 24
"""Items of a piece, which HDF5 unpacks whole though one item of it is read."""


@contextmanager
def opened(path: Path, names: Collection[str], what: str) -> Iterator[Any]:
    """Open a file that has these names at its top, none of which leads elsewhere.

    Args:
        path: The file.
        names: Names that it must have.
        what: What it should be, for messages.

    Raises:
        BadInput: h5py is not installed; the file is missing, broken or another one, or one of the
            names is a link.
    """
    try:
        import h5py
    except ImportError:
        raise BadInput(
            f"{path}: reading it takes h5py, which is missing: pip install h5py"
        ) from None
    require_file(path, AGAIN)
    with reading(path, "HDF5, or it is cut short", AGAIN):
        file = h5py.File(path, "r")
    with file:
        with reading(path, "a whole HDF5 file", AGAIN):
            found = {name: file.get(name, getlink=True) for name in file}
        lacking = [name for name in names if name not in found]
        if lacking:
            held = listing(list(found)) or "nothing"
            raise BadInput(f"{path}: no {listing(lacking)} in it, found {held}; is it {what}?")
        links = [name for name in names if not isinstance(found[name], h5py.HardLink)]
        if links:
            raise BadInput(
                f"{path}: {listing(links)} is a link to another place, which is not followed; "
                f"is it {what}?"
            )
        yield file


def read(file: Any, key: Any, where: str, kind: str, most: int) -> np.ndarray:
    """The array of a name or a reference, its axes in MATLAB's order.

    Args:
        file: Open.
        key: The name or the reference.
        where: What messages call it.
        kind: `references` or `numbers`.
        most: Items that it may have.

    Raises:
        BadInput: it is broken, lies outside of the file, claims more items, or holds others.
    """
    place = f"{file.filename}, {where}"
    with reading(place, "whole", AGAIN):
        import h5py

        found = file[key]
        if not isinstance(found, h5py.Dataset):
            raise ValueError("a group where values were wanted")
        if found.external or found.is_virtual:
            raise BadInput(f"{place}: its values lie in other files, which are not opened")
        is_reference = h5py.check_ref_dtype(found.dtype) is h5py.Reference
        if (kind == "references") != is_reference or (not is_reference and _is_odd(found.dtype)):
            raise BadInput(f"{place}: {found.dtype} found, {kind} wanted; is it cuhk-03.mat?")
        count = math.prod(found.shape or ())
        if found.shape is None or count > most:
            raise BadInput(
                f"{place}: {count:,} {kind} of shape {found.shape} claimed, at most {most:,} wanted"
            )
        if math.prod(found.chunks or ()) > MOST_PIECE:
            raise BadInput(
                f"{place}: {kind} in pieces of shape {found.chunks} claimed, at most "
                f"{MOST_PIECE:,} wanted in one"
            )
        return np.asarray(found[()]).T


def _is_odd(dtype: np.dtype[Any]) -> bool:
    """Whether it is a type of something else than numbers."""
    return dtype.kind not in "biuf" or dtype.hasobject
