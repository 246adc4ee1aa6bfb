"""Profiles: `profiles/city.yaml` is the base of all, the others are overlays.

An overlay holds only what differs; from the base, or from the profile that its key `over` names.
Sections are merged key by key; the named entries of `starts`, `arms`, `recipes` and `benchmarks`
are replaced as a whole, since a branch of the base has no place in another profile unless it is
named there.
"""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from passerby.errors import BadInput, nearest
from passerby.foreign import reading, texts, yamls
from passerby.settings.read import validate

BASE = "city"
REPLACED = ("starts", "arms", "recipes", "benchmarks")


def names(folder: Path) -> list[str]:
    """The profiles in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def compose(name: str, folder: Path) -> str:
    """The text of the settings file that a profile stands for, checked, with the base's comments.

    Raises:
        BadInput: there is no such profile, one is not YAML or no sections, or profiles lie over
            each other in a circle.
        SettingsError: what comes out has faults.
    """
    layers = _layers(name, folder)
    text = _text(folder / f"{BASE}.yaml")
    if len(layers) > 1:
        text = _laid_over(text, layers)
    validate(text, f"profile '{name}'")
    return text


def _layers(name: str, folder: Path) -> dict[str, Any]:
    """The profile and those under it, by name, the base last."""
    layers: dict[str, Any] = {}
    while name != BASE:
        if name in layers:
            raise BadInput(f"{folder}: profiles lie over each other in a circle: {[*layers]}")
        layers[name] = _read(name, folder)
        name = layers[name].pop("over", BASE)
    return {**layers, BASE: {}}


def _read(name: str, folder: Path) -> Any:
    known = names(folder)
    if name not in known:
        hint = nearest(name, known)
        raise BadInput(f"{folder}: no profile '{name}'{hint}; known: {', '.join(known)}")
    path = folder / f"{name}.yaml"
    with reading(path, "YAML"):
        found = YAML().load(_text(path)) or {}
    if not isinstance(found, dict) or not isinstance(found.get("over", BASE), str):
        raise BadInput(f"{path}: sections, and in 'over' the name of a profile, were wanted")
    return found


def _text(path: Path) -> str:
    """The text of a profile, which is YAML."""
    text = texts.text(path, most_bytes=yamls.MOST_BYTES)
    yamls.load(text, str(path))  # its refusals are plainer, and it knows no endless aliases
    return text


def _laid_over(base_text: str, layers: dict[str, Any]) -> str:
    yaml = YAML()
    yaml.width = 100
    base = yaml.load(base_text)
    for overlay in reversed(layers.values()):
        _merge(base, overlay, top=True)
    name, *under = layers
    over = " over ".join(f"profiles/{layer}.yaml" for layer in (name, *under))
    base.yaml_set_start_comment(f"Written by `passerby profile {name}`: {over}.")
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
