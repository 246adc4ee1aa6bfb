"""How a reader of files from outside becomes a target: whole input, and damage of its kind."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import damaging
import numpy as np
from cases import SECRET, Case, Target, no_complaint
from damaging import Rng
from PIL import Image

Read = Callable[[Path, Path], Any]
"""From the folder of the input and the file that was damaged."""
MOST_TEXT_BYTES = 1 << 20
WHOLE, NODE, ODD = 0.03, 0.15, 0.5
"""Shares of the cases, summed up: whole input, no ordinary file, odd input made on purpose."""


def reader(
    name: str,
    covers: tuple[str, ...],
    make: Callable[[Path], None],
    file: str,
    read: Read,
    odd: Callable[..., Any] | None = None,
    text: bool = False,
    check: Callable[[Any], str | None] = no_complaint,
    then: Callable[[Path], None] | None = None,
) -> Target:
    """The target of one reader.

    Args:
        name: Of the reader.
        covers: Modules whose reading it tries.
        make: Writes whole input.
        file: What is damaged: a pattern below the input's folder, one of those that match.
        read: Reads it.
        odd: Odd input of this kind: bytes from a stream, or a change of a path by a stream.
        text: Whether it is a text.
        check: What is wrong with a result, or nothing.
        then: What is done to the damaged input before it is read.
    """

    def begin(folder: Path, rng: Rng) -> Case:
        inside = folder / "in"
        found = sorted(inside.glob(file))
        path = found[int(rng.integers(len(found)))]
        what = spoil(path, folder / "outside", rng, odd, text)
        if then is not None and path.is_file():
            then(inside)
        return Case(f"{path.relative_to(inside)}: {what}", lambda: read(inside, path), check)

    def whole(folder: Path) -> Case:
        inside = folder / "in"
        path = sorted(inside.glob(file))[0]
        return Case("whole input", lambda: read(inside, path), check)

    return Target(f"reader {name}", covers, make, begin, whole)


def spoil(path: Path, outside: Path, rng: Rng, odd: Callable[..., Any] | None, text: bool) -> str:
    """Damage a file, or put something else in its place; says what."""
    share = rng.random()
    data = path.read_bytes()
    if share < WHOLE:
        return "whole"
    if share < NODE:
        return damaging.put_node(path, outside, rng, data)
    if share < ODD and odd is not None:
        if len(inspect.signature(odd).parameters) == 2:
            damaging.replace(path, data)  # a file of its own, to be changed in place
            odd(path, rng)
        else:
            damaging.replace(path, odd(rng))
        return odd.__name__
    as_text = text and len(data) <= MOST_TEXT_BYTES
    made, what = (damaging.damaged_text if as_text else damaging.damaged)(data, rng)
    damaging.replace(path, made)
    return what


def finite(result: Any) -> str | None:
    """Complain of arrays that are not finite."""
    arrays = result.values() if isinstance(result, dict) else [result]
    for array in arrays:
        if (
            isinstance(array, np.ndarray)
            and array.dtype.kind == "f"
            and not np.isfinite(array).all()
        ):
            return "not finite: an array"
    return None


def no_secret(out: Path) -> str | None:
    """Complain of a picture that holds the bytes of the file that nobody may read."""
    for path in out.rglob("*.png"):
        stored = np.asarray(Image.open(path))
        if any(SECRET[:20] in turned.tobytes() for turned in (stored, stored.T)):
            return f"secret: {path.name} holds another file's bytes"
    return None


def an_image(result: Any) -> str | None:
    """Complain of what is no picture."""
    good = result.dtype == np.uint8 and result.ndim == 3 and result.shape[2] == 3 and result.size
    return None if good else f"no picture: {result.dtype} {result.shape}"
