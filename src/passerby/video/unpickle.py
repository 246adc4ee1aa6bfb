"""An unpickler that admits arrays and plain containers, and calls nothing else.

A pickle is a program: it can name any function and have it called. Here every name leads to a
stand-in of ours or is refused. NumPy's own way of rebuilding arrays is not used either, since a
made-up type description can make it read memory that is not its own: the stand-ins take numbers
only, and check that there are as many as the shape says.
"""

import collections
import io
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from passerby.errors import BadInput
from passerby.foreign import first_line, pickles, read_bytes

MOST_BYTES = 1 << 31
_CODE = re.compile(r"[<>|=]?(b1|[iuf][1248]|f16)")


class _Type:
    """Stands for `numpy.dtype`: numbers and truth values only."""

    def __init__(self, code: str, *_: Any) -> None:
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise pickle.UnpicklingError(f"an array of type {code!r}; numbers were wanted")
        self.code = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"an array of byte order {order!r}")
        self.code = order + self.code.lstrip("<>|=")

    def array(self, data: Any, shape: tuple[int, ...], fortran: bool) -> np.ndarray:
        """The array of these bytes.

        Raises:
            UnpicklingError: they are not as many as the shape says.
        """
        if isinstance(data, str):  # bytes that a Python 2 wrote
            data = data.encode("latin1")
        dtype = np.dtype(self.code)
        if any(type(length) is not int or length < 0 for length in shape):
            raise pickle.UnpicklingError(f"an array of shape {str(shape)[:60]}")
        if len(data) != dtype.itemsize * math.prod(shape):
            raise pickle.UnpicklingError(f"{len(data)} bytes for an array of shape {shape}")
        flat = np.frombuffer(data, dtype)
        return flat.reshape(shape, order="F" if fortran else "C")


class _Array:
    """Stands for an array while its parts arrive; `plain` takes the array out."""

    value: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        shape, kind, fortran, data = state[-4:]
        self.value = kind.array(data, shape, fortran)


def _reconstruct(kind: Any, *_: Any) -> _Array:
    if kind is not _Array:
        raise pickle.UnpicklingError("an array of a class of its own")
    return _Array()


def _scalar(kind: _Type, data: bytes) -> Any:
    return kind.array(data, (1,), False)[0].item()


def _from_buffer(data: Any, kind: _Type, shape: tuple[int, ...], order: str = "C") -> np.ndarray:
    return kind.array(data, shape, order == "F")


def _bytes(text: str, encoding: str) -> bytes:
    """Stands for `_codecs.encode`, with which old protocols write bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes encoded as {encoding!r}")
    return text.encode("latin1")


def _set(items: Any = ()) -> set[Any]:
    """Stands for `set`, with which old protocols write sets: of numbers and texts."""
    if any(isinstance(item, tuple | frozenset) for item in items):
        raise pickle.UnpicklingError("a set of tuples")
    return set(items)


def _no_bytes() -> bytes:
    """Stands for `bytes`, with which old protocols write bytes of length 0."""
    return b""


_NUMPY = {
    ("multiarray", "_reconstruct"): _reconstruct,
    ("multiarray", "scalar"): _scalar,
    ("numeric", "_frombuffer"): _from_buffer,
}
_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _bytes,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    **{
        (module, name): stand
        for module in ("builtins", "__builtin__")
        for name, stand in (("list", list), ("dict", dict), ("set", _set), ("bytes", _no_bytes))
    },
    **{(f"numpy.core.{module}", name): stand for (module, name), stand in _NUMPY.items()},
    **{(f"numpy._core.{module}", name): stand for (module, name), stand in _NUMPY.items()},
}


class _Refused(pickle.UnpicklingError):
    """The pickle names something that is not admitted."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name.

        Raises:
            _Refused: there is none.
        """
        stand = _ADMITTED.get((module, name))
        if stand is None:
            raise _Refused(f"{module}.{name}")
        return stand


def load(path: str | Path) -> Any:
    """Read a pickle of plain containers, numbers, texts and arrays.

    Raises:
        BadInput: it is missing, is cut short, is no pickle, names anything else, or unfolds to far
            more than it is.
    """
    data = read_bytes(path, MOST_BYTES, "a pickle of detections was wanted")
    try:
        pickles.require_small(data)
        return plain(_Unpickler(io.BytesIO(data), encoding="latin1").load())
    except _Refused as error:
        raise BadInput(
            f"{path}: it wants to call {error}; a pickle of detections holds arrays and plain "
            "containers only. Nothing was called. Do not open it with anything else"
        ) from None
    except Exception as error:  # a mangled pickle can raise anything; no code of it has run
        raise BadInput(
            f"{path}: not a pickle of detections ({type(error).__name__}: {first_line(error)}); "
            "fetch it again"
        ) from None


def plain(value: Any) -> Any:
    """The value with its arrays taken out of their stand-ins."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value
