"""Files in scratch that a later run goes on from: they end with the checksum of what they hold.

Disks and memory change a bit now and then. A file that is no longer what was written is found when
it is read back (`Damaged`): it is named, and its work is done again.
"""

import contextlib
import errno
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from passerby import files
from passerby.errors import BadInput
from passerby.text import say

_MARK = b"\nsha256 "
_SEAL_BYTES = len(_MARK) + 64 + 1


class Damaged(BadInput):
    """A file is not what was written: its work has to be done again."""


@contextlib.contextmanager
def written(path: str | Path) -> Iterator[Path]:
    """Yield a name to write to; on success the file gets its checksum, and its name `path`.

    It is whole or absent, as by `files.written_whole`.
    """
    with files.written_whole(path) as beside:
        yield beside
        seal = _seal(files.sha256(beside))
        with open(beside, "ab") as file:
            file.write(seal)


def read(path: str | Path) -> bytes:
    """The bytes that were written to a sealed file.

    Raises:
        Damaged: it is missing, cannot be read from its disk, or is not what was written.
    """
    content = _content(Path(path))
    held, seal = content[:-_SEAL_BYTES], content[-_SEAL_BYTES:]
    if seal != _seal(hashlib.sha256(held).hexdigest()):
        raise Damaged(f"{path}: damaged: its checksum is not that of what it holds")
    return held


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON and seal it."""
    with written(path) as beside:
        beside.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False))


def read_json(path: str | Path) -> Any:
    """Read JSON that was sealed.

    Raises:
        Damaged: as `read`.
    """
    return json.loads(read(path))


def check(path: str | Path, sha256: str) -> None:
    """Compare a file without a seal with the hash of its bytes that a sealed one holds.

    Raises:
        Damaged: it is missing, cannot be read from its disk, or has other bytes.
    """
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None
    if found != sha256:
        raise Damaged(f"{path}: damaged: its bytes are not those that were written")


def say_again(stage: str, error: Damaged, what: str) -> None:
    """Name what is damaged, and say what is done about it, e.g. `cut again`."""
    say(f"{stage}: {error}; {what}", sys.stderr)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str | Path, error: OSError) -> Exception:
    """A sector that a disk has lost is damage; that a file may not be read is none."""
    if error.errno in (errno.ENOENT, errno.EIO):
        return Damaged(f"{path}: damaged: {error.strerror}")
    return error


def _seal(sha256: str) -> bytes:
    return _MARK + sha256.encode() + b"\n"
