"""What DVC refuses after a stage's work, refused before it; the entry of every stage.

When a stage has ended, DVC puts its outputs into its cache and writes `dvc.lock`. It then refuses
outputs that lie behind a link to a place outside the repository, or that git has; and it fails
where it may not write. All of that is known before. DVC tells a stage its name (`DVC_STAGE`); a
stage that is run by hand is asked nothing of this.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

from passerby import errors, places
from passerby.errors import BadInput, listing

_VALUE = re.compile(r"\$\{[^}]*\}")


def run(main: Callable[..., Any], *args: Any) -> NoReturn:
    """Run a stage's `main(*args)`, as `errors.run` does, if DVC will take what it makes."""
    errors.run(main, *args, first=require_outputs)


def require_outputs() -> None:
    """Refuse a stage of DVC's whose outputs DVC could not take.

    Raises:
        BadInput: an output lies behind a link that leads outside the repository, or is in git; or
            an output, `dvc.lock` or DVC's cache cannot be written.
    """
    name, _, key = os.environ.get("DVC_STAGE", "").rpartition(":")[2].partition("@")
    if not name or not Path("dvc.yaml").is_file():
        return
    config = _config()
    outputs = list(_outputs(name))
    for output in outputs:
        places.require_folder(_fixed(output))
    with_git = not config.get("core", {}).get("no_scm")
    if with_git and (repository := _git("rev-parse", "--show-toplevel").strip()):
        for output in outputs:
            _require_inside(output, key, Path(repository))
        _require_untracked(outputs, key)
    _require_lock_file()
    _require_cache(config.get("cache", {}))


def _outputs(name: str) -> Iterator[str]:
    """The outputs of a stage that DVC caches, as dvc.yaml writes them: with `${...}`."""
    stage = yaml.safe_load(Path("dvc.yaml").read_text()).get("stages", {}).get(name, {})
    for output in stage.get("do", stage).get("outs", []):
        if isinstance(output, str):
            yield output
        else:
            yield from (path for path, flags in output.items() if flags.get("cache", True))


def _fixed(output: str) -> Path:
    """The folder of an output, as far as it is the same for all stages of the name."""
    return Path(_VALUE.split(output)[0].rpartition("/")[0] or ".")


def _is_of_stage(path: str, output: str, key: str) -> bool:
    """Whether a path is the output, or lies in it, for the stage `NAME@KEY`.

    The key is the values joined by hyphens, in the order in which outputs have them.

    Example:
        >>> _is_of_stage("data/models/a-b/x.onnx", "data/models/${item.m}-${item.n}", "a-b")
        True
        >>> _is_of_stage("data/models/c-b/x.onnx", "data/models/${item.m}-${item.n}", "a-b")
        False
    """
    fixed = [re.escape(part) for part in _VALUE.split(output)]
    matched = re.fullmatch("([^/]*)".join(fixed) + "(?:/.*)?", path)
    return matched is not None and "-".join(matched.groups()) == (key if len(fixed) > 1 else "")


def _require_inside(output: str, key: str, repository: Path) -> None:
    """Refuse an output below a link that leads out of the repository."""
    for above in reversed(Path(output).parents[:-1]):
        varies = bool(_VALUE.search(str(above)))
        for folder in Path().glob(_VALUE.sub("*", str(above))):
            if varies and not _is_of_stage(folder.as_posix(), str(above), key):
                continue
            if not folder.resolve().is_relative_to(repository.resolve()):
                raise BadInput(
                    f"{folder}: a link to {folder.resolve()}, outside the git repository, from "
                    f"where DVC takes no output. Make '{folder}' a folder again, and let DVC keep "
                    "its cache on that disk: dvc cache dir --local "
                    f"{folder.resolve().parent / 'dvc-cache'} (then '{folder}' holds links to it; "
                    "'scratch' may be a link itself)"
                )


def _require_untracked(outputs: list[str], key: str) -> None:
    """Refuse outputs that git has: DVC wants them for itself."""
    tracked = _git("ls-files", "-z", "--", *sorted({str(_fixed(output)) for output in outputs}))
    found = [
        path
        for path in tracked.split("\0")
        if any(_is_of_stage(path, output, key) for output in outputs)
    ]
    if found:
        raise BadInput(
            f"{listing(found)}: in git, and an output of this stage, which DVC keeps; take it out "
            f"of git: git rm -r --cached {' '.join(found[:5])}"
        )


def _require_lock_file() -> None:
    path = Path("dvc.lock")
    if path.exists() and not os.access(path, os.W_OK):
        raise BadInput(f"{path}: cannot be written, and DVC writes it after the stage; chmod u+w")


def _require_cache(settings: dict[str, Any]) -> None:
    """Refuse a cache that takes no files, or that no link leads to."""
    cache = Path(settings.get("dir") or ".dvc/cache") / "files" / "md5"
    places.require_folder(cache)
    folders = sorted(cache.iterdir()) if cache.is_dir() else []
    if shut := [str(path) for path in folders if not os.access(path, os.W_OK | os.X_OK)]:
        raise BadInput(
            f"{listing(shut, most=2)}: DVC's cache, where you may not write; let its owner change "
            "the rights ('dvc config cache.shared group'), or take another: "
            "dvc cache dir --local FOLDER"
        )
    if settings.get("type") == ["hardlink"]:
        there = next(place for place in cache.absolute().parents if place.is_dir())
        if there.stat().st_dev != Path().stat().st_dev:
            raise BadInput(
                f"{cache}: DVC's cache, on another disk, to which no hard link leads: "
                "dvc config --local cache.type hardlink,symlink,copy"
            )


def _config() -> dict[str, Any]:
    """DVC's settings, of all places where they may stand; none where it is not installed here."""
    try:
        from dvc.config import Config
    except ImportError:
        return {}
    return dict(Config(str(Path(".dvc").absolute())))


def _git(*words: str) -> str:
    """What git says; nothing where there is no repository, or no git."""
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return "" if done.returncode else done.stdout
