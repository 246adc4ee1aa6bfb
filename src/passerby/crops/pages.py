"""Whether an LMDB file holds together, before LMDB is let near it.

LMDB trusts its files: it maps them and follows their numbers. A flipped bit in a page can send it
outside of the map, or into one of its own assertions, and either ends the process. So the tree is
walked here first: every page and every value must lie where the file can have them. Values
themselves are not touched, so that little more than a hundredth of a store is read.
"""

import mmap
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from passerby.errors import BadInput
from passerby.foreign import opened, reading

MOST_WALKED_PAGES = 20_000
"""Of branches and leaves: three million crops. Of larger stores only the first of them are walked
when they are opened, all when they are verified."""
PAGE_BYTES = frozenset(1 << bits for bits in range(9, 17))
MOST_DEPTH = 16
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_BRANCH, _LEAF, _META, _BIG = 1, 2, 8, 1
_HEADER_BYTES, _NODE_BYTES = 16, 8
_NONE = 2**64 - 1
_PAGE = struct.Struct("<QHHHH")
_META_HEAD = struct.Struct("<IIQQ")
_DATABASE = struct.Struct("<IHHQQQQQ")
_META_TAIL = struct.Struct("<QQ")


class _Tree(NamedTuple):
    """What the newer of the two head pages says."""

    page_bytes: int
    root: int
    pages: int
    change: int
    """Number of the transaction that wrote it."""


def require_whole(path: str | Path, most_pages: int | None = MOST_WALKED_PAGES) -> None:
    """Refuse a file that LMDB could not be trusted with.

    Args:
        path: The file.
        most_pages: How many pages of the tree are walked; `None` for all.

    Raises:
        BadInput: it is missing, is no regular file, no LMDB file, cut short or damaged.
    """
    with opened(path, "'dvc repro crop' makes it") as file:
        with reading(path, "a crop store", "'dvc repro crop' makes it"):
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            tree = _tree(data)
        wanted_bytes = tree.pages * tree.page_bytes
        if len(data) < wanted_bytes:
            raise BadInput(
                f"{path}: {len(data):,} bytes found, {wanted_bytes:,} wanted: it was cut short; "
                "copy it again, or 'dvc repro crop' makes it"
            )
        with reading(
            path, "an undamaged crop store", "copy it again, or 'dvc repro crop' makes it"
        ):
            _walk(data, tree, most_pages)


def _tree(data: mmap.mmap) -> _Tree:
    first = _head(data, 0)
    second = _head(data, first.page_bytes)
    if second.page_bytes != first.page_bytes:
        raise ValueError("two sizes of pages")
    return second if first.change < second.change else first


def _head(data: mmap.mmap, at: int) -> _Tree:
    """One of the two head pages."""
    flags = _PAGE.unpack_from(data, at)[2]
    at += _HEADER_BYTES
    magic, version, _, _ = _META_HEAD.unpack_from(data, at)
    if not flags & _META or (magic, version) != (_MAGIC, _VERSION):
        raise ValueError("another format")
    at += _META_HEAD.size
    page_bytes = _DATABASE.unpack_from(data, at)[0]
    _, kind, _, _, _, _, _, root = _DATABASE.unpack_from(data, at + _DATABASE.size)
    last, change = _META_TAIL.unpack_from(data, at + 2 * _DATABASE.size)
    if page_bytes not in PAGE_BYTES or kind:
        raise ValueError(f"pages of {page_bytes} bytes, keys of kind {kind}")
    return _Tree(page_bytes, root, last + 1, change)


def _walk(data: mmap.mmap, tree: _Tree, most_pages: int | None) -> None:
    """Look at every page of the tree.

    Raises:
        ValueError: what is wrong with one.
    """
    if tree.root == _NONE:
        return
    ahead, walked = [(tree.root, 1)], 0
    while ahead and (most_pages is None or walked < most_pages):
        number, depth = ahead.pop()
        walked += 1
        if depth > MOST_DEPTH or walked > tree.pages:
            raise ValueError("its pages do not form a tree")
        ahead += [(child, depth + 1) for child in _children(data, tree, number)]


def _children(data: mmap.mmap, tree: _Tree, number: int) -> list[int]:
    """The pages that a page leads to, once it and its values are found to lie within the file."""
    if not 2 <= number < tree.pages:
        raise ValueError(f"a page {number:,} of {tree.pages:,}")
    size, at = tree.page_bytes, number * tree.page_bytes
    own, _, kind, lower, upper = _PAGE.unpack_from(data, at)
    count = (lower - _HEADER_BYTES) // 2
    if own != number or kind not in (_BRANCH, _LEAF) or not _HEADER_BYTES < lower <= upper <= size:
        raise ValueError(f"page {number:,} is none")
    page = np.frombuffer(data, np.uint8, size, at)
    words = page.view("<u2").astype(np.int64)
    nodes = words[_HEADER_BYTES // 2 : lower // 2]
    if (nodes % 2).any() or (nodes < upper).any() or (nodes > size - _NODE_BYTES).any():
        raise ValueError(f"page {number:,} has entries outside of it")
    low, high, flags, key_bytes = (words[nodes // 2 + place] for place in range(4))
    behind_key = nodes + _NODE_BYTES + key_bytes
    if kind == _BRANCH:
        if count < 2 or (behind_key > size).any():
            raise ValueError(f"page {number:,} has keys outside of it")
        return [int(child) for child in low | high << 16 | flags << 32]
    value_bytes = low | high << 16
    is_big = flags == _BIG
    inside = np.where(is_big, 8, value_bytes)
    if ((flags != 0) & ~is_big).any() or (behind_key + inside > size).any():
        raise ValueError(f"page {number:,} has values outside of it")
    places = page[behind_key[is_big, None] + np.arange(8)].astype(np.uint64)
    pages = (places << (8 * np.arange(8, dtype=np.uint64))).sum(axis=1, dtype=np.uint64)
    ends = pages.astype(np.float64) * size + _HEADER_BYTES + value_bytes[is_big]
    if (pages < 2).any() or (ends > tree.pages * size).any():
        raise ValueError(f"page {number:,} has values outside of the file")
    return []
