"""Pickles are weighed before they are read: honest ones pass, bombs do not."""

import collections
import io
import pickle
import random
import struct
import time
from typing import Any

import numpy as np
import pytest
import torch

from passerby.foreign import pickles

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Pair:
    """An object with a state."""

    def __init__(self) -> None:
        self.first, self.second = [1, 2], {"a": (3, 4)}


def honest() -> list[Any]:
    shared = [1, [2, 3], "text" * 50]
    rows = np.arange(2000).reshape(-1, 2)
    return [
        None, 7, -(2**40), 1.5, "x", b"bytes", [], (), {}, set(), frozenset(),
        [shared] * 100, {"a": shared, "b": shared}, (shared, (shared, shared)),
        {n: [[0, {"bbox": np.ones(4, np.float32), "conf": np.float32(0.5)}]] for n in range(2000)},
        [tuple(row) for row in rows.tolist()], {tuple(row): 1 for row in rows.tolist()},
        {frozenset({1, 2}): {3}}, [list(range(5000))], Pair(), [Pair()] * 3,
        collections.OrderedDict(a=1), collections.defaultdict(list, a=[1]),
        collections.Counter("aab"),
        np.asfortranarray(rows), np.float64(2), [[[[[[1]]]]]] * 50, bytearray(b"x" * 999),
        {"weights": torch.nn.Linear(2, 3).state_dict()},
    ]  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", honest(), ids=lambda value: type(value).__name__)
def test_what_an_honest_pickler_writes_passes(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    assert pickles.require_small(data) == len(data)
    assert pickles.require_small(b"before" + data + b"behind", 6) == len(data) + 6
    with io.BytesIO() as slow:
        pickle._Pickler(slow, protocol).dump(value)
        assert pickles.require_small(slow.getvalue()) == len(slow.getvalue())


def doubled(begin: bytes, pair: bytes, levels: int) -> bytes:
    """A value that holds two of the one before, so many times."""
    step = b"q\0" + pair
    return b"\x80\x02" + begin + step * levels


TUPLES = doubled(b")", b"h\0\x86", 60)
LISTS = doubled(b"]", b"0](h\0h\0e", 60)
DICTS = doubled(b"}", b"0}(K\1h\0K\2h\0u", 60)
DEEP = b"\x80\x02)" + b"\x85" * 200_000
LATE = b"\x80\x02]q\0(h\0h\0tq\x01h\0h\1a"


@pytest.mark.parametrize(
    "data",
    [
        TUPLES + b".",
        b"\x80\x02}" + TUPLES[2:] + b"K\1s.",
        LISTS + b".",
        DICTS + b".",
        DEEP + b".",
        b"\x80\x02}" + DEEP[2:] + b"K\1s.",
        LATE + b".",
        b"\x80\x02]q\0h\0a.",
        b"\x80\x02(]q\0X\x00\x00\x01\x00" + b"x" * 65536 + b"q\1" + b"h\1" * 300_000 + b"e0.",
        b"\x80\x02K\1r" + struct.pack("<I", 2**32 - 1) + b".",
        b"\x80\x02\x8a\xff" + b"\x01" * 255 + b".",
        b"\x80\x02\x8b" + struct.pack("<I", 5000) + b"\x01" * 5000 + b".",
        b"L" + b"9" * 400 + b"L\n.",
        b"\x80\x02\x8b" + struct.pack("<I", 2**31 - 1) + b".",
        b"",
        b"\x80\x02",
        b"\x80\x02.",
        b"\x80\x02h\7.",
        b"\x80\x02e.",
        b"\xff",
    ],
    ids=[
        "tuples", "key of tuples", "lists", "dicts", "deep", "deep key", "filled late", "itself",
        "long text", "far memory", "long number", "longer number", "digits", "claimed number",
        "empty", "cut", "nothing", "no memory", "no mark", "no operation",
    ],
)  # fmt: skip
def test_what_unfolds_to_far_more_or_is_none_is_refused_at_once(data: bytes) -> None:
    begin_s = time.process_time()
    with pytest.raises(pickle.UnpicklingError):
        pickles.require_small(data)
    assert time.process_time() - begin_s < 5


def test_small_sharing_is_no_bomb() -> None:
    """Eight levels stand for a thousand values: nothing to refuse."""
    assert pickles.require_small(doubled(b")", b"h\0\x86", 8) + b".") > 0


@pytest.mark.parametrize("seed", range(3))
def test_whatever_passes_is_read_in_no_time(seed: int) -> None:
    """Random programs: those that pass do not keep the real reader busy."""
    draw = random.Random(seed)
    words = [b")", b"]", b"}", b"(", b"K\1", b"q\0", b"q\1", b"h\0", b"h\1", b"2", b"t", b"l", b"d",
             b"\x85", b"\x86", b"\x87", b"a", b"e", b"s", b"u", b"0", b"1", b"N"]  # fmt: skip
    passed = 0
    for _ in range(3000):
        data = b"\x80\x02" + b"".join(draw.choices(words, k=draw.randrange(1, 120))) + b"."
        try:
            pickles.require_small(data)
        except pickle.UnpicklingError:
            continue
        passed += 1
        begin_s = time.process_time()
        try:
            pickle.loads(data)
        except Exception:
            continue  # not hashable, or filled with what it cannot hold
        finally:
            assert time.process_time() - begin_s < 1
    assert passed > 5
