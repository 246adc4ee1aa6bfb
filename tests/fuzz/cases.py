"""One case: what is done to which input, and what counts as a failure.

A case succeeds, or is refused by `BadInput` in printable words. Everything else is a failure: a
traceback, a file outside its folder, another result the second time, a figure that is not finite.
"""

import contextlib
import dataclasses
import hashlib
import io
import os
import shutil
import sys
import tempfile
import traceback
import unicodedata
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from damaging import Rng, remove

from passerby import cli, errors
from passerby.errors import PasserbyError

PARTS = ("in", "out", "work", "outside", "temporary")
"""Of a case's folder. Programs run in `work`; they may write there, in `out` and `temporary`."""
SECRET = b"nobody reads or changes this\n"
LARGE_BYTES = 1 << 20
MOST_LINES = 200
"""Of a refusal: longer ones are no message."""


def no_complaint(result: Any) -> str | None:
    """A check that there is nothing to check by."""


def nothing() -> None:
    """A reset that there is nothing to reset by."""


@dataclass(frozen=True)
class Case:
    """What one case does.

    Attributes:
        what: In words, for the report.
        act: Does it; gives what must be the same twice.
        check: What is wrong with a result, or nothing.
        reset: Puts something into `out`, which is empty before each run.
        made: Files outside of `out` and `work` that may be written.
        kept: Names of no ordinary file: after the run they are what they were.
    """

    what: str
    act: Callable[[], Any]
    check: Callable[[Any], str | None] = no_complaint
    reset: Callable[[], Any] = nothing
    made: tuple[Path, ...] = ()
    kept: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Target:
    """Something that takes input from outside.

    Attributes:
        name: Of the target, e.g. `reader npz features` or `option embed --batch`.
        covers: Modules below `passerby` whose reading it tries, or options of the command line.
        make: Writes whole input into a folder.
        begin: A case on a copy of that input: `(folder of the case, stream)`.
        whole: A case on that input as it is, which has to succeed.
    """

    name: str
    covers: tuple[str, ...]
    make: Callable[[Path], None]
    begin: Callable[[Path, Rng], Case]
    whole: Callable[[Path], Case]


@dataclass(frozen=True)
class Outcome:
    """What became of a case: `ok`, `refused` or `failed`; of a failure its kind and details."""

    state: str
    kind: str = ""
    what: str = ""
    details: str = ""


@dataclass
class Watch:
    """What Python opened for writing, made, renamed or removed, while `on`."""

    on: bool = False
    allowed: tuple[str, ...] = ()
    found: list[str] = field(default_factory=list)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or event not in EVENTS:
            return
        if event == "open" and not _writes(arguments[1], arguments[2]):
            return
        if event == "os.mkdir" and os.path.isdir(arguments[0]):
            return  # asked for in case it is not there
        if event == "open" and isinstance(arguments[0], str) and os.path.isdir(arguments[0]):
            return  # a file without a name, `O_TMPFILE`
        paths = arguments[:2] if event in ("os.rename", "os.link") else arguments[:1]
        beside = arguments[1] if event in ("os.remove", "os.rmdir") else -1
        # A name may be relative to an open folder, of which there is the descriptor.
        folder = f"/proc/self/fd/{beside}" if beside != -1 else ""
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike):
                self._note(event, os.path.join(folder, os.fsdecode(path)))

    def _note(self, event: str, path: str) -> None:
        if "\0" in path:
            return
        # The folder is resolved and the name is not: links are looked at by what they are.
        whole = os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path))
        if not whole.startswith(self.allowed):
            self.found.append(f"{event} {path!r}")


EVENTS = {
    "open", "os.rename", "os.link", "os.symlink", "os.mkdir", "os.remove", "os.rmdir",
    "os.truncate",
    "os.chmod", "shutil.rmtree",
}  # fmt: skip
WATCH = Watch()


def _writes(mode: Any, flags: Any) -> bool:
    wanted = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    return bool(isinstance(flags, int) and flags & wanted)


