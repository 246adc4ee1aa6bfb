"""What every section of the settings has in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
Channels = tuple[float, float, float]


class Section(BaseModel):
    """A section of the settings: frozen, and refusing what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def contract(self, *left_out: str) -> dict[str, Any]:
        """The section as plain JSON-able values, less what does not decide a result."""
        return self.model_dump(mode="json", exclude=set(left_out))
