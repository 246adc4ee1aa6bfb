"""What the header and the columns of a crop store must say before anybody believes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, ValidationError

from passerby.crops import checksums
from passerby.errors import BadInput
from passerby.foreign import texts
from passerby.settings.section import Natural, Section

AGAIN = "copy it again, or 'dvc repro crop' makes it"
Text = Annotated[str, Field(max_length=4096)]


class _Counted(Section):
    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    boxes: Natural
    left_out: dict[Text, Natural]


class _Source(_Counted):
    name: Text
    kept: Natural


class _Header(_Counted):
    crops: Natural
    tracks: Natural
    cameras: list[Text]
    columns: dict[Text, Text]
    sources: list[_Source]


def header(data: bytes, path: Path, wanted_format: str) -> dict[str, Any]:
    """The header of a store, without its checksum.

    Raises:
        BadInput: it is of another format, is damaged, or does not have what a header has.
    """
    told = texts.json_value(texts.decoded(data, path), path, AGAIN)
    found = told.get("format") if isinstance(told, dict) else None
    if found != wanted_format:
        raise BadInput(
            f"{path}: format '{str(found)[:60]}' found, '{wanted_format}' wanted; "
            "'dvc repro crop' makes it anew"
        )
    held = checksums.checked(told)
    if held is None:
        raise damaged(path, "its header")
    try:
        _Header.model_validate(held)
    except ValidationError as error:
        detail = error.errors()[0]
        key = ".".join(str(part) for part in detail["loc"])
        raise BadInput(f"{path}: its header's '{key}': {detail['msg']}; {AGAIN}") from None
    return held


def damaged(path: Path, what: str) -> BadInput:
    """The refusal of a store of which `what` is not as it was written."""
    return BadInput(f"{path}: damaged ({what}); copy it again, or run 'dvc repro crop -f'")


def column(
    data: memoryview | bytes | None, name: str, dtype: Any, path: Path, told: dict[str, Any]
) -> Any:
    """A column of a store, a view of its bytes.

    Args:
        data: Its bytes; `None` if it is not there.
        name: Its name.
        dtype: Of its values.
        path: The store.
        told: The header of the store.

    Raises:
        BadInput: it is not there, is damaged, or has another length than the header's number of
            crops.
    """
    crops = told["crops"]
    if data is not None and checksums.of_column(data) != told["columns"].get(name):
        raise damaged(path, f"its column '{name}'")
    wanted_bytes = crops * dtype.itemsize * (4 if name == "box" else 1)
    if data is None or len(data) != wanted_bytes:
        found = "none" if data is None else f"{len(data):,} bytes"
        raise BadInput(
            f"{path}: {found} found of column '{name}', {wanted_bytes:,} wanted for {crops:,} "
            f"crops; {AGAIN}"
        )
    return np.frombuffer(data, dtype)


def require_known(columns: Mapping[str, np.ndarray], counts: Mapping[str, int], path: Path) -> None:
    """Refuse columns that count what the header does not have.

    Args:
        columns: By name, whole numbers `(N,)`.
        counts: Of each column, how many there are of what it counts.
        path: The store.

    Raises:
        BadInput: naming the column.
    """
    for name, count in counts.items():
        values = columns[name]
        if len(values) and not 0 <= values.min() <= values.max() < count:
            raise BadInput(
                f"{path}: column '{name}' counts from {values.min()} to {values.max()}, but the "
                f"header has {count:,}; {AGAIN}"
            )
