"""Durations as a person writes them: `90s`, `5m`, `12h`, `7d`."""

import re
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_SHAPE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_LONGEST: Final = timedelta(days=36_500)


def parse(text: object) -> timedelta:
    """The length of time that `text` names: a number and one of ms, s, m, h, d, w; at most 100 years.

    Raises ValueError with what is allowed.
    """
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or (match := _SHAPE.fullmatch(text.strip())) is None:
        raise ValueError("must be a duration such as 90s, 5m, 12h or 7d")
    number, unit = match.groups()
    if float(number) * _UNITS[unit].total_seconds() > _LONGEST.total_seconds():
        raise ValueError("must be at most 100 years")
    return float(number) * _UNITS[unit]


def text(duration: timedelta) -> str:
    """The shortest text that `parse` reads back as `duration`: 7d, 36h, 90s."""
    if not duration:
        return "0s"
    for unit in ("d", "h", "m", "s", "ms"):
        if duration % _UNITS[unit] == timedelta(0):
            return f"{duration // _UNITS[unit]}{unit}"
    return f"{duration.total_seconds():g}s"


PATTERN: Final = rf"^\s*{_SHAPE.pattern}\s*$"
JSON_SCHEMA: Final[dict[str, Any]] = {"type": "string", "pattern": PATTERN, "examples": ["90s", "5m", "12h", "7d"]}
Duration = Annotated[timedelta, BeforeValidator(parse), PlainSerializer(text), WithJsonSchema(JSON_SCHEMA)]
