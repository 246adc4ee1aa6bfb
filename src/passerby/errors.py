"""The base of all refusals, and how a program ends on them.

A refusal is something that a user or a file caused. Its message has three parts: what was found
(file, key, line), what was wanted, what to do; what came from outside is shown in printable
characters (`passerby.text`). It never shows a traceback. Anything else that is
raised is our own bug and keeps its traceback.
"""

import argparse
import inspect
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from passerby.text import line, message, say

USER_ERROR = 2
STOPPED = 75


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


def run(main: Callable[..., Any], *args: Any) -> NoReturn:
    """Run a program's `main(*args)` and leave with its exit code.

    Arguments that `main` does not take are answered with the last line of the program's docstring,
    which is how it is called.

    0: done; 2: a refusal, its message on stderr; 75: stopped, run again; 130: interrupted by the
    keyboard. Any other exception is a bug of ours: it keeps its traceback and ends with 1.
    """
    try:
        inspect.signature(main).bind(*args)
    except TypeError:
        usage = main.__globals__["__doc__"].strip().splitlines()[-1]
        say(f"passerby: found {len(args)} arguments, wanted: {usage}", sys.stderr)
        sys.exit(USER_ERROR)
    try:
        main(*args)
    except PasserbyError as error:
        say(f"passerby: {error}", sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("passerby: interrupted", sys.stderr)
        sys.exit(130)
    sys.exit(0)
