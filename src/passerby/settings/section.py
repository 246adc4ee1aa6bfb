"""What every section of the settings has in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
MOST = 2**31 - 1
Count = Annotated[int, Field(ge=1, le=MOST)]
Natural = Annotated[int, Field(ge=0, le=MOST)]
Side = Annotated[int, Field(ge=1, le=4096)]
"""Of a picture that a network takes, in pixels."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
Channels = tuple[float, float, float]
Deviations = tuple[Positive, Positive, Positive]


class Section(BaseModel):
    """A section of the settings: frozen, and refusing what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def contract(self, *left_out: str) -> dict[str, Any]:
        """The section as plain JSON-able values, less what does not decide a result."""
        return self.model_dump(mode="json", exclude=set(left_out))


def fault(text: str) -> PydanticCustomError:
    """A fault in our own words, for a validator to raise."""
    return PydanticCustomError("settings", "{text}", {"text": text})


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`; sections within are merged likewise.

    Example:
        >>> merged({"lr": 1, "monitor": {"people": 5, "seed": 0}}, {"monitor": {"people": 9}})
        {'lr': 1, 'monitor': {'people': 9, 'seed': 0}}
    """
    result = dict(base)
    for key, value in over.items():
        inside = result.get(key)
        if isinstance(inside, dict) and isinstance(value, dict):
            result[key] = merged(inside, value)
        else:
            result[key] = value
    return result
