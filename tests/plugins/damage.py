"""Damages to a file's bytes, drawn by seed: cuts, flipped bits, other bytes, absurd numbers."""

import struct
from collections.abc import Iterator

import numpy as np

from passerby import seeds

ABSURD = (0, 1, 255, 2**16 - 1, 2**30, 2**31 - 1, 2**31, 2**32 - 1)


def damaged(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """`count` damaged copies of `data`, which has a byte at least."""
    for number in range(count):
        rng = seeds.stream(seed, "damage", number)
        yield _DAMAGES[number % len(_DAMAGES)](bytearray(data), rng)


def _cut(data: bytearray, rng: np.random.Generator) -> bytes:
    return bytes(data[: rng.integers(len(data))])


def _flipped(data: bytearray, rng: np.random.Generator) -> bytes:
    for place in rng.integers(len(data), size=rng.integers(1, 4)):
        data[place] ^= 1 << int(rng.integers(8))
    return bytes(data)


def _other_bytes(data: bytearray, rng: np.random.Generator) -> bytes:
    begin, length = rng.integers(len(data)), rng.integers(1, 9)
    data[begin : begin + length] = rng.bytes(int(rng.integers(9)))
    return bytes(data)


def _absurd_number(data: bytearray, rng: np.random.Generator) -> bytes:
    begin = rng.integers(len(data))
    data[begin : begin + 4] = struct.pack("<I", ABSURD[rng.integers(len(ABSURD))])
    return bytes(data)


def _twice(data: bytearray, rng: np.random.Generator) -> bytes:
    begin, end = sorted(rng.integers(len(data) + 1, size=2))
    return bytes(data[:end] + data[begin:])


_DAMAGES = (_flipped, _cut, _other_bytes, _absurd_number, _flipped, _twice)
