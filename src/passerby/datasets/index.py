"""The index of a labelled set: `data/benchmarks/NAME.tsv`, one row an image, with its hash.

Later stages depend on the index alone: its hashes stand for the images. This file owns the format:
a first line `# passerby.benchmark/1 {header as JSON}`, a line of column names, then the rows.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from passerby import files, images, parallel
from passerby.datasets import (
    consistency,
    counts,
    cuhk01,
    cuhk03,
    cuhk03_np,
    folder,
    market1501,
    msmt17,
    table,
)
from passerby.datasets.rows import DISTRACTOR, JUNK, SPLITS, Reader, Row
from passerby.errors import BadInput, listing
from passerby.foreign import texts
from passerby.settings import BenchmarkSource

FORMAT = "passerby.benchmark/1"
COLUMNS = ("split", "path", "person", "camera", "sequence", "frame", "sha256")
READERS: dict[str, Reader] = {
    "market1501": market1501.read,
    "cuhk03-np": cuhk03_np.read,
    "cuhk01": cuhk01.read,
    "msmt17": msmt17.read,
    "folder": folder.read,
    "csv": table.read,
}
PROTOCOLS = {"cuhk03": "cuhk03-np"}
"""The protocol of a kind, where it has another name."""
IMAGE_BEGINS = (b"\xff\xd8", b"\x89P")
"""Of JPEG and PNG."""
DIGEST = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Items:
    """The images of one split, as columns of length `N`, sorted by path."""

    paths: list[Path]
    """Under the root that the index was read with."""
    person: np.ndarray
    """`int32 (N,)`, from 1; 0 is a distractor."""
    camera: np.ndarray
    """`int32 (N,)`, from 1; 0 where it is not known."""
    sequence: np.ndarray
    """`int32 (N,)`, from 1; 0 where the set has none."""
    frame: np.ndarray
    """`int32 (N,)`: frame or number of the picture; -1 where neither is known."""
    hashes: list[str]
    """First 16 hex digits of the SHA-256 of each image."""

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def views(self) -> np.ndarray:
        """The camera of each image, `(N,)`; where it is not known, a number of its very picture.

        The numbers are below 0, and equal pictures have equal ones. Rules that ignore matches by
        the query's own camera then ignore, without cameras, the query's own picture and no other.
        """
        if self.camera.all():
            return self.camera
        pictures = np.array([-1 - (int(digest, 16) >> 1) for digest in self.hashes], np.int64)
        return np.where(self.camera > 0, self.camera, pictures)

    def of_people(self, people: Collection[int]) -> "Items":
        """Only the images of these people."""
        kept = np.flatnonzero(np.isin(self.person, list(people)))
        return Items(
            [self.paths[i] for i in kept],
            self.person[kept],
            self.camera[kept],
            self.sequence[kept],
            self.frame[kept],
            [self.hashes[i] for i in kept],
        )


@dataclass(frozen=True)
class Benchmark:
    """A labelled set: where it lies, what is in it, and the hash of each image."""

    header: dict[str, Any]
    """`name`, `kind`, `counts` and, where the split was drawn, `split_seed`."""
    root: Path
    rows: tuple[Row, ...]
    hashes: tuple[str, ...]
    """First 16 hex digits of the SHA-256 of each image."""

    @property
    def name(self) -> str:
        """Name of the set in the settings."""
        return str(self.header["name"])

    @property
    def kind(self) -> str:
        """Layout of the set."""
        return str(self.header["kind"])

    @property
    def protocol(self) -> str:
        """Name of the rules that it is evaluated by: its kind's, or those of the same pictures."""
        return PROTOCOLS.get(self.kind, self.kind)

    def split(self, name: str) -> Items:
        """The images of `train`, `query` or `gallery`; junk is left out, distractors are not."""
        if name not in SPLITS:
            raise ValueError(f"a split is one of {', '.join(SPLITS)}, not '{name}'")
        kept = [
            (row, digest)
            for row, digest in zip(self.rows, self.hashes, strict=True)
            if row.split == name and row.person != JUNK
        ]
        labels = np.array([row[2:] for row, _ in kept], np.int32).reshape(-1, 4)
        person, camera, sequence, frame = labels.T.copy()
        paths = [self.root / row.path for row, _ in kept]
        return Items(paths, person, camera, sequence, frame, [digest for _, digest in kept])

    def people(self, split: str) -> tuple[int, ...]:
        """The people of one split, sorted, without distractors."""
        return tuple(sorted({int(person) for person in self.split(split).person} - {DISTRACTOR}))

    def remarks(self) -> str:
        """What must be known of its labels: of how many pictures the camera is, and the like."""
        said = consistency.remarks(self.rows, self.hashes)
        return "\n".join(f"{self.name}: {line}" for line in said)

    def write(self, path: str | Path) -> None:
        """Write the index; equal sets give equal bytes, wherever they lie."""
        head = f"# {FORMAT} {json.dumps(self.header, sort_keys=True)}\n" + "\t".join(COLUMNS)
        body = (
            "\t".join((*map(str, row), digest))
            for row, digest in zip(self.rows, self.hashes, strict=True)
        )
        files.write_text(path, "\n".join((head, *body)) + "\n")


