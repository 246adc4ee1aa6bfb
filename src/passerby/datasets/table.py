"""Any pictures of people, described by a table `labels.csv` (or `labels.tsv`, with tabs).

Its first line names the columns: `path`, `person`, `split` and, where they are known, `camera`,
`sequence`, `frame`. A path is relative to the folder of the table and has `/`; a person is any text
(the texts are sorted and numbered from 1), but `-1` is no person: such pictures of the gallery are
junk, as in Market-1501, and count for nothing. A split is `train`, `query` or `gallery`. Cameras
count from 1; without the column, or in an empty cell, the camera is not known, which the index
holds as 0. (Where some cameras of a part are known and others are not, it is refused:
`consistency`.) Pictures that the table does not name are left alone.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from passerby.datasets.rows import SPLITS, Row, numbered
from passerby.errors import BadInput, listing, nearest
from passerby.foreign import is_file, texts

TABLES = {"labels.csv": ",", "labels.tsv": "\t"}
NEEDED = ("path", "person", "split")
LEAST = {"camera": 1, "sequence": 1, "frame": 0}
"""Columns that may be left out, and the least number each holds."""
UNKNOWN = {"camera": 0, "sequence": 0, "frame": -1}
MOST = 2**31 - 1


class Line(NamedTuple):
    """One line of the table: its number in the file, and its cells by column."""

    number: int
    cells: dict[str, str]
    extra: int
    """Cells more (or, below 0, fewer) than columns."""


def read(root: Path, split_seed: int = 0) -> list[Row]:
    """Read the table; it says the split, so the seed plays no part.

    Raises:
        BadInput: there is no table, or both; a column is missing or unknown; lines cannot be used
            (a few are named, each with its number and its fault); a person is a number below -1.
    """
    path = _table(root)
    lines = list(_lines(path))
    faults = [f"line {line.number}: {what}" for line in lines for what in _faults(line, root)]
    faults += _contradictions(lines)
    if faults or not lines:
        told = f"{len(faults)} faults: {listing(faults)}" if faults else "no line but the header"
        raise BadInput(f"{path}: {told}; correct them: no line is passed over")
    number = numbered((line.cells["person"] for line in lines), path)
    return [
        Row(cells["split"], cells["path"], number[cells["person"]], *_numbers(cells))
        for _, cells, _ in lines
    ]


def _table(root: Path) -> Path:
    found = [root / name for name in TABLES if is_file(root / name)]
    if len(found) != 1:
        raise BadInput(
            f"{root}: one table {' or '.join(TABLES)} wanted, {'both' if found else 'none'} found; "
            "let 'root' name the folder that holds it"
        )
    return found[0]


def _lines(path: Path) -> Iterator[Line]:
    """The lines below the header; empty ones do not matter."""
    head, *rows = texts.table(path, TABLES[path.name]) or [(1, [])]
    columns = [cell.strip() for cell in head[1]]
    _check_columns(columns, path)
    for number, cells in rows:
        named = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
        if named.get("path"):  # `./a.jpg` is `a.jpg`
            named["path"] = PurePosixPath(named["path"]).as_posix()
        yield Line(number, named, len(cells) - len(columns))


def _check_columns(columns: Sequence[str], path: Path) -> None:
    known = (*NEEDED, *LEAST)
    faults = [f"no column '{name}'" for name in NEEDED if name not in columns]
    faults += [f"unknown '{c}'{nearest(c, known)}" for c in columns if c not in known]
    faults += [f"'{name}' twice" for name in known if columns.count(name) > 1]
    if faults:
        raise BadInput(
            f"{path}, line 1: {listing(faults)}; wanted {', '.join(NEEDED)} and, where they are "
            f"known, {', '.join(LEAST)}, separated by {TABLES[path.name]!r}"
        )


def _faults(line: Line, root: Path) -> Iterator[str]:
    """What is wrong with one line."""
    if line.extra:
        yield f"{abs(line.extra)} cells too {'many' if line.extra > 0 else 'few'}"
        return
    cells = line.cells
    path = PurePosixPath(cells["path"])
    if not cells["path"] or path.is_absolute() or ".." in path.parts:
        yield f"path '{cells['path']}' is not one below the table's folder"
    elif not is_file(root / path):
        yield f"no file '{cells['path'][:300]}'"
    if not cells["person"]:
        yield "no person"
    if cells["split"] not in SPLITS:
        yield f"split '{cells['split']}' is none of {' '.join(SPLITS)}"
    for column, least in LEAST.items():
        text = cells.get(column, "")
        if text and texts.whole_number(text, least, MOST) is None:
            yield f"{column} '{text[:40]}' is no number from {least} (leave it empty if not known)"


def _contradictions(lines: Sequence[Line]) -> Iterator[str]:
    """Lines that say of a picture what another line said, or something else.

    A picture may be a query and in the gallery, so that each asks for all others.
    """
    person: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for line in lines:
        if line.extra:
            continue
        path, who, split = (line.cells[name] for name in NEEDED)
        who = unicodedata.normalize("NFC", who)
        if (path, split) in seen:
            yield f"line {line.number}: '{path}' is in {split} again"
        elif person.setdefault(path, who) != who:
            yield f"line {line.number}: '{path}' is of '{who}' and of '{person[path]}'"
        seen.add((path, split))


def _numbers(cells: dict[str, str]) -> list[int]:
    return [int(cells.get(column) or unknown) for column, unknown in UNKNOWN.items()]