def stream(seed: int, name: str, number: int) -> Rng:
    """The random stream of one case."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), number])


def run(
    target: Target, seed: int, number: int, base: Path, begun: Callable[[str], None]
) -> Outcome:
    """Run one case in a folder of its own below `base`, which is removed behind it.

    Args:
        target: What is tried.
        seed: Of all streams.
        number: Of the case; 0 is whole input.
        base: For the case's folder, and for the whole input.
        begun: Is told what the case does, before it is done.
    """
    folder = Path(tempfile.mkdtemp(prefix="case-", dir=base))
    here = Path.cwd()
    try:
        copy_tree(template(target, base), folder / "in")
        for part in PARTS[1:]:
            (folder / part).mkdir()
        (folder / "outside" / "secret.txt").write_bytes(SECRET)
        os.chdir(folder / "work")
        tempfile.tempdir = str(folder / "temporary")
        case = target.begin(folder, stream(seed, target.name, number)) if number else None
        case = case or target.whole(folder)
        begun(case.what)
        found = _judged(case, folder)
        if not number and found.state == "refused":
            return dataclasses.replace(found, state="failed", kind="whole input refused")
        return found
    finally:
        os.chdir(here)
        tempfile.tempdir = None
        shutil.rmtree(folder, ignore_errors=True)


def template(target: Target, base: Path) -> Path:
    """The whole input of a target, made once."""
    folder = base / f"template-{zlib.crc32(target.name.encode()):08x}"
    if not folder.exists():
        beside = folder.with_suffix(".part")
        remove(beside)
        beside.mkdir()
        target.make(beside)
        beside.rename(folder)
    return folder


def copy_tree(source: Path, to: Path) -> None:
    """A copy; large files are hard links, since damage puts a new file in their place."""

    def copied(file: str, target: str) -> None:
        if os.path.getsize(file) > LARGE_BYTES:
            os.link(file, target)
        else:
            shutil.copyfile(file, target)

    shutil.copytree(source, to, symlinks=True, copy_function=copied)


def _judged(case: Case, folder: Path) -> Outcome:
    """Run a case, twice where it succeeds."""
    # `home` is what a library keeps between cases; a file that is made has another name at first.
    parts = (*(folder / part for part in ("out", "work", "temporary")), folder.parent / "home")
    beside = [path.with_name(f".{path.name}") for path in case.made]
    WATCH.allowed = (
        "/dev/null",
        "/proc/self",
        *map(os.path.realpath, (*parts, *case.made, *beside)),
    )
    _empty(folder)
    case.reset()
    before = _tree(folder, case)
    kept = {path: _kind(path) for path in case.kept}
    found, result = _once(case)
    if found.state == "ok" and (wrong := case.check(result[0] if result else None)):
        found = _failed(wrong.partition(":")[0], wrong)
    marks = [*WATCH.found, *_differences(before, _tree(folder, case))]
    marks += [f"a {kind} became a {_kind(path)}" for path, kind in kept.items()
              if _kind(path) != kind]  # fmt: skip
    if marks and found.state != "failed":
        kind = "replaced" if "became" in marks[-1] else "outside"
        found = _failed(kind, "; ".join(marks[:5]))
    if found.state == "ok":
        one = _digest([result, _made(folder, case)])
        _empty(folder)
        case.reset()
        again, result = _once(case)
        if again.state != "ok" or _digest([result, _made(folder, case)]) != one:
            found = _failed("differs", f"the second time: {again.state} {again.details}")
    return dataclasses.replace(found, what=case.what)


def _empty(folder: Path) -> None:
    for part in ("out", "work"):
        for path in (folder / part).iterdir():
            remove(path)


def _once(case: Case) -> tuple[Outcome, Any]:
    """What became of one run, and its result with what it printed."""
    said, complained = io.StringIO(), io.StringIO()
    WATCH.found.clear()
    WATCH.on = True
    result = None
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            result = case.act()
    except PasserbyError as error:
        return _refused(str(error)), None
    except SystemExit as ended:
        if ended.code == 2:
            return _refused(complained.getvalue()), None
        if ended.code not in (0, None):
            return _failed("exit", str(ended)), None
    except BaseException as error:
        return _failed(_place(error), "".join(traceback.format_exception(error))[-3000:]), None
    finally:
        WATCH.on = False
    for text in (said.getvalue(), complained.getvalue()):
        if odd := _unprintable(text):
            return _failed("unprintable output", odd), None
    return Outcome("ok"), (result, said.getvalue())


def _refused(message: str) -> Outcome:
    if odd := _unprintable(message):
        return _failed("unprintable message", odd)
    if not message.strip():
        return _failed("no message", "")
    if message.count("\n") > MOST_LINES:
        return _failed("long message", message[:500])
    return Outcome("refused", details=message)


def _failed(kind: str, details: str) -> Outcome:
    return Outcome("failed", kind, details=details)


def _unprintable(text: str) -> str:
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format, half of a pair, ends of lines
    odd = [c for c in text if unicodedata.category(c) in kinds and c not in "\n\t\u200c\u200d"]
    return ascii("".join(odd[:20]))[1:-1]


def _place(error: BaseException) -> str:
    """Type of an exception, and where in passerby it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/passerby/" in f.filename and "/tests/" not in f.filename]
    at = ours[-1] if ours else frames[-1]
    return (
        f"traceback {type(error).__name__} at {at.filename.rpartition('/passerby/')[2]}, {at.name}"
    )


