"""LMDB files are looked through before LMDB reads them: what would end the process is refused."""

import struct
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pytest
from damage import damaged

from passerby.crops import pages
from passerby.errors import BadInput

PAGE = 4096


def written(path: Path, count: int = 3000, value_bytes: int = 3000) -> Path:
    """An LMDB file in whose tree there are branches, leaves and values of their own pages."""
    with (
        lmdb.open(str(path), subdir=False, lock=False, map_size=1 << 26) as env,
        env.begin(write=True) as put,
    ):
        for number in range(count):
            size = value_bytes if number % 7 == 0 else 20
            put.put(struct.pack(">Q", number), bytes(size), append=True)
    return path


def tree_pages(data: bytes) -> dict[str, int]:
    """A page of each kind, by its place."""
    kinds = {1: "branch", 2: "leaf"}
    found = {}
    for at in range(2 * PAGE, len(data), PAGE):
        number, _, kind = struct.unpack_from("<QHH", data, at)
        if number == at // PAGE and kind in kinds:
            found[kinds[kind]] = at
    return found


def changed(path: Path, at: int, form: str, value: int) -> None:
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, at, value)
    path.write_bytes(data)


def test_a_whole_file_passes(tmp_path: Path) -> None:
    path = written(tmp_path / "a.lmdb")
    assert set(tree_pages(path.read_bytes())) == {"branch", "leaf"}
    pages.require_whole(path, most_pages=None)
    written(tmp_path / "empty.lmdb", count=0)
    pages.require_whole(tmp_path / "empty.lmdb")


ENTRY = struct.Struct("<H")


