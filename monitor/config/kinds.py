"""The kinds of values that settings have, and what every section is."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

SECRET: Final[dict[str, Any]] = {"secret": True}

Count = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
Switch = Annotated[bool, Field(strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


def listed(value: object) -> object:
    """One text with commas is a list: the form that other Kafka clients accept for their servers."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Server = Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\s:/,]+):\d{1,5}$")]
Servers = Annotated[tuple[Server, ...], BeforeValidator(listed), Field(min_length=1)]
Names = Annotated[tuple[Name, ...], BeforeValidator(listed)]
FieldPath = Annotated[str, Field(pattern=r"^[^.\s][^\s]*$", max_length=200)]


class Section(BaseModel):
    """One table of caldrift.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, arbitrary_types_allowed=False)
