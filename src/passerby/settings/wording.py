"""A fault that pydantic found, in words that help."""

from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from passerby.errors import nearest
from passerby.settings.addresses import masked


def worded(detail: ErrorDetails, root: type[BaseModel]) -> str:
    """What was found and what is wanted; `root` is the section that was validated."""
    place = [str(part) for part in detail["loc"]]
    if detail["type"] == "extra_forbidden":
        known = _known(place[:-1], root)
        return f"unknown{nearest(place[-1], known)}; known: {', '.join(known)}"
    if detail["type"] == "missing":
        return "missing"
    if detail["type"] == "settings":
        return detail["msg"]
    wanted = detail["msg"].removeprefix("Input should be ")
    return f"found {masked(repr(detail['input']))}, wanted {wanted}"


def _known(place: list[str], root: type[BaseModel]) -> list[str]:
    """The names that the section at `place` knows."""
    section: Any = root
    for part in place:
        if not hasattr(section, "model_fields"):
            return []
        field = section.model_fields.get(part)
        if field is None:  # an entry of a mapping: `starts.random`
            continue
        annotation = field.annotation
        arguments = getattr(annotation, "__args__", ())
        section = arguments[-1] if arguments else annotation
    return list(getattr(section, "model_fields", {}))
