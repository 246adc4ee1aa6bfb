"""ONNX files from outside: what has to hold of one before a library reads it.

An ONNX file is a protocol buffer message (`onnx.proto`). Only its structure is read here, field by
field, and no weights are copied. Given a bad file, a library may read other files of the machine by
the names in it, or end the whole process: OpenCV 4.14 divides by zero over a YOLOX whose weights
lie in another file.
"""

import mmap
import stat
from collections.abc import Iterator
from math import prod
from pathlib import Path

from passerby.errors import BadInput
from passerby.foreign import require_utf8_name

MOST_BYTES = 2**31 - 1
"""Of a file: no library reads a longer one as one message."""
MOST_DEPTH = 100
"""Of messages within messages, as in the libraries."""
MOST_FIELDS = 5_000_000
"""Of all messages together, which takes some seconds. Networks have about twenty an operation."""
MOST_SIDE_PX = 4096
"""Of the pictures that a network may ask for."""

# Field numbers of onnx.proto: the messages by way of which a tensor can be reached.
INSIDE = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
}
_GRAPH, _NODE = 7, 1
_DIMS, _STRINGS, _NAME, _EXTERNAL_DATA, _DATA_LOCATION = 1, 6, 8, 13, 14
_NUMBERS = (4, 5, 7, 9, 10, 11)
"""Fields of a tensor that hold its numbers."""

Value = int | memoryview
"""Of a field: a whole number, or bytes."""


class _Malformed(Exception):
    """The bytes are not a message as onnx.proto describes it."""


def require_regular(path: Path, named: str = "") -> None:
    """Refuse what is no ordinary file, or too short or too long to be a network.

    Args:
        path: The file.
        named: What messages call it; its path by default.

    Raises:
        BadInput: it is missing, a folder, a device or a pipe, is empty, or has 2 GiB or more.
    """
    named = named or str(path)
    try:
        found = path.stat()
    except FileNotFoundError:
        raise BadInput(f"{named}: no such file; an ONNX file was wanted") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{named}: cannot be read ({error}); an ONNX file was wanted") from None
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device, a pipe or a socket"
        raise BadInput(f"{named}: found {what}; an ONNX file was wanted")
    if not found.st_size:
        raise BadInput(f"{named}: an empty file; an ONNX file was wanted; copy it again")
    if found.st_size > MOST_BYTES:
        raise BadInput(
            f"{named}: {found.st_size:,} bytes; no library reads more than {MOST_BYTES:,} as one "
            "ONNX file; export the network in half precision"
        )


def check(path: Path, named: str = "") -> None:
    """Refuse a file that is no ONNX network, or that does not itself hold all its weights.

    Args:
        path: The file.
        named: What messages call it; its path by default.

    Raises:
        BadInput: as `require_regular`; or it is no whole message with operations in it; or weights
            lie in another file; or a tensor claims more numbers than the file holds.
    """
    named = named or str(path)
    data = _mapped(path, named)
    require_utf8_name(path)
    try:
        reader = _Reader()
        graphs = [_bytes(value) for number, value in reader.fields(data) if number == _GRAPH]
        if not any(number == _NODE for graph in graphs for number, _ in reader.fields(graph)):
            raise _Malformed("there is no operation in it")
        for tensor in reader.tensors(data, "ModelProto", MOST_DEPTH):
            _require_whole(reader, tensor, named)
    except _Malformed as error:
        raise BadInput(
            f"{named}: not an ONNX network ({error}); copy it again, or export it anew"
        ) from None


def input_dims(path: Path, named: str = "") -> list[int | None]:
    """Lengths of the axes that a network declares for its first input; `None`: any length.

    Raises:
        BadInput: as `require_regular`; or it is no ONNX file with an input.
    """
    named = named or str(path)
    shape = _mapped(path, named)
    try:
        reader = _Reader()
        for wanted in (_GRAPH, 11, 2, 1, 2):  # graph, input, type, tensor_type, shape
            inside = (_bytes(value) for number, value in reader.fields(shape) if number == wanted)
            shape = next(inside, memoryview(b""))
        dims = [_bytes(value) for number, value in reader.fields(shape) if number == 1]
        found = [dict(reader.fields(dim)).get(1) for dim in dims]
    except _Malformed as error:
        raise BadInput(f"{named}: not an ONNX network ({error}); copy it again") from None
    return [_signed(length) if isinstance(length, int) else None for length in found]


