"""Where a file may be written: what stands there already, links, rights, room; and parts of files.

A user expects of a name what other programs do: a link is followed, a folder or a device is no
file. Whatever a disk or a library says against it becomes one refusal.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from passerby import errors
from passerby.errors import BadInput, PasserbyError

_LINKS = 40
"""As many links one behind the other as Linux follows."""
_IN_CACHE = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$")
"""A file of DVC's cache."""
_NAME_BYTES = 200
"""Of a file whose name is part of its folder's; a name has 255 at most."""
_PART, _LOCK = "new.part", "lock"


@contextlib.contextmanager
def written_to(path: str | Path, hidden: str = "") -> Iterator[None]:
    """Turn every error of a disk, and of a library that writes, into a refusal that names `path`.

    Args:
        path: The file or folder that is written inside.
        hidden: As `errors.of_disk` has it.

    Raises:
        BadInput: it could not be written.
    """
    try:
        yield
    except PasserbyError:
        raise
    except Exception as error:
        fault = errors.of_disk(error, path, hidden)
        if fault is None:
            raise
        raise fault from None


def make_folder(path: str | Path) -> Path:
    """Make a folder and those above it, if they are missing.

    Raises:
        BadInput: a file stands there, or the disk or its rights do not allow it.
    """
    folder = Path(path)
    with written_to(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, "", str(folder)) from None
    return folder


def real_file(path: str | Path) -> Path:
    """The file that is to be written for the name `path`, which need not be there.

    A link is followed, so that it stays a link. A link that DVC made into its cache is the name
    itself: through it, the cache would be damaged.

    Raises:
        BadInput: a folder or a device stands there, or a link to one, or a link to nowhere.
    """
    with written_to(path):
        return _real_file(Path(path))


def _real_file(path: Path) -> Path:
    target, asked = path, f"{path}"
    for _ in range(_LINKS):
        if not target.is_symlink() or _IN_CACHE.search(os.path.realpath(target)):
            break
        target = Path(os.path.normpath(target.parent.resolve() / target.readlink()))
        asked = f"{path}: a link to {target}"
        if target.is_relative_to("/proc"):  # /dev/stdout
            raise BadInput(f"{asked}, which is no file that can be replaced; name a file")
    else:
        target = path  # looking at what it is ends with the system's error
    if target != path and not target.parent.is_dir():
        raise BadInput(f"{asked}, whose folder does not exist; make it, or name another file")
    _require_regular(target, asked)
    return target


def _require_regular(target: Path, asked: str) -> None:
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise BadInput(f"{asked}: a folder stands where a file was wanted; name a file")
    if not stat.S_ISREG(mode):
        raise BadInput(f"{asked}: a device or a pipe, which is no file; name a file")


def require_file(path: str | Path) -> None:
    """Refuse, before long work, a file that could not be written after it.

    Raises:
        BadInput: as `real_file`; or its folder, or the nearest that is there, takes no file.
    """
    require_folder(real_file(path).parent)


def require_unread(path: str | Path, read: Iterable[str | Path]) -> None:
    """Refuse to write a file in the place of one that it is made of, under whatever name.

    Args:
        path: The file that is to be written.
        read: The files that are read for it.

    Raises:
        BadInput: it is one of them.
    """
    with contextlib.suppress(OSError, ValueError):  # there is nothing that could be lost
        there = os.stat(path)
        for file in read:
            with contextlib.suppress(OSError, ValueError):
                if os.path.samestat(there, os.stat(file)):
                    raise BadInput(
                        f"{path}: it is read for that and would be lost; name a new file"
                    )


def require_folder(path: str | Path) -> None:
    """Refuse, before long work, a folder that could not be made or written to after it.

    Nothing is left there.

    Raises:
        BadInput: a file stands there or above it, or the disk or its rights do not allow it.
    """
    folder = Path(path).absolute()
    with written_to(path):
        while not _is_there(folder):
            folder = folder.parent
    shown = Path(path) if folder == Path(path).absolute() else folder
    with written_to(shown, hidden=f"{folder}/"):
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "", str(shown))
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(bytes(4096))


def _is_there(path: Path) -> bool:
    """As `os.path.lexists`, which holds a name that is too long for one that is free."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


@contextlib.contextmanager
def part_of(target: Path, path: str | Path) -> Iterator[Path]:
    """Yield a name on the disk of `target` that nobody else writes to.

    It lies in a folder of its own beside `target`, which is removed at the end with all that a
    library leaves in it. A folder that a killed run left is emptied and used.

    Args:
        target: The file or folder that it is to become.
        path: What messages call it.

    Raises:
        BadInput: the disk does not take it (`written_to`).
    """
    name = target.name
    if len(os.fsencode(name)) > _NAME_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    beside = target.with_name(f".{name}")
    with written_to(path, hidden=str(beside)):
        folder, lock = _claim(beside)
    try:
        with written_to(path, hidden=str(beside)):
            yield folder / _PART
    finally:
        with contextlib.suppress(OSError):
            _empty(folder)
            # The lock last: from then on, the folder may be another's.
            (folder / _LOCK).unlink()
            folder.rmdir()
        lock.close()


def _claim(beside: Path) -> tuple[Path, IO[str]]:
    """The first folder of a name that no other process is at, and its lock."""
    number, folder = 0, Path(f"{beside}.part")
    while (lock := _claimed(folder)) is None:
        number, folder = number + 1, Path(f"{beside}.{number + 1}.part")
    return folder, lock


def _claimed(folder: Path) -> IO[str] | None:
    """The lock of an empty folder that is this process's now; `None` if another is at it."""
    while True:
        if folder.is_symlink() or folder.is_file():  # of an earlier version
            folder.unlink()
        folder.mkdir(exist_ok=True)
        lock = _opened(folder / _LOCK)
        if lock is None:  # who had it has just removed the folder
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        except OSError:  # a network disk without locks
            pass
        if same_file(lock.fileno(), folder / _LOCK):
            _empty(folder)
            return lock
        lock.close()


def _opened(path: Path) -> IO[str] | None:
    with contextlib.suppress(FileNotFoundError):
        return open(path, "a")
    return None


def _empty(folder: Path) -> None:
    """Remove all but the lock."""
    for path in [path for path in folder.iterdir() if path.name != _LOCK]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def same_file(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one that bears the name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
