"""What the files of figures that a report reads must hold: checked before anything is drawn."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from passerby.errors import BadInput, listing
from passerby.foreign import texts

Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Count = Annotated[int, Field(ge=0, strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


def _rate(key: str) -> str:
    if not 0 < float(key) < float("inf"):
        raise ValueError("a rate or a rank above 0 wanted")
    return key


Rate = Annotated[str, AfterValidator(_rate)]
_BY_RATE = TypeAdapter(dict[Rate, Number | None])
_ENDS = TypeAdapter(tuple[Number, Number])


class _Told(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False)


class _Reranked(_Told):
    map: Share


class _Trial(_Told):
    mean: Share
    deviation: Share | None


class _TrialCounts(_Told):
    gallery: list[Count]


class _Trials(_Told):
    cmc: dict[Rate, _Trial]
    counts: _TrialCounts


class _Metrics(_Told):
    """What `metrics.json` holds of what a report shows."""

    map: Share
    map_trapezoid: Share
    minp: Share
    auc: Share
    eer: Share
    cmc: dict[Rate, Share]
    tar_at_far: dict[Rate, Share | None]
    counts: dict[str, Count]
    protocol: str
    reranked: _Reranked | None = None
    expanded: _Reranked | None = None
    trials: dict[str, _Trials] = {}
    intervals: dict[str, Any] = {}

    @model_validator(mode="after")
    def _rates(self) -> Self:
        for key, value in (self.__pydantic_extra__ or {}).items():
            if "_at_f" in key:
                _BY_RATE.validate_python(value)
        _pairs(self.intervals)
        return self


def _pairs(intervals: dict[str, Any]) -> None:
    """Refuse intervals that are no two numbers."""
    for key, value in intervals.items():
        if isinstance(value, dict):
            _pairs(value)
        elif key not in ("draws", "level") and value is not None:
            try:
                _ENDS.validate_python(value)
            except ValidationError:
                raise ValueError(f"intervals: two numbers wanted for '{key}'") from None


class _Part(_Told):
    sources: Count
    boxes: Count
    crops: Count
    left_out: dict[str, Count]


class _Total(_Part):
    tracks: Count


class _Crops(_Told):
    """What `crops_counts.json` holds."""

    total: _Total
    videos: _Part
    images: dict[str, _Part]


def metrics(path: Path) -> dict[str, Any]:
    """The figures of one result, `metrics.json`, as they stand there.

    Raises:
        BadInput: the file is missing, or figures are missing or are none (which).
    """
    return _checked(path, _Metrics, "evaluate")


def crops(path: Path) -> dict[str, Any]:
    """What was cut, `crops_counts.json`, as it stands there.

    Raises:
        BadInput: as `metrics`.
    """
    return _checked(path, _Crops, "crop")


def _checked(path: Path, wanted: type[BaseModel], stage: str) -> dict[str, Any]:
    again = f"run the stage '{stage}' again"
    found = texts.json_file(path, again)
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise BadInput(f"{path}: found a {kind}, wanted figures by name; {again}")
    try:
        wanted.model_validate(found)
    except ValidationError as error:
        places = [(".".join(map(str, f["loc"])), f) for f in error.errors()]
        lacking = [place for place, fault in places if fault["type"] == "missing"]
        wrong = [
            f"{place}: {f['msg']}".removeprefix(": ")
            for place, f in places
            if f["type"] != "missing"
        ]
        told = [f"lacks {', '.join(lacking)}"] if lacking else []
        raise BadInput(f"{path}: {listing([*told, *wrong])}; {again}") from None
    return found