def build(name: str, source: BenchmarkSource) -> Benchmark:
    """Read a labelled set, check its counts and its labels, hash its images.

    Args:
        name: Name of the set in the settings.
        source: Its entry there.

    Raises:
        BadInput: a folder or a file of the split is missing; a name carries no labels; other counts
            than wanted; a person is in the training and in the test part; cameras are known of
            some pictures only; an image is not whole; a set of one's own has one picture with
            several labels.

    A set of one's own may have no counts that it must have: then its index says what was found.
    """
    root = Path(source.root)
    must = counts.wanted(source.counts, name) if source.counts else {}
    rows = _rows(root, source)
    counts.check(rows, must, name, root)
    _check_people(rows, name)
    _check_paths(rows, root)
    consistency.check_cameras(rows, name)
    rows.sort(key=lambda row: (SPLITS.index(row.split), row.path))
    held = must or counts.found(rows, dict.fromkeys(counts.OWN, 0))
    header: dict[str, Any] = {"name": name, "kind": source.kind, "counts": held}
    if source.counts and not source.counts.endswith(".json"):
        header["published"] = source.counts
    if source.kind == "cuhk01":
        header["split_seed"] = source.split_seed
    with ThreadPoolExecutor(parallel.workers()) as pool:
        hashes = list(pool.map(_image_hash, [root / row.path for row in rows]))
    if source.kind in consistency.OWN_KINDS:
        consistency.check_pictures(rows, hashes, name)
    return Benchmark(header, root, tuple(rows), tuple(hashes))


def _rows(root: Path, source: BenchmarkSource) -> list[Row]:
    if source.kind == "cuhk03":
        return cuhk03.read(root, source.split_file)
    return READERS[source.kind](root, source.split_seed)


def _check_people(rows: Sequence[Row], name: str) -> None:
    train = {row.person for row in rows if row.split == "train"}
    test = {row.person for row in rows if row.split != "train"}
    nobody = Counter(row.split for row in rows if row.person <= 0 and row.split != "gallery")
    if nobody:
        raise BadInput(
            f"{name}: images of nobody (0000 or -1) outside the gallery: "
            f"{', '.join(f'{n} in {split}' for split, n in nobody.items())}; take them out"
        )
    if train & test:
        raise BadInput(
            f"{name}: people both in the training and in the test part: "
            f"{listing(sorted(train & test))}; each must be in one of them only "
            f"({_example(rows, train & test)})"
        )


def _example(rows: Sequence[Row], people: set[int]) -> str:
    """An image in each part of the first of these people, whose number need not be in names."""
    theirs = [row for row in rows if row.person == min(people)]
    train = next(row.path for row in theirs if row.split == "train")
    test = next(row.path for row in theirs if row.split != "train")
    return f"such as {train} and {test}"


def _check_paths(rows: Sequence[Row], root: Path) -> None:
    """Refuse paths that would not fit in one cell of the index."""
    strange = [row.path for row in rows if "\t" in row.path or len(row.path.splitlines()) > 1]
    if strange:
        raise BadInput(
            f"{root}: tabs or line ends in names: {listing(list(map(repr, strange)))}; rename them"
        )
    # Bytes that are no UTF-8 stand in a name as halves of characters.
    if no_text := [row.path for row in rows if re.search("[\ud800-\udfff]", row.path)]:
        raise BadInput(
            f"{root}: names that are no text in UTF-8: {listing(list(map(repr, no_text)))}; "
            "rename them, or unpack the set with its own encoding of names"
        )


def _image_hash(path: Path) -> str:
    """Hash an image file, and refuse one that is no whole JPEG or PNG."""
    data = images.read_bytes(path)
    known = data.startswith(IMAGE_BEGINS)
    if not known or not images.has_end(data):
        what = "cut short" if known else "no JPEG or PNG"
        raise BadInput(f"{path}: {what} ({len(data):,} bytes); unpack the set again")
    images.decoded(data, path)
    return hashlib.sha256(data).hexdigest()[:16]


def read(path: str | Path, root: str | Path) -> Benchmark:
    """Read an index.

    Args:
        path: The index, `data/benchmarks/NAME.tsv`.
        root: The folder that its paths are relative to.

    Raises:
        BadInput: it is missing, is of another version, or has a line that is not a row.
    """
    lines = texts.lines(path, "'dvc repro benchmark' writes this index")
    first = lines[0] if lines else ""
    if not first.startswith(f"# {FORMAT} "):
        raise BadInput(
            f"{path}, line 1: '# {FORMAT} ...' wanted, '{first[:60]}' found; "
            "write the index again with 'dvc repro benchmark'"
        )
    rows, hashes = [], []
    for number, line in enumerate(lines[2:], start=3):
        row, digest = _parsed(line, f"{path}, line {number}")
        rows.append(row)
        hashes.append(digest)
    header = texts.json_value(first.removeprefix(f"# {FORMAT} "), f"{path}, line 1")
    if not isinstance(header, dict) or not {"name", "kind"} <= set(header):
        raise BadInput(f"{path}, line 1: 'name' and 'kind' of the set wanted")
    return Benchmark(header, Path(root), tuple(rows), tuple(hashes))


def _parsed(line: str, where: str) -> tuple[Row, str]:
    cells = line.split("\t")
    numbers = [texts.whole_number(cell, least=-1) for cell in cells[2:-1]]
    known = [number for number in numbers if number is not None]
    is_row = len(cells) == len(COLUMNS) and cells[0] in SPLITS and DIGEST.fullmatch(cells[-1])
    if not is_row or len(known) < len(numbers):
        raise BadInput(
            f"{where}: a row of {', '.join(COLUMNS)} wanted, '{line[:60]}' found; "
            "write the index again with 'dvc repro benchmark'"
        )
    return Row(cells[0], cells[1], *known), cells[-1]
