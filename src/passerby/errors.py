"""The base of all refusals, and how a program ends on them.

A refusal is something that a user or a file caused. Its message has three parts: what was found
(file, key, line), what was wanted, what to do; what came from outside is shown in printable
characters (`passerby.text`). It never shows a traceback. Anything else that is
raised is our own bug and keeps its traceback.
"""

import argparse
import errno
import inspect
import os
import select
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TextIO

from passerby.text import line, message, say

USER_ERROR = 2
STOPPED = 75
UNREAD = 141
"""What a shell says of a program that SIGPIPE ended."""

_NO_ROOM = "{}; make room and run again"
_NO_RIGHT = "no right to do that ({}); change the rights, or name another place"
_OF_DISK = {
    errno.ENOSPC: _NO_ROOM.format("the disk is full ({})"),
    errno.EDQUOT: _NO_ROOM.format("the quota of the disk is used up ({})"),
    errno.EIO: _NO_ROOM.format("the disk is full or failed ({})"),
    errno.EFBIG: "larger than the disk or the limit 'ulimit -f' allows ({}); name another place",
    errno.EROFS: "its disk can only be read ({}); name a place that can be written",
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.ENOTDIR: "a file stands where a folder was wanted ({}); name another place",
    errno.EISDIR: "a folder stands where a file was wanted ({}); name a file",
    errno.ELOOP: "its links lead to each other ({}); name another place",
    errno.ENAMETOOLONG: "the name is too long ({}); name a shorter one",
    errno.ESTALE: "its network disk was taken away ({}); run again when it is back",
}
"""What an error of the operating system tells a user; `{}` is the system's own word for it."""
_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS)
"""Those that concern the file that is written, whatever file the error names."""


class PasserbyError(Exception):
    """Something that a user or a file caused; ends a program with exit code 2."""

    exit_code = USER_ERROR

    def __init__(self, text: object) -> None:
        super().__init__(message(text))


class SettingsError(PasserbyError):
    """The settings file cannot be used; the message lists every fault of it."""


class BadInput(PasserbyError):
    """A file or an argument is not what it should be: which, and what was wanted."""


class Stopped(PasserbyError):
    """Work was asked to stop and saved what it had: run again to go on (exit code 75)."""

    exit_code = STOPPED


class Parser(argparse.ArgumentParser):
    """A parser of command lines that shows what was typed in printable characters."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2, the message and how the verb is called."""
        super().error(line(message))


def nearest(name: str, known: Sequence[str]) -> str:
    """Hint at the known name that `name` may have been meant as, or nothing.

    Example:
        >>> nearest("temprature", ["temperature", "queue"])
        " (did you mean 'temperature'?)"
        >>> nearest("zzz", ["temperature"])
        ''
    """
    found = get_close_matches(name, known, n=1, cutoff=0.6)
    return f" (did you mean '{found[0]}'?)" if found else ""


