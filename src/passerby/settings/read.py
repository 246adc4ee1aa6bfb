"""Reading a settings file and naming all its faults at once, each with its key and line."""

from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from passerby.errors import BadInput, SettingsError
from passerby.foreign import texts, yamls
from passerby.settings.params import Params
from passerby.settings.wording import worded


def read(path: str | Path = "params.yaml") -> Params:
    """Read and check a settings file.

    Raises:
        SettingsError: the file is missing, is not YAML (`yamls.load`), or has faults (all of them
            are listed).
    """
    advice = "'passerby profile NAME' writes it"
    try:
        text = texts.text(path, advice, yamls.MOST_BYTES)
    except BadInput as error:
        raise SettingsError(str(error)) from None
    return validate(text, str(path))


def validate(text: str, name: str) -> Params:
    """Check the text of a settings file; `name` stands in the message.

    Raises:
        SettingsError: as `read`.
    """
    try:
        values, lines = yamls.load(text, name)
    except BadInput as error:
        raise SettingsError(str(error)) from None
    if not isinstance(values, dict):
        raise SettingsError(f"{name}: sections were wanted, found {type(values).__name__}")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        faults = [_fault(detail, lines) for detail in error.errors()]
        listed = "\n".join(f"  {fault}" for fault in sorted(set(faults)))
        count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise SettingsError(f"{name}: {count}\n{listed}") from None


def _fault(detail: ErrorDetails, lines: dict[str, int]) -> str:
    """One fault as one line: key, line, what was found, what is wanted."""
    place = [str(part) for part in detail["loc"]]
    line = next((lines[k] for k in _prefixes(place) if k in lines), None)
    where = f"{'.'.join(place)} (line {line})" if line else ".".join(place)
    return f"{where}: {worded(detail, Params)}"


def _prefixes(place: list[str]) -> list[str]:
    """The key and all that enclose it, longest first."""
    return [".".join(place[:n]) for n in range(len(place), 0, -1)]
