"""What tests need and a machine may lack: how a test is skipped, and how CI checks skipped tests.

A reason for skipping has the form `needs WHAT: how to get it`. `WHAT` is a name in `NEEDS`,
`the package 'NAME'` or `the command 'NAME'`, so that whether it is there can be asked again.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import pytest
import torch


@dataclass(frozen=True)
class Need:
    """Something that a machine has or lacks.

    Attributes:
        how: How to get it.
        is_there: Whether this machine has it.
    """

    how: str
    is_there: Callable[[], bool]


def compiler() -> str | None:
    """The C++ compiler, as torch finds it; `None` where there is none."""
    names = (os.environ.get("CXX"), "g++", "clang++")
    return next((name for name in names if name and shutil.which(name)), None)


def _succeeds(*command: str) -> bool:
    try:
        return not subprocess.run(command, capture_output=True, check=False).returncode
    except FileNotFoundError:
        return False


def _mounts() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        mounted = _succeeds("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)
        return mounted and _succeeds("umount", folder)


def _renames() -> bool:
    return _succeeds("unshare", "--map-root-user", "--uts", "hostname", "any")


NEEDS = {
    "a GPU": Need("run `make gpu` where there is one", lambda: torch.cuda.is_available()),
    "a CPU build of torch": Need(
        "pip install it in an environment of its own", lambda: torch.version.cuda is None
    ),
    "a C++ compiler": Need(
        "install g++ or clang++, or name one in CXX", lambda: compiler() is not None
    ),
    "the archives of real data": Need(
        "set PASSERBY_REALDATA to their folder",
        lambda: any(map(os.environ.get, ("PASSERBY_REALDATA", "PASSERBY_REALDATA_LAID_OUT"))),
    ),
    "the right to mount a disk": Need("run as root", _mounts),
    "the right to rename the machine": Need(
        "run where `unshare --map-root-user --uts` is allowed", _renames
    ),
}


def need(what: str) -> Need:
    """The need that a name stands for.

    Raises:
        KeyError: the name is unknown.
    """
    if package := re.fullmatch(r"the package '(\w+)'", what):
        return Need(f"pip install {package[1]}", lambda: find_spec(package[1]) is not None)
    if command := re.fullmatch(r"the command '(\S+)'", what):
        return Need(f"install {command[1]}", lambda: shutil.which(command[1]) is not None)
    return NEEDS[what]


def reason(what: str) -> str:
    """The reason for skipping a test that needs `what`."""
    return f"needs {what}: {need(what).how}"


def require(what: str) -> None:
    """Skip the test, or the module that is being imported, where the machine lacks `what`."""
    if not need(what).is_there():
        pytest.skip(reason(what), allow_module_level=True)


def fault(why: str) -> str | None:
    """What is wrong with skipping for the reason `why`; `None` if the machine lacks the need."""
    stated = re.fullmatch(r"needs (.+?): .+", why)
    try:
        there = stated is not None and need(stated[1]).is_there()
    except KeyError:
        stated = None
    if stated is None:
        return "the reason does not say 'needs WHAT: how to get it' with a WHAT of tests/plugins"
    return f"this machine has {stated[1]}" if there else None


def account(skipped: Sequence[tuple[str, str]]) -> tuple[list[str], bool]:
    """List skipped tests by reason.

    Args:
        skipped: Name and reason of each.

    Returns:
        Lines to show, and whether any test was skipped without a good reason.
    """
    lines, is_faulty = [], False
    for why in sorted({why for _, why in skipped}):
        names = [name for name, its in skipped if its == why]
        wrong = fault(why)
        is_faulty |= wrong is not None
        lines += [f"{len(names)} skipped: {why}", *(f"  {name}" for name in names)]
        lines += [f"  WRONGLY SKIPPED: {wrong}"] if wrong else []
    return lines, is_faulty