@pytest.mark.parametrize(
    ("kind", "offset", "form", "value"),
    [
        ("leaf", 0, "<Q", 1 << 40),  # a page that says it is another
        ("leaf", 10, "<H", 0x20),  # a kind that this store has not
        ("leaf", 12, "<H", PAGE + 2),  # entries beyond the page
        ("leaf", 12, "<H", 15),
        ("leaf", 14, "<H", 0xFFFF),
        ("leaf", 16, "<H", 0xFFF0),  # an entry beyond the page
        ("leaf", 16, "<H", 17),
        ("branch", 12, "<H", 16),  # no entry
        ("branch", 12, "<H", 18),  # one alone, on which LMDB ends the process
    ],
)
def test_a_page_that_leads_out_of_itself_is_refused(
    kind: str, offset: int, form: str, value: int, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.lmdb")
    changed(path, tree_pages(path.read_bytes())[kind] + offset, form, value)
    with pytest.raises(BadInput, match=r"a\.lmdb: not an undamaged crop store .*; copy it again"):
        pages.require_whole(path)


@pytest.mark.parametrize(
    ("kind", "offset", "form", "value"),
    [
        ("leaf", 6, "<H", 0xFFFF),  # a key beyond the page
        ("leaf", 2, "<H", 0xFFFF),  # a value of gigabytes
        ("leaf", 4, "<H", 2),  # a tree within the value
        ("branch", 0, "<H", 0xFFFF),  # a page beyond the file
        ("branch", 0, "<H", 1),  # a head page
    ],
)
def test_an_entry_that_leads_out_of_the_file_is_refused(
    kind: str, offset: int, form: str, value: int, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.lmdb")
    data = path.read_bytes()
    page = tree_pages(data)[kind]
    changed(path, page + ENTRY.unpack_from(data, page + 16)[0] + offset, form, value)
    with pytest.raises(BadInput, match="not an undamaged crop store"):
        pages.require_whole(path)


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [(16, "<I", 7), (20, "<I", 2), (40, "<I", 0), (40, "<I", 4095), (40 + 48 + 4, "<H", 4)],
)
def test_a_head_that_lmdb_must_not_see_is_refused(
    offset: int, form: str, value: int, tmp_path: Path
) -> None:
    """Another format or version, pages of no size, keys of another order."""
    path = written(tmp_path / "a.lmdb")
    changed(path, offset, form, value)
    with pytest.raises(BadInput, match=r"a\.lmdb: not a crop store .*'dvc repro crop' makes it"):
        pages.require_whole(path)


def test_pages_that_lead_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.lmdb")
    data = path.read_bytes()
    page = tree_pages(data)["branch"]
    entry = page + ENTRY.unpack_from(data, page + 18)[0]
    changed(path, entry, "<H", page // PAGE)
    with pytest.raises(BadInput, match="its pages do not form a tree"):
        pages.require_whole(path)


def test_of_a_large_store_the_first_pages_are_walked_unless_all_are_asked_for(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "a.lmdb")
    data = path.read_bytes()
    leaves = [
        at
        for at in range(2 * PAGE, len(data), PAGE)
        if struct.unpack_from("<QHH", data, at)[::2] == (at // PAGE, 2)
    ]
    for at in leaves:
        changed(path, at + 12, "<H", 15)
    pages.require_whole(path, most_pages=1)
    with pytest.raises(BadInput, match="not an undamaged crop store"):
        pages.require_whole(path, most_pages=None)


@pytest.mark.slow
def test_whatever_passes_is_read_by_lmdb_without_harm(tmp_path: Path) -> None:
    """Damaged trees: each is refused, or all of it can be read in this process."""
    data = written(tmp_path / "a.lmdb", count=400).read_bytes()
    places = sorted({0, PAGE, *tree_pages(data).values()})
    tree = b"".join(data[at : at + PAGE] for at in places)
    refused = 0
    for number, bad in enumerate(damaged(tree, 600)):
        whole = bytearray(data)
        for n, at in enumerate(places):
            part = bad[n * PAGE : (n + 1) * PAGE].ljust(PAGE, b"\0")
            whole[at : at + PAGE] = part
        path = tmp_path / f"{number}.lmdb"
        path.write_bytes(whole)
        try:
            pages.require_whole(path, most_pages=None)
        except BadInput:
            refused += 1
            continue
        read_all(path)
        path.unlink()
    assert refused > 100


def read_all(path: Path) -> int:
    """The sum of all bytes that LMDB gives."""
    total = 0
    try:
        with (
            lmdb.open(str(path), subdir=False, readonly=True, lock=False) as env,
            env.begin(buffers=True) as transaction,
        ):
            for number in range(400):
                value = transaction.get(struct.pack(">Q", number))
                total += 0 if value is None else int(np.frombuffer(value, np.uint8).sum())
    except lmdb.Error:
        return -1
    return total


def test_a_header_or_column_of_another_shape_is_refused(
    make_store: Callable[..., object], tmp_path: Path
) -> None:
    from crop_samples import make_source, rewritten

    from passerby.crops.store import CropStore

    nines = b"\x09\x00\x00\x00" * 6
    changes: list[tuple[bytes | dict[str, object], dict[str, bytes], str]] = [
        (b"[]", {}, "format 'None' found"),
        (b'{"format": "passerby.crops/3", "crops": 1e999}', {}, "wanted a finite"),
        (b'{"format": "passerby.crops/3", "crops": 6}', {}, r"damaged \(its header\)"),
        (b"\xff", {}, "not text in UTF-8"),
        ({"crops": "many"}, {}, "its header's 'crops'"),
        ({"crops": 7}, {}, "found of column 'video'"),
        ({"columns": {}}, {}, r"damaged \(its column 'video'\)"),
        ({}, {"frame": b"123"}, "3 bytes found of column 'frame'"),
        ({}, {"video": nines}, "column 'video' counts from"),
        ({}, {"camera": nines}, "column 'camera' counts from"),
    ]
    for number, (header, columns, said) in enumerate(changes):
        make_store(make_source("a+b+c"), name=f"{number}.lmdb")
        copy = tmp_path / f"copy-{number}.lmdb"
        copy.write_bytes((tmp_path / f"{number}.lmdb").read_bytes())
        if isinstance(header, bytes):
            with lmdb.open(str(copy), subdir=False, lock=False) as env, env.begin(write=True) as to:
                to.put(b"header", header)
        else:
            rewritten(copy, header, columns)
        with pytest.raises(BadInput, match=said):
            CropStore(copy)
