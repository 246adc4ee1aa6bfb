"""MATLAB's files of versions 5 to 7, which scipy reads once it is known that they hold together.

A file is a row of variables, each a matrix with lengths that its bytes must bear out; cells and
structures hold matrices in their turn. SciPy believes all of it: a flipped bit can make it ask for
any amount of memory, or descend until the process dies. So the whole structure is walked first, and
only variables of numbers, texts, cells and structures are handed to it.
"""

import math
import mmap
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import scipy.io

from passerby.errors import BadInput
from passerby.foreign.arrays import MOST_BYTES, most_unpacked
from passerby.foreign.opening import named, opened, reading

START = b"MATLAB 5.0 MAT-file"
HDF5 = b"MATLAB 7.3 MAT-file"
WANTED = "a MATLAB file of version 5 to 7, as scipy.io.savemat writes it"
HEADER_BYTES = 128
MOST_DEPTH = 20
MOST_LENGTHS = 32
"""Dimensions of a matrix, as many as NumPy had."""
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMBERS = range(6, 16)
_ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
"""Bytes of an item of each type of data."""
_UTF8 = 16
_COMPLEX = 0x800
Buffer = bytes | mmap.mmap


def read(path: str | Path, advice: str = "", **options: Any) -> dict[str, Any]:
    """The variables of a file by name; those of other kinds (objects, functions) are left out.

    Args:
        path: The file.
        advice: What to do where it is another one, or broken.
        options: Of `scipy.io.loadmat`.

    Raises:
        BadInput: it is missing, of another version, or broken.
    """
    with opened(path, most_bytes=MOST_BYTES) as file:
        names = _names(file, path, advice)
        file.seek(0)
        with reading(path, WANTED, advice):
            whole = scipy.io.loadmat(file, variable_names=names, **options)
    return {name: value for name, value in whole.items() if name in names}


def _names(file: BinaryIO, path: str | Path, advice: str) -> list[str]:
    """The names of the variables that can be read, all of them looked through.

    Raises:
        BadInput: it is no such file, or its lengths do not fit its bytes.
    """
    head = file.read(HEADER_BYTES)
    order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
    if head.startswith(HDF5):
        raise BadInput(f"{named(path)}: MATLAB 7.3, which is another format; save it with -v7")
    if not head.startswith(START) or order is None:
        raise BadInput(f"{named(path)}: not {WANTED}{f'; {advice}' if advice else ''}")
    names: list[str] = []
    with reading(path, WANTED, advice):
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        at, left = HEADER_BYTES, most_unpacked(len(data))
        while at < len(data):
            tag = _tag(data, at, len(data), order)
            name, is_plain, unpacked = _variable(data, tag, order, left)
            at, left = tag.then, left - unpacked
            names += [name] if is_plain else []
    return names


class _Tag(NamedTuple):
    """Where an element lies in its bytes."""

    kind: int
    begin: int
    end: int
    then: int
    """Where the next one begins."""


def _tag(data: Buffer, at: int, end: int, order: str) -> _Tag:
    """The element that begins at `at` and must lie before `end`.

    Raises:
        ValueError: it does not.
    """
    if end - at < 8:
        raise ValueError("cut short")
    kind, length = struct.unpack(f"{order}II", data[at : at + 8])
    if kind >> 16:  # up to four bytes lie within the tag
        kind, length, begin = kind & 0xFFFF, kind >> 16, at + 4
        if length > 4:
            raise ValueError(f"{length} bytes in a tag that has room for 4")
        return _Tag(kind, begin, begin + length, at + 8)
    begin = at + 8
    if begin + length > end:
        raise ValueError(f"an element of {length:,} bytes where {end - begin:,} are left")
    padding = 0 if kind == _COMPRESSED else -length % 8
    return _Tag(kind, begin, begin + length, min(begin + length + padding, end))


def _variable(data: Buffer, tag: _Tag, order: str, most_bytes: int) -> tuple[str, bool, int]:
    """Name of a variable, whether it can be read, and the bytes that it was unpacked to."""
    if tag.kind != _COMPRESSED:
        return *_matrix(data, tag, order, 0), 0
    inside = _inflated(data[tag.begin : tag.end], most_bytes)
    return *_matrix(inside, _tag(inside, 0, len(inside), order), order, 0), len(inside)


