"""The kinds of values that settings and rules share, and what every group of them is."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Count = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
Switch = Annotated[bool, Field(strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


def listed(value: object) -> object:
    """One text with commas is a list: the form that other Kafka clients accept for their servers."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Names = Annotated[tuple[Name, ...], BeforeValidator(listed)]


class Section(BaseModel):
    """One table of a file: its keys, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, arbitrary_types_allowed=False)