def _mapped(path: Path, named: str) -> memoryview:
    """The bytes of a file; those that nobody looks at are not read."""
    require_regular(path, named)
    try:
        with open(path, "rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise BadInput(f"{named}: cannot be read ({error})") from None


class _Reader:
    """Reads messages and counts their fields, so that no file keeps it at work for long."""

    def __init__(self) -> None:
        self._left = MOST_FIELDS

    def fields(self, data: memoryview) -> Iterator[tuple[int, Value]]:
        """Number and value of each field of a message."""
        at = 0
        while at < len(data):
            self._left -= 1
            if self._left < 0:
                raise _Malformed(f"it has more than {MOST_FIELDS:,} fields")
            tag, at = _varint(data, at)
            kind, number = tag & 7, tag >> 3
            if not number:
                raise _Malformed("it is no protocol buffer message")
            if kind == 0:
                value, at = _varint(data, at)
                yield number, value
                continue
            if kind == 2:
                length, at = _varint(data, at)
            elif kind in (1, 5):  # a number of 8 or 4 bytes
                length = 8 if kind == 1 else 4
            else:
                raise _Malformed("it is no protocol buffer message")
            if length > len(data) - at:
                raise _Malformed("it is cut short, or is no protocol buffer message")
            yield number, data[at : at + length]
            at += length

    def tensors(self, data: memoryview, kind: str, depth: int) -> Iterator[memoryview]:
        """Every tensor in a message, in graphs within its graphs too."""
        if kind == "TensorProto":
            yield data
            return
        if not depth:
            raise _Malformed(f"messages lie in one another more than {MOST_DEPTH} deep")
        for number, value in self.fields(data):
            if number in INSIDE[kind]:
                yield from self.tensors(_bytes(value), INSIDE[kind][number], depth - 1)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = 0
    for place, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise _Malformed("it is cut short, or is no protocol buffer message")


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise _Malformed("a number stands where a message was wanted")
    return value


def _signed(value: int) -> int:
    """An `int64` as it was before it was written without its sign."""
    return value - 2**64 if value >= 2**63 else value


def _require_whole(reader: _Reader, tensor: memoryview, named: str) -> None:
    """Refuse a tensor whose numbers are not all in the file."""
    name, location, dims, held = "", "", list[int](), 0
    is_outside = False
    for number, value in reader.fields(tensor):
        if number == _NAME:
            name = _text(value)
        elif number == _EXTERNAL_DATA:
            entry = {key: _text(text) for key, text in reader.fields(_bytes(value))}
            location = entry.get(2, "") if entry.get(1) == "location" else location
            is_outside = True
        elif number == _DATA_LOCATION:
            is_outside |= value != 0
        elif number == _DIMS:
            dims += _whole_numbers(value)
        elif number in _NUMBERS:
            held += 1 if isinstance(value, int) else len(value)
        elif number == _STRINGS:
            held += 1 + len(_bytes(value))
    if is_outside:
        raise BadInput(
            f"{named}: weights such as {name!r} lie in another file, {location!r}; wanted one file "
            "that holds them all: where both files are, run "
            'python -c \'import onnx; onnx.save(onnx.load("FILE.onnx"), "whole.onnx")\''
        )
    if any(length < 0 for length in dims):
        raise BadInput(f"{named}: the tensor {name!r} claims the shape {dims[:8]}; export it anew")
    if prod(dims) > 4 * held:  # the smallest numbers have two bits
        raise BadInput(
            f"{named}: the tensor {name!r} claims the shape {dims[:8]}, but holds {held:,} bytes; "
            "copy it again, or export it anew"
        )


def _whole_numbers(value: Value) -> list[int]:
    """A field of `repeated int64`: one number, or several as bytes."""
    if isinstance(value, int):
        return [_signed(value)]
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(_signed(number))
    return found


def _text(value: Value) -> str:
    """The beginning of a text, for a message; what shows it escapes control characters."""
    return bytes(_bytes(value)[:80]).decode(errors="replace")
