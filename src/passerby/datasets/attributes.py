"""Attributes of people: the twelve of report 000, from either file that describes Market-1501.

`market_attribute.mat` (Lin et al., arXiv 1703.07220) and the course's `annotations_train.csv` hold
the same 27 columns: ten attributes with values from 1, and a column of 1 (no) or 2 (yes) for each
colour of the upper and of the lower body. The colours become two attributes; a person with none of
the colours is of class `other`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from passerby.errors import BadInput, listing
from passerby.foreign import matlab, require_file, texts

NO_YES = ("no", "yes")
PLAIN: dict[str, tuple[str, tuple[str, ...]]] = {
    "gender": ("gender", ("male", "female")),
    "hair": ("hair", ("short", "long")),
    "sleeve": ("up", ("long", "short")),
    "lower_length": ("down", ("long", "short")),
    "lower_type": ("clothes", ("dress", "pants")),
    "hat": ("hat", NO_YES),
    "backpack": ("backpack", NO_YES),
    "bag": ("bag", NO_YES),
    "handbag": ("handbag", NO_YES),
    "age": ("age", ("young", "teenager", "adult", "old")),
}
"""Our name of an attribute -> its column, and what the values 1, 2, ... mean."""
COLOURS: dict[str, tuple[str, tuple[str, ...]]] = {
    "upper_colour": (
        "up",
        ("black", "blue", "gray", "green", "purple", "red", "white", "yellow"),
    ),
    "lower_colour": (
        "down",
        ("black", "blue", "brown", "gray", "green", "pink", "purple", "white", "yellow"),
    ),
}
"""Our name of an attribute -> the beginning of its columns' names, and how they go on."""
CLASSES: dict[str, tuple[str, ...]] = {
    **{name: classes for name, (_, classes) in PLAIN.items()},
    **{name: (*colours, "other") for name, (_, colours) in COLOURS.items()},
}
"""The twelve attributes in the order of the report, each with its classes."""


@dataclass(frozen=True)
class Attributes:
    """Attributes of `P` people."""

    source: str
    people: np.ndarray
    """`int32 (P,)`, sorted."""
    values: np.ndarray
    """`int64 (P, 12)`: index into the classes of each attribute of `CLASSES`."""

    def of(self, people: np.ndarray | Sequence[int]) -> np.ndarray:
        """The attributes of each of these people, `int64 (N, 12)`.

        Raises:
            BadInput: some of them are not described (they are named).
        """
        asked = np.asarray(people)
        missing = np.setdiff1d(asked, self.people)
        if len(missing):
            raise BadInput(
                f"{self.source}: no attributes of {len(missing)} people: {listing(list(missing))}; "
                "is this the attribute file of the set?"
            )
        return self.values[np.searchsorted(self.people, asked)]


def read(path: str | Path) -> Attributes:
    """Read `market_attribute.mat` (both its parts) or a CSV in the course's columns.

    Raises:
        BadInput: the file is missing or of another kind; a column is missing; a value is out of
            range; a person is described twice, or has two colours at once.
    """
    require_file(path, "an attribute file was wanted: correct 'annotations'")
    parts = [_of_csv(Path(path))] if str(path).endswith(".csv") else _of_mat(Path(path))
    people = np.concatenate([people for people, _ in parts])
    values = np.concatenate([values for _, values in parts])
    known, first, times = np.unique(people, return_index=True, return_counts=True)
    if len(known) < len(people):
        raise BadInput(f"{path}: people described twice: {listing(list(known[times > 1]))}")
    return Attributes(str(path), known.astype(np.int32), values[first])


def _of_csv(path: Path) -> tuple[np.ndarray, np.ndarray]:
    table = texts.table(path, ",")
    names = table[0][1] if table else []
    if "id" not in names or len(table) < 2 or len(set(names)) < len(names):
        raise BadInput(
            f"{path}: a CSV with a column 'id', no column twice, and rows wanted; is it the "
            "course's file?"
        )
    for number, cells in table[1:]:
        if len(cells) != len(names):
            raise BadInput(f"{path}, line {number}: {len(cells)} cells, wanted {len(names)}")
    held = zip(*(cells for _, cells in table[1:]), strict=True)
    columns = {name: list(column) for name, column in zip(names, held, strict=True)}
    return _classified(columns, columns["id"], str(path))


def _of_mat(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    whole = matlab.read(path, "fetch it again", squeeze_me=True, struct_as_record=False)
    top = whole.get("market_attribute")
    parts = [part for part in ("train", "test") if hasattr(top, part)]
    if not parts:
        raise BadInput(
            f"{path}: a structure 'market_attribute' with 'train' and 'test' wanted, "
            f"found {', '.join(whole) or 'nothing'}; is it Lin et al.'s file?"
        )
    found_parts = []
    for part in parts:
        fields = vars(getattr(top, part))
        people = fields.get("image_index", ())
        found_parts.append(_classified(fields, people, f"{path}, {part}"))
    return found_parts


def _classified(
    columns: Mapping[str, Any], people: Any, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Turn the file's columns into people `(P,)` and class indices `(P, 12)`."""
    wanted = [column for column, _ in PLAIN.values()]
    wanted += [start + colour for start, colours in COLOURS.values() for colour in colours]
    lacking = [column for column in wanted if column not in columns]
    if lacking:
        raise BadInput(f"{where}: no column {listing(lacking)}; found {listing(list(columns), 30)}")
    numbers = _integers(people, "id", where)
    found = [
        _values(columns[column], column, len(classes), numbers, where)
        for column, classes in PLAIN.values()
    ]
    for start, colours in COLOURS.values():
        names = [start + colour for colour in colours]
        marked = np.stack([_values(columns[n], n, 2, numbers, where) for n in names], axis=1)
        found.append(_one_colour(marked, names, numbers, where))
    return numbers, np.stack(found, axis=1)


def _integers(column: Any, name: str, where: str) -> np.ndarray:
    words = [str(value).strip() for value in np.atleast_1d(column)]
    numbers = [texts.whole_number(word, least=-1) for word in words]
    strange = [word[:40] for word, found in zip(words, numbers, strict=True) if found is None]
    if strange:
        raise BadInput(
            f"{where}: column '{name}' holds {listing(strange)}; whole numbers from 0 wanted"
        )
    return np.array(numbers, np.int64)


def _values(column: Any, name: str, most: int, people: np.ndarray, where: str) -> np.ndarray:
    """A column's values from 0 on; the file's run from 1 to `most`."""
    values = _integers(column, name, where)
    if len(values) != len(people):
        raise BadInput(f"{where}: {len(people)} people, but {len(values)} values of '{name}'")
    strange = np.flatnonzero((values < 1) | (values > most))
    if len(strange):
        first = strange[0]
        raise BadInput(
            f"{where}: person {people[first]}: '{name}' is {values[first]}, 1 to {most} wanted"
        )
    return values - 1


def _one_colour(
    marked: np.ndarray, names: Sequence[str], people: np.ndarray, where: str
) -> np.ndarray:
    """Index of the one marked colour; the index after the last where none is."""
    several = np.flatnonzero(marked.sum(axis=1) > 1)
    if len(several):
        first = several[0]
        both = ", ".join(name for name, mark in zip(names, marked[first], strict=True) if mark)
        raise BadInput(f"{where}: person {people[first]} has {both} at once, one colour wanted")
    return np.where(marked.any(axis=1), marked.argmax(axis=1), len(names))