def _kind(path: Path) -> str:
    if path.is_symlink():
        return "link"
    for name in ("dir", "fifo", "char_device", "file"):
        if getattr(path, f"is_{name}")():
            return {"dir": "folder", "char_device": "device"}.get(name, name)
    return "nothing"


def _tree(folder: Path, case: Case) -> dict[str, tuple[Any, ...]]:
    """Everything below a case's folder that nobody may change.

    Whoever gives a link as an output asks for the file that it leads to.
    """
    free = {folder / part for part in ("out", "work", "temporary")} | {*case.made}
    free |= {Path(os.path.realpath(path)) for path in case.kept}
    found: dict[str, tuple[Any, ...]] = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if Path(parent) / name not in free]
        for name in (*names, *folders):
            path = Path(parent) / name
            if path in free:
                continue
            status = path.lstat()
            size = status.st_size if path.is_file() else 0
            stamp = status.st_mtime_ns if path.is_file() else 0
            found[str(path.relative_to(folder))] = (status.st_mode, status.st_ino, size, stamp)
    return found


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    names = sorted(n for n in before.keys() | now.keys() if before.get(n) != now.get(n))
    return [f"changed {name!r}" for name in names]


def _made(folder: Path, case: Case) -> dict[str, str]:
    """The bytes of every file that was made."""
    tops: Iterable[Path] = (folder / "out", folder / "work", *case.made)
    files = [path for top in tops for path in ([top] if top.is_file() else top.rglob("*"))]
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
        if path.is_file() and not path.is_symlink()
    }


def _digest(value: Any) -> str:
    """A hash of any result: arrays by their bytes, objects by what they hold."""
    found = hashlib.sha256()
    _feed(found, value)
    return found.hexdigest()


def _feed(found: Any, value: Any) -> None:
    if hasattr(value, "detach"):
        value = value.detach().float().numpy()
    if isinstance(value, np.ndarray) and value.dtype != object:
        found.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _feed(found, {f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    elif hasattr(value, "model_dump"):
        _feed(found, value.model_dump())
    elif isinstance(value, dict):
        for key, inner in value.items():
            _feed(found, key)
            _feed(found, inner)
    elif isinstance(value, list | tuple | np.ndarray):
        for inner in value:
            _feed(found, inner)
    else:
        found.update(repr(value).encode("utf-8", "backslashreplace"))


def command(*arguments: str) -> None:
    """Run `passerby ARGUMENTS` in this process, which ends as the command does: `SystemExit`."""
    asked = vars(cli.parser().parse_args(list(arguments)))
    errors.run(lambda: asked.pop("verb")(**asked))


def watch() -> None:
    """Begin to watch this process; there is no way to end it."""
    sys.addaudithook(WATCH)
