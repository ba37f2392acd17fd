"""The kinds of values that only the settings have."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from monitor.forms.kinds import listed

SECRET: Final[dict[str, Any]] = {"secret": True}

Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
Server = Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\s:/,]+):\d{1,5}$")]
Servers = Annotated[tuple[Server, ...], BeforeValidator(listed), Field(min_length=1)]
FieldPath = Annotated[str, Field(pattern=r"^[^.\s][^\s]*$", max_length=200)]
