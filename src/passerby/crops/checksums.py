"""The checksums of a crop store: one of each crop, one of each column, and one of the header.

A crop's is short and quick, because each crop is checked whenever it is read. Columns and header
are checked once, when a store is opened.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

_OWN = "sha256"


def of_crop(jpeg: bytes | memoryview) -> int:
    """CRC-32 of a JPEG file, below 2**32; it finds every changed bit, and any few of them."""
    return zlib.crc32(jpeg)


def of_crops(jpegs: Iterable[bytes]) -> np.ndarray:
    """CRC-32 of each JPEG file, uint32 `(N,)`."""
    return np.array([of_crop(jpeg) for jpeg in jpegs], np.uint32)


def of_column(data: bytes | memoryview) -> str:
    """SHA-256 of a column's bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def with_checksum(header: dict[str, Any]) -> bytes:
    """A header as it stands in the store, in JSON, with its own checksum.

    Example:
        >>> checked(json.loads(with_checksum({"crops": 3})))
        {'crops': 3}
    """
    return _text({**header, _OWN: of_column(_text(header))})


def checked(header: dict[str, Any]) -> dict[str, Any] | None:
    """A header without its checksum, or `None` if that is not its own.

    Example:
        >>> checked({"crops": 3, "sha256": "0"}) is None
        True
    """
    held = {key: value for key, value in header.items() if key != _OWN}
    return held if header.get(_OWN) == of_column(_text(held)) else None


def _text(header: dict[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True).encode()
