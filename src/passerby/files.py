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
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from passerby.foreign import opened, texts


@contextlib.contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; on success it becomes `path`, else it is removed.

    The data are on the disk before the name is: after a power cut `path` is the old file or the
    whole new one.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.part")
    beside.unlink(missing_ok=True)  # of a run that was killed
    try:
        yield beside
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


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
    """Make `path` an empty folder, removing what was there."""
    folder = Path(path)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def scratch_root() -> Path:
    """Where scratch lies: under the real repository, also in DVC's temporary copies of it."""
    return Path(os.environ.get("DVC_ROOT", ".")) / "scratch"


@contextlib.contextmanager
def scratch(stage: str, contract: Any) -> Iterator[Path]:
    """Yield the locked scratch folder of one stage and one contract; remove it on success.

    A killed `dvc` leaves its command running. A second run then finds the folder locked: it waits
    until the first has ended, says so, and goes on from what is there.

    Args:
        stage: Name of the stage, e.g. `pretrain@moco`.
        contract: Everything that decides the result, JSON-able; its fingerprint names the folder.
    """
    folder = scratch_root() / stage / fingerprint(contract)
    lock_path = folder.with_suffix(".lock")
    with _locked(lock_path, stage):
        folder.mkdir(exist_ok=True)
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
        if _same_file(file.fileno(), path):
            break
        file.close()
    if said:
        _say(stage, "it has ended; going on")
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
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # a holder that ended removed the folder
            return open(path, "a+")


def _say(stage: str, text: str) -> None:
    print(f"{stage}: {text}", file=sys.stderr, flush=True)


def _same_file(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one that bears the name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
