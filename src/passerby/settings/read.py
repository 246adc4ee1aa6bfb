"""Reading a settings file and naming all its faults at once, each with its key and line."""

from pathlib import Path

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from passerby.errors import SettingsError
from passerby.settings.params import Params
from passerby.settings.wording import worded


def read(path: str | Path = "params.yaml") -> Params:
    """Read and check a settings file.

    Raises:
        SettingsError: the file is missing, is not YAML, or has faults (all of them are listed).
    """
    try:
        text = Path(path).read_text()
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; 'passerby profile NAME' writes it") from None
    return validate(text, str(path))


def validate(text: str, name: str) -> Params:
    """Check the text of a settings file; `name` stands in the message.

    Raises:
        SettingsError: as `read`.
    """
    try:
        values = yaml.safe_load(text)
        lines = _lines(yaml.compose(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(
            f"{name}{where}: not YAML: {getattr(error, 'problem', error)}"
        ) from None
    if not isinstance(values, dict):
        raise SettingsError(f"{name}: sections were wanted, found {type(values).__name__}")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        faults = [_fault(detail, lines) for detail in error.errors()]
        listed = "\n".join(f"  {fault}" for fault in sorted(set(faults)))
        count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise SettingsError(f"{name}: {count}\n{listed}") from None


def _lines(node: yaml.Node | None, key: str = "") -> dict[str, int]:
    """The line (from 1) of each dotted key."""
    found = {}
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            full = f"{key}.{name.value}" if key else str(name.value)
            found[full] = name.start_mark.line + 1
            found |= _lines(value, full)
    return found


def _fault(detail: ErrorDetails, lines: dict[str, int]) -> str:
    """One fault as one line: key, line, what was found, what is wanted."""
    place = [str(part) for part in detail["loc"]]
    line = next((lines[k] for k in _prefixes(place) if k in lines), None)
    where = f"{'.'.join(place)} (line {line})" if line else ".".join(place)
    return f"{where}: {worded(detail, Params)}"


def _prefixes(place: list[str]) -> list[str]:
    """The key and all that enclose it, longest first."""
    return [".".join(place[:n]) for n in range(len(place), 0, -1)]
