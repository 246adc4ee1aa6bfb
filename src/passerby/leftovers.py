"""What runs that did not end left in scratch: named with size and age, and removed when asked.

Scratch is `STAGE/FINGERPRINT`, a folder, beside the file `FINGERPRINT.lock` that the living hold.
"""

import argparse
import contextlib
import fcntl
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from passerby.errors import BadInput, listing
from passerby.text import say

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_AGES = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


@dataclass(frozen=True)
class Leftover:
    """A folder of scratch.

    Attributes:
        path: Of the folder.
        bytes: Of all files in it.
        age_s: Seconds since something was last written there.
        held: Whether a running process works in it.
    """

    path: Path
    bytes: int
    age_s: float
    held: bool

    def __str__(self) -> str:
        state = ", in use" if self.held else ""
        return f"{self.path} ({self.bytes / 1e6:,.1f} MB, {age(self.age_s)} old{state})"


def age(seconds: float) -> str:
    """A time that has passed, in whole units.

    Example:
        >>> age(3 * 86_400 + 50), age(3_700), age(5)
        ('3 days', '1 hour', 'under a minute')
    """
    for unit_s, unit in _AGES:
        if seconds >= unit_s:
            count = int(seconds // unit_s)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "under a minute"


def root() -> Path:
    """Where scratch lies: under the real repository, also in DVC's temporary copies of it."""
    return Path(os.environ.get("DVC_ROOT", ".")) / "scratch"


def arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of `scratch` to its verb."""
    verb.add_argument("folders", type=Path, nargs="*", help="only these; default: all")
    verb.add_argument("--remove", action="store_true", help="remove those that are not in use")


def scratch(folders: Sequence[Path], remove: bool) -> None:
    """Say what unfinished runs left in scratch, or remove it: those runs then begin anew.

    Raises:
        BadInput: as `removed`.
    """
    if remove:
        gone = removed(root(), folders)
        say("\n".join(f"removed {one}" for one in gone) or f"{root()}: nothing to remove")
        return
    there = chosen(root(), folders)
    say("\n".join(map(str, there)) or f"{root()}: nothing there")


def found(root: Path) -> list[Leftover]:
    """All folders of scratch below `root`, by path."""
    folders = [path for path in root.glob("*/*") if _FINGERPRINT.fullmatch(path.name)]
    return [_described(path) for path in sorted(folders) if _is_scratch(path)]


def tell(stage: str, own: Path) -> None:
    """Name the folders of a stage that its run in the folder `own` does not go on from."""
    others = [path for path in own.parent.iterdir() if _FINGERPRINT.fullmatch(path.name)]
    left = [_described(path) for path in sorted(others) if path != own and _is_scratch(path)]
    free = [one for one in left if not one.held]
    if free:
        paths = " ".join(str(one.path) for one in free)
        say(
            f"{stage}: runs with other settings, inputs or code left {listing(free)}; where they "
            f"are not wanted any more: passerby scratch --remove {paths}",
            sys.stderr,
        )


def chosen(root: Path, wanted: Sequence[Path] = ()) -> list[Leftover]:
    """Those of `found` that are wanted; all where none are named.

    Raises:
        BadInput: one that was named is no folder of scratch.
    """
    there = found(root)
    known = {one.path.resolve(): one for one in there}
    if strange := [
        str(path) for path in wanted if not os.path.exists(path) or path.resolve() not in known
    ]:
        raise BadInput(
            f"{listing(strange)}: no folder of {root}; 'passerby scratch' lists what is there"
        )
    return [known[path.resolve()] for path in wanted] if wanted else there


def removed(root: Path, wanted: Sequence[Path] = ()) -> list[Leftover]:
    """Remove folders of scratch that no running process works in, with what could be gone on from.

    Args:
        root: Of scratch.
        wanted: Which; all where none are named.

    Returns:
        Those that were removed.

    Raises:
        BadInput: one that was named is no folder of scratch, or is in use; then nothing is removed.
    """
    those = chosen(root, wanted)
    if wanted and (held := [str(one.path) for one in those if one.held]):
        raise BadInput(f"{listing(held)}: in use; stop that run first, or wait for it")
    return [one for one in those if _is_removed(one.path)]


def _is_scratch(path: Path) -> bool:
    """Whether it is a folder of ours: a link leads to somebody else's, and is left alone."""
    return path.is_dir() and not path.is_symlink()


def _described(folder: Path) -> Leftover:
    stats = [folder.stat(), *_stats(folder)]
    age_s = max(0.0, time.time() - max(stat.st_mtime for stat in stats))
    with _lock(folder) as mine:
        return Leftover(folder, sum(stat.st_size for stat in stats[1:]), age_s, held=not mine)


def _stats(folder: Path) -> Iterator[os.stat_result]:
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # its run goes on, or ends
                yield os.lstat(os.path.join(place, name))


def _is_removed(folder: Path) -> bool:
    with _lock(folder) as mine:
        if mine:
            shutil.rmtree(folder)
            folder.with_suffix(".lock").unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # others may lie there
        folder.parent.rmdir()
    return mine


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder if nobody has it; whether that is so."""
    path = folder.with_suffix(".lock")
    if not path.exists():
        yield True
        return
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
