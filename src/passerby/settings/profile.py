"""Profiles: `profiles/city.yaml` is the base of all, the others are overlays.

An overlay holds only what differs. Sections are merged key by key; the named entries of `starts`,
`arms`, `recipes` and `benchmarks` are replaced as a whole, since a branch of the base has no place
in another profile unless it is named there.
"""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from passerby.errors import BadInput, nearest
from passerby.settings.read import validate

BASE = "city"
REPLACED = ("starts", "arms", "recipes", "benchmarks")


def names(folder: Path) -> list[str]:
    """The profiles in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def compose(name: str, folder: Path) -> str:
    """The text of the settings file that a profile stands for, checked, with the base's comments.

    Raises:
        BadInput: there is no such profile, or one is not YAML.
        SettingsError: what comes out has faults.
    """
    known = names(folder)
    if name not in known:
        hint = nearest(name, known)
        raise BadInput(f"{folder}: no profile '{name}'{hint}; known: {', '.join(known)}")
    text = (folder / f"{BASE}.yaml").read_text()
    if name != BASE:
        text = _laid_over(text, folder / f"{name}.yaml")
    validate(text, f"profile '{name}'")
    return text


def _laid_over(base_text: str, overlay_path: Path) -> str:
    yaml = YAML()
    yaml.width = 100
    base = yaml.load(base_text)
    try:
        overlay = yaml.load(overlay_path.read_text()) or {}
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise BadInput(f"{overlay_path}, line {line}: not YAML: {error.problem}") from None
    _merge(base, overlay, top=True)
    base.yaml_set_start_comment(
        f"Written by `passerby profile {overlay_path.stem}`: "
        f"profiles/{overlay_path.name} over profiles/{BASE}.yaml."
    )
    out = io.StringIO()
    yaml.dump(base, out)
    return out.getvalue()


def _merge(into: Any, over: Any, top: bool = False) -> None:
    """Lay `over` upon `into`, in place."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            if top and key in REPLACED:
                into[key] = value
            else:
                _merge(into[key], value)
        else:
            into[key] = value
