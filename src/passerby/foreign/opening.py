"""Opening a file from outside, and one message for whatever its reading raises."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from passerby.errors import BadInput, PasserbyError
from passerby.text import line

MOST_WORDS = 400
"""Characters of a library's message that are passed on."""
MOST_OF_PATH = 500
"""Characters of a path that are shown."""
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def exists(path: str | Path) -> bool:
    """Whether there is anything of this name; a name that no disk can have is not there."""
    return _mode(path) is not None


def is_file(path: str | Path) -> bool:
    """Whether it is a regular file, or a link to one; false for names that no disk can have."""
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_folder(path: str | Path) -> bool:
    """Whether it is a folder, or a link to one; false for names that no disk can have."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(path: str | Path) -> int | None:
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError):  # a name with a NUL in it is a ValueError
        return None


def require_file(path: str | Path, advice: str = "", most_bytes: int | None = None) -> int:
    """The length of a regular file, in bytes; it is not opened.

    Args:
        path: The file.
        advice: What to do where it is missing.
        most_bytes: The greatest length that is taken.

    Raises:
        BadInput: it is missing, or is something else, or longer.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise _unopened(path, error, advice) from None
    _require_regular(path, found, most_bytes)
    return found.st_size


def require_utf8_name(path: str | Path) -> None:
    """Refuse a name that is no text in UTF-8, as other systems give; for libraries that take texts.

    OpenCV even dies of it; others take the file for a broken one.

    Raises:
        BadInput: it is none.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise BadInput(
            f"{path}: a name that is no text in UTF-8, which the library for such files cannot "
            "open; rename it, or the folder above it"
        ) from None


@contextlib.contextmanager
def opened(
    path: str | Path, advice: str = "", most_bytes: int | None = None
) -> Iterator[BufferedReader]:
    """Open a regular file to read its bytes.

    A pipe is refused, not waited for; the file that was looked at is the one that is read.

    Args:
        path: The file.
        advice: What to do where it is missing.
        most_bytes: The greatest length that is taken.

    Raises:
        BadInput: as `require_file`, or it may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _unopened(path, error, advice) from None
    try:
        _require_regular(path, os.fstat(descriptor), most_bytes)
    except BadInput:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        yield file


def read_bytes(path: str | Path, most_bytes: int, advice: str = "") -> bytes:
    """All bytes of a regular file.

    Raises:
        BadInput: as `opened`, or the disk does not give them.
    """
    with opened(path, advice, most_bytes) as file, reading(path, "a file that can be read"):
        return file.read(most_bytes)


@contextlib.contextmanager
def reading(path: str | Path, wanted: str, advice: str = "") -> Iterator[None]:
    """Turn whatever a library raises over a file into one message that names the file.

    Only the library's own calls belong inside: a fault of ours would be taken for the file's.

    Args:
        path: The file, or what messages call it.
        wanted: What the file should have been, e.g. `arrays as np.savez writes them`.
        advice: What to do.

    Raises:
        BadInput: anything was raised.
    """
    try:
        yield
    except PasserbyError:
        raise
    except MemoryError:
        raise BadInput(
            f"{named(path)}: not {wanted} that fits into memory{f'; {advice}' if advice else ''}"
        ) from None
    except Exception as error:  # each library has families of its own
        raise _not_wanted(path, wanted, error, advice) from None
    except BaseException as error:
        # What is written in Rust raises this one, which is no Exception, where it gives up.
        if type(error).__name__ != "PanicException":
            raise
        raise _not_wanted(path, wanted, error, advice) from None


def _not_wanted(path: str | Path, wanted: str, error: BaseException, advice: str) -> BadInput:
    then = f"; {advice}" if advice else ""
    return BadInput(f"{named(path)}: not {wanted} ({first_line(error)}){then}")


def first_line(error: BaseException) -> str:
    r"""What a library says: one line, printable and not long.

    Example:
        >>> first_line(ValueError("bad \x1b[2J\nand more")), first_line(EOFError())
        ('bad \\x1b[2J', 'EOFError')
    """
    try:
        lines = [part.strip() for part in str(error).splitlines() if part.strip()]
    except Exception:  # a message can be made when it is asked for, and fail itself
        lines = []
    said = line(lines[0] if lines else type(error).__name__)
    if len(said) > MOST_WORDS:  # where in the library comes first, what it is about comes last
        said = f"{said[:100]} ... {said[-300:]}"
    return said


def named(path: str | Path) -> str:
    """A path as messages show it: printable, and shortened where no disk could hold the name."""
    shown = line(path)
    return shown if len(shown) <= MOST_OF_PATH else f"{shown[: MOST_OF_PATH - 3]}..."


def _require_regular(path: str | Path, found: os.stat_result, most_bytes: int | None) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise BadInput(f"{named(path)}: {kind}; a regular file was wanted")
    if most_bytes is not None and found.st_size > most_bytes:
        raise BadInput(
            f"{named(path)}: {found.st_size:,} bytes; at most {most_bytes:,} wanted of such a file"
        )


def _unopened(path: str | Path, error: OSError | ValueError, advice: str) -> BadInput:
    """Say why a file cannot be opened."""
    number = error.errno if isinstance(error, OSError) else errno.EINVAL
    if number in (errno.ENOENT, errno.ENOTDIR):
        what = "no such file"
    elif number == errno.ENAMETOOLONG:
        what = "no such file: the name is longer than a disk can hold (255 bytes)"
    elif number == errno.EINVAL:
        what = "no such file: no name can hold a NUL"
    else:
        what = f"cannot be read ({first_line(error).partition(': ')[0]})"
    return BadInput(f"{named(path)}: {what}{f'; {advice}' if advice else ''}")
