"""Named random streams: each purpose has its own, none is global.

Adding a draw in one place changes nothing elsewhere, and any rank, worker or epoch can be replayed
alone.
"""

import hashlib

import numpy as np


def number(seed: int, *name: str | int) -> int:
    """A 63-bit seed for one purpose, for libraries that want a number.

    Example:
        >>> number(7, "weights") == number(7, "weights"), number(7, "weights") == number(7, "queue")
        (True, False)
    """
    return int.from_bytes(_digest(8, seed, name), "big") >> 1


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """An independent random stream for one purpose: `stream(7, "augment", epoch, rank)`.

    Example:
        >>> bool(stream(7, "augment", 0).random() == stream(7, "augment", 1).random())
        False
    """
    return np.random.default_rng(int.from_bytes(_digest(16, seed, name), "big"))


def _digest(size_bytes: int, seed: int, name: tuple[str | int, ...]) -> bytes:
    # NumPy's integers print otherwise than Python's: both must name the same stream.
    plain = (int(seed), *(part if isinstance(part, str) else int(part) for part in name))
    return hashlib.blake2b(repr(plain).encode(), digest_size=size_bytes).digest()
