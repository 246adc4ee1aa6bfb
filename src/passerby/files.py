"""Files that are whole or absent: write beside, then rename; hashes; locked scratch folders.

Long stages keep their checkpoints in scratch, outside DVC's outputs:
`$DVC_ROOT/scratch/<stage>/<fingerprint>/`. The fingerprint hashes everything that decides the
result, so that a changed setting never goes on from another setting's checkpoint. The folder is
locked while its stage runs and removed when the stage has written its outputs.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import unicodedata
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from passerby import leftovers, places
from passerby.errors import BadInput
from passerby.foreign import opened, texts
from passerby.leftovers import root as scratch_root
from passerby.text import say

MAX_NAME_BYTES = 200
"""Of a name that files are called by. File systems take 255; endings are added to it."""
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def fault_of_name(name: str) -> str:
    """Why a text from outside cannot be the name of one file or folder; empty where it can.

    Example:
        >>> fault_of_name("peru+lima+-a_b"), fault_of_name("..")
        ('', 'names another folder')
    """
    if name in ("", ".", ".."):
        return "names another folder" if name else "is empty"
    if "/" in name or "\\" in name:
        return "holds a slash or a backslash"
    if not name.isprintable() and any(unicodedata.category(c) in _UNPRINTABLE for c in name):
        return "holds a control character"
    if (size := len(name.encode())) > MAX_NAME_BYTES:
        return f"has {size} bytes where {MAX_NAME_BYTES} are the most"
    return ""


@contextlib.contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a name to write to; on success the file becomes `path`, else it is removed.

    The data are on the disk before the name is: after a power cut `path` is the old file or the
    whole new one. Of two that write one file at the same time, the last to end gives it.

    Raises:
        BadInput: no file can stand there (`places.real_file`), or the disk does not take it.
    """
    target = places.real_file(path)
    places.make_folder(target.parent)
    with places.part_of(target, path) as beside:
        yield beside
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, target)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole, UTF-8, with Unix line ends."""
    with written_whole(path) as beside:
        beside.write_bytes(text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON whole: keys sorted, two blanks of indentation, no NaN."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        BadInput: it is missing, is no regular file, or is not JSON (with the line).
    """
    return texts.json_file(path)


class Below(NamedTuple):
    """What lies in a folder and below it, by names relative to it, with `/`, each sorted."""

    files: list[str]
    """Regular files, also behind links."""
    again: list[str]
    """Folders that are read already under another name: a link leads to them."""
    others: list[str]
    """Neither: pipes, devices, links that lead nowhere."""


def below(folder: str | Path) -> Below:
    """List a folder and the folders below it, also behind links, each folder once.

    Folders that are there themselves come before those behind links.

    Raises:
        BadInput: a folder cannot be listed.
    """
    root = Path(folder)
    found = Below([], [], [])
    seen: set[tuple[int, int]] = set()
    waiting = deque([root])
    while waiting:
        inner = waiting.popleft()
        try:
            status = os.stat(inner)
            entries = list(os.scandir(inner))
        except OSError as error:
            raise BadInput(f"{inner}: the folder cannot be listed ({error.strerror})") from None
        if (status.st_dev, status.st_ino) in seen:
            found.again.append(inner.relative_to(root).as_posix())
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = inner / entry.name
            if os.path.isdir(path):
                (waiting.append if entry.is_symlink() else waiting.appendleft)(path)
            else:
                kind = found.files if os.path.isfile(path) else found.others
                kind.append(path.relative_to(root).as_posix())
    return Below(*map(sorted, found))


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hex.

    Raises:
        BadInput: there is no such file, or it is a pipe, a device or a folder.
    """
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """Sixteen hex digits that name a JSON-able value.

    Example:
        >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
        True
    """
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def empty_folder(path: str | Path) -> Path:
    """Make `path` an empty folder, removing what was there.

    Raises:
        BadInput: something that is no folder stands there, or the disk does not allow it.
    """
    folder = places.make_folder(path)
    with places.written_to(folder):
        for child in folder.iterdir():
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            else:
                child.unlink()
    return folder


def put_folder(made: Path, out: str | Path) -> None:
    """Put a finished folder, whole, in the place of what was at `out`; `made` stays.

    A run that is killed here finds it again.

    Raises:
        BadInput: something that is no folder stands there, or the disk does not take it.
    """
    target = Path(os.path.realpath(out))
    places.make_folder(target.parent)
    with places.part_of(target, out) as beside:
        shutil.copytree(made, beside, copy_function=linked)
        empty_folder(target).rmdir()
        os.rename(beside, target)


def linked(source: str | Path, target: str | Path) -> None:
    """Give a file a second name, or copy it where that is another disk's."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@contextlib.contextmanager
def scratch(stage: str, contract: Any) -> Iterator[Path]:
    """Yield the locked scratch folder of one stage and one contract; remove it on success.

    A killed `dvc` leaves its command running. A second run then finds the folder locked: it waits
    until the first has ended, says so, and goes on from what is there.

    Folders of the same stage and other contracts, which runs that did not end left there, are named
    on stderr with their size and age (`passerby.leftovers`).

    Args:
        stage: Name of the stage, e.g. `pretrain@moco`.
        contract: Everything that decides the result, JSON-able; its fingerprint names the folder.
    """
    folder = scratch_root() / stage / fingerprint(contract)
    lock_path = folder.with_suffix(".lock")
    with _locked(lock_path, stage):
        places.make_folder(folder)
        leftovers.tell(stage, folder)
        yield folder
        shutil.rmtree(folder)
        # Unlinked while held: who waits for it sees another inode and takes a new lock.
        lock_path.unlink()
    with contextlib.suppress(OSError):  # another contract of this stage may still lie there
        folder.parent.rmdir()


@contextlib.contextmanager
def _locked(path: Path, stage: str) -> Iterator[None]:
    """Hold an exclusive lock on `path`, waiting for whoever has it."""
    said = False
    while True:
        file = _opened(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not said:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                _say(stage, f"process {holder} of an earlier run is still at this; waiting for it")
                said = True
            fcntl.flock(file, fcntl.LOCK_EX)
        if places.same_file(file.fileno(), path):
            break
        file.close()
    if said:
        _say(stage, "it has ended; going on")
    with places.written_to(path):
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
    try:
        yield
    finally:
        file.close()


def _opened(path: Path) -> IO[str]:
    """Open the lock file; closing it is what frees the lock."""
    while True:
        places.make_folder(path.parent)
        with (
            places.written_to(path),
            contextlib.suppress(FileNotFoundError),  # a holder that ended removed the folder
        ):
            return open(path, "a+")


def _say(stage: str, text: str) -> None:
    say(f"{stage}: {text}", sys.stderr)