def _inflated(packed: bytes, most_bytes: int) -> bytes:
    """What was packed.

    Raises:
        ValueError: it is more than `most_bytes`, or is cut short.
    """
    stream = zlib.decompressobj()
    found = stream.decompress(packed, most_bytes)
    if stream.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {most_bytes:,} bytes")
    if not stream.eof:
        raise ValueError("a packed variable is cut short")
    return found


def _matrix(data: Buffer, tag: _Tag, order: str, depth: int) -> tuple[str, bool]:
    """Name of a matrix, and whether it and all within it can be read.

    Raises:
        ValueError: its lengths do not fit its bytes.
    """
    if tag.kind != _MATRIX:
        raise ValueError(f"an element of type {tag.kind} where a matrix was wanted")
    if depth > MOST_DEPTH:
        raise ValueError(f"cells within cells, more than {MOST_DEPTH} deep")
    if tag.begin == tag.end:  # an empty place of a cell
        return "", True
    flags, lengths, name = _head(data, tag, order)
    count = math.prod(_integers(data, lengths, order))
    text = bytes(data[name.begin : name.end]).decode("latin1")
    kind = flags & 0xFF
    if kind in _NUMBERS or kind == _CHAR:
        at = name.then
        for _ in range(2 if flags & _COMPLEX else 1):
            part = _tag(data, at, tag.end, order)
            _require_items(part, count)
            at = part.then
        return text, True
    if kind in (_CELL, _STRUCT):
        return text, _all_plain(data, name.then, tag.end, order, depth, count, kind)
    return text, False


def _head(data: Buffer, tag: _Tag, order: str) -> tuple[int, _Tag, _Tag]:
    """Flags of a matrix, and where its lengths and its name lie."""
    flags = _tag(data, tag.begin, tag.end, order)
    lengths = _tag(data, flags.then, tag.end, order)
    name = _tag(data, lengths.then, tag.end, order)
    if flags.end - flags.begin != 8 or (lengths.end - lengths.begin) % 4:
        raise ValueError("a matrix without flags or lengths")
    return struct.unpack(f"{order}I", data[flags.begin : flags.begin + 4])[0], lengths, name


def _integers(data: Buffer, tag: _Tag, order: str) -> tuple[int, ...]:
    """Whole numbers from 0, 4 bytes each."""
    count = (tag.end - tag.begin) // 4
    found = struct.unpack(f"{order}{count}i", data[tag.begin : tag.end])
    if count > MOST_LENGTHS or any(number < 0 for number in found):
        raise ValueError(f"a matrix of {count} dimensions: {str(found)[:60]}")
    return found


def _require_items(part: _Tag, count: int) -> None:
    """Refuse data of another number of items than the lengths say."""
    item_bytes = _ITEM_BYTES.get(part.kind, 0)
    length = part.end - part.begin
    # Text in UTF-8 has more bytes than characters, never fewer.
    if not item_bytes or (length != item_bytes * count if part.kind != _UTF8 else length < count):
        raise ValueError(f"{length:,} bytes of type {part.kind} for {count:,} items")


def _all_plain(
    data: Buffer, at: int, end: int, order: str, depth: int, count: int, kind: int
) -> bool:
    """Walk what a cell or a structure holds; whether all of it can be read."""
    if kind == _STRUCT:
        length = _tag(data, at, end, order)
        names = _tag(data, length.then, end, order)
        each = _integers(data, length, order)
        if len(each) != 1 or not each[0] or (names.end - names.begin) % each[0]:
            raise ValueError("a structure whose names of fields have no length")
        count, at = count * ((names.end - names.begin) // each[0]), names.then
    if count > (end - at) // 8:
        raise ValueError(f"{count:,} values in {end - at:,} bytes")
    is_plain = True
    for _ in range(count):
        inside = _tag(data, at, end, order)
        is_plain &= _matrix(data, inside, order, depth + 1)[1]
        at = inside.then
    return is_plain
