"""NumPy's files: `.npy` and `.npz`, whose claimed shapes are held against the bytes that are there.

Python objects in them, which may run code, are refused by their type before anything is read.
"""

import contextlib
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from passerby.errors import BadInput
from passerby.foreign.opening import named, opened, reading

MOST_BYTES = 1 << 34
"""Of all arrays of a file: 2 million features of 2,048 numbers."""
EASY_BYTES = 1 << 28
"""So much may be unpacked, whatever it is packed into."""
MOST_RATIO = 16
"""More than that only where the file has this share of it: features pack to nine tenths."""
KINDS = "biufcSU"
"""Kinds of NumPy's types that hold plain values."""
WANTED_NPY = "an array as np.save writes it"
WANTED_NPZ = "arrays as np.savez writes them"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def most_unpacked(size_bytes: int) -> int:
    """How many bytes a packed file of this length may unfold to."""
    return min(MOST_BYTES, max(EASY_BYTES, MOST_RATIO * size_bytes))


def npy(path: str | Path) -> np.ndarray:
    """The array of an `.npy` file.

    Raises:
        BadInput: it is missing, is another file, is cut short, or holds Python objects.
    """
    with opened(path, most_bytes=MOST_BYTES) as file, reading(path, WANTED_NPY):
        file.seek(0, 2)
        size_bytes = file.tell()
        file.seek(0)
        return _array(file, size_bytes, named(path))


def npz(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file, by name.

    Raises:
        BadInput: as `npy`, or a name is there twice, or it unpacks to far more than it is.
    """
    with (
        opened(path, most_bytes=MOST_BYTES) as file,
        reading(path, WANTED_NPZ),
        unzipped(file, path) as archive,
    ):
        found: dict[str, np.ndarray] = {}
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if not member.filename.endswith(".npy") or name in found:
                raise BadInput(
                    f"{named(path)}: not {WANTED_NPZ} ('{name[:60]}' is in it"
                    f"{' twice' if name in found else ''})"
                )
            with archive.open(member) as content:
                found[name] = _array(content, member.file_size, f"{named(path)}, '{name[:60]}'")
                if content.read(1):  # at its end a member is compared with its checksum
                    raise BadInput(f"{named(path)}, '{name[:60]}': more bytes than its shape")
        return found


@contextlib.contextmanager
def unzipped(file: IO[bytes], path: str | Path) -> Iterator[zipfile.ZipFile]:
    """An open zip archive whose members unpack to no more than such files do.

    Raises:
        BadInput: they claim more.
    """
    file.seek(0, 2)
    size_bytes = file.tell()
    with zipfile.ZipFile(file) as archive:
        claimed = sum(member.file_size for member in archive.infolist())
        if claimed > most_unpacked(size_bytes):
            raise BadInput(
                f"{named(path)}: {size_bytes:,} bytes that claim to unpack to {claimed:,}"
            )
        for member in archive.infolist():
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BadInput(f"{named(path)}: packed in a way that NumPy and torch do not use")
        yield archive


def _array(file: IO[bytes], size_bytes: int, where: str) -> np.ndarray:
    """Read one array, whose header and values have so many bytes.

    Raises:
        BadInput: its header claims what these bytes cannot be.
    """
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise BadInput(f"{where}: version {version} of the format; plain arrays have 1.0 or 2.0")
    shape, is_fortran, dtype = _HEADERS[version](file)
    if dtype.hasobject or dtype.kind not in KINDS or not dtype.itemsize:
        held = (
            "Python objects (which may run code)" if dtype.hasobject else f"values of type {dtype}"
        )
        raise BadInput(f"{where}: holds {held}; numbers or texts wanted")
    if any(type(length) is not int or length < 0 for length in shape):
        raise BadInput(f"{where}: a shape of {str(shape)[:60]}; lengths from 0 wanted")
    wanted, there = math.prod(shape) * dtype.itemsize, size_bytes - file.tell()
    if wanted > there:
        raise BadInput(
            f"{where}: cut short: {there:,} bytes of values, but shape {str(shape)[:60]} of "
            f"{dtype} takes {wanted:,}; copy the file again"
        )
    flat = np.empty(math.prod(shape), dtype)
    _fill(file, flat, where)
    return flat.reshape(shape, order="F" if is_fortran else "C")


def _fill(file: IO[bytes], flat: np.ndarray, where: str) -> None:
    """Read values into an array, `(N,)`."""
    room = memoryview(flat.view(np.uint8).data)
    at = 0
    while at < len(room):
        count = file.readinto(room[at:])  # type: ignore[attr-defined]
        if not count:
            raise BadInput(f"{where}: cut short after {at:,} bytes of values; copy the file again")
        at += count