def listing(items: Sequence[object], most: int = 5) -> str:
    """Join the first `most` items and say how many more there are.

    Example:
        >>> listing(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    shown = ", ".join(str(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"


def of_disk(error: BaseException, path: str | Path = "", hidden: str = "") -> BadInput | None:
    """The refusal that an error stands for, if a disk or its rights caused it; else `None`.

    torch, safetensors, LMDB, pyarrow and FFmpeg each say in their own way that a disk is full.

    Args:
        error: What was raised.
        path: The file that was being written, if one was. The message names it, unless the error
            itself names another file that could not be opened.
        hidden: Beginning of the names that a user does not know: the message names `path` instead.

    Example:
        >>> print(of_disk(OSError(errno.ENOTDIR, "Not a directory", "notes.txt/out")))
        notes.txt/out: a file stands where a folder was wanted (Not a directory); name another place
        >>> of_disk(ValueError("a bug")) is None
        True
    """
    found = next(_of_system(error), None)
    if found is None:
        named = str(error.filename) if isinstance(error, OSError) and error.filename else ""
        its_own = named and (
            f"{path}/".startswith(f"{named}/") or (hidden and named.startswith(hidden))
        )
        if not path or not (its_own or _is_of_library(error)):
            return None
        why = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        return BadInput(f"{path}: could not be written ({why.splitlines()[0]}); {_free(path)}")
    code, name = found
    other = name and code not in _OF_WRITING and not (hidden and name.startswith(hidden))
    place = name if other or not path else str(path)
    told = _OF_DISK[code].format(os.strerror(code))
    room = f"; {_free(path)}" if path and code in (errno.ENOSPC, errno.EIO) else ""
    return BadInput(f"{place}: {told}{room}" if place else f"an output: {told}")


def _of_system(error: BaseException) -> Iterator[tuple[int, str]]:
    """Number of the system's error and the file that it names, as far as an error tells them."""
    if isinstance(error, OSError) and error.errno in _OF_DISK:
        names = [name for name in (error.filename2, error.filename) if isinstance(name, str)]
        yield error.errno, names[0] if names else ""
    elif isinstance(error, shutil.Error) or _is_of_library(error):
        said = str(error)
        yield from ((code, "") for code in _OF_DISK if os.strerror(code) in said)
        if isinstance(error.__context__, OSError):  # torch: what its file said
            yield from _of_system(error.__context__)


def _is_of_library(error: BaseException) -> bool:
    """Whether a library that writes files raised it in a class of its own, or torch did."""
    home = type(error).__module__.partition(".")[0]
    of_torch = isinstance(error, RuntimeError) and "inline_container" in str(error)
    return home in ("lmdb", "safetensors") or of_torch


def _free(path: str | Path) -> str:
    """What is free on the disk of a file or folder, which need not be there."""
    places = (Path(path).absolute(), *Path(path).absolute().parents)
    folder = next((place for place in places if place.is_dir()), Path("/"))
    return f"{shutil.disk_usage(folder).free >> 20:,} MB are free there"


def run(main: Callable[..., Any], *args: Any, first: Callable[[], None] | None = None) -> NoReturn:
    """Run a program's `main(*args)` and leave with its exit code.

    Arguments that `main` does not take are answered with the last line of the program's docstring,
    which is how it is called.

    0: done; 2: a refusal, its message on stderr; 75: stopped, run again; 130: interrupted by the
    keyboard; 141: nobody reads the output any more, as behind `| head`. A full or read-only disk
    and missing rights are refusals. Any other exception is a bug of ours: it keeps its traceback
    and ends with 1.

    Args:
        main: The program.
        args: What it was called with.
        first: Called before it, to refuse what would fail at the end.
    """
    try:
        inspect.signature(main).bind(*args)
    except TypeError:
        usage = main.__globals__["__doc__"].strip().splitlines()[-1]
        _leave(USER_ERROR, f"found {len(args)} arguments, wanted: {usage}")
    try:
        if first:
            first()
        main(*args)
        sys.stdout.flush()
    except PasserbyError as error:
        _leave(error.exit_code, str(error))
    except KeyboardInterrupt:
        _leave(130, "interrupted")
    except BrokenPipeError:
        if not _is_unread(sys.stdout):
            raise
        _drop_output()
        sys.exit(UNREAD)
    except Exception as error:
        fault = of_disk(error)
        if fault is None:
            raise
        _leave(fault.exit_code, str(fault))
    sys.exit(0)


def _leave(code: int, told: str) -> NoReturn:
    say(f"passerby: {told}", sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:  # stdout leads to a full disk
        _drop_output()
    sys.exit(code)


def _is_unread(stream: TextIO) -> bool:
    """Whether a stream leads into a pipe whose reader has gone."""
    asked = select.poll()
    asked.register(stream.fileno(), 0)
    return any(events & select.POLLERR for _, events in asked.poll(0))


def _drop_output() -> None:
    """Write no more to stdout: when Python ends it would try again, and end with another code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
