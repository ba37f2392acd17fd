"""The kinds of values that only rules have."""

import math
import re
from datetime import timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from monitor.forms import durations
from monitor.forms.allowed import Words

_NAME: Final = r"^[A-Za-z][A-Za-z0-9_-]{0,99}$"
_LABEL: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
_VARIABLE: Final = r"^[A-Z_][A-Z0-9_]*$"
_FILE: Final = r"^/"
_ADDRESS: Final = r"^[^@\s]+@[^@\s]+$"
_TIME: Final = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")
_DAY: Final = 24 * 60

PATTERNS: Final = {
    _NAME: "must be a name: a letter, then letters, digits, _ or -, at most 100",
    _LABEL: "must be a label's name: letters, digits and _, not first a digit",
    _VARIABLE: "must be the name of an environment variable, in capitals",
    _FILE: "must be the path of a file, from /",
    _ADDRESS: "must be an address such as team@example.com",
}
"""What each regular expression asks for, in words."""

RuleName = Annotated[str, Field(pattern=_NAME), Words("a name")]
LabelName = Annotated[str, Field(pattern=_LABEL), Words("a label's name")]
Variable = Annotated[str, Field(pattern=_VARIABLE), Words("the name of an environment variable")]
SecretFile = Annotated[str, Field(pattern=_FILE), Words("the path of a file")]
Address = Annotated[str, Field(pattern=_ADDRESS), Words("an address")]


def _limit(value: object) -> float | timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        try:
            return durations.parse(value)
        except ValueError:
            raise ValueError("must be a number, or a duration such as 12h") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("must be a number, or a duration such as 12h")
    return float(value)


def limit_text(limit: float | timedelta) -> str:
    """A limit as the file would have it."""
    return durations.text(limit) if isinstance(limit, timedelta) else f"{limit:g}"


def _written_limit(limit: float | timedelta) -> float | str:
    return durations.text(limit) if isinstance(limit, timedelta) else limit


_LIMIT_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": durations.PATTERN, "examples": ["12h"]}]
}
Limit = Annotated[
    float | timedelta,
    BeforeValidator(_limit),
    PlainSerializer(_written_limit),
    Words("number, or duration for a measure of time"),
    WithJsonSchema(_LIMIT_SCHEMA),
]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError("must be a time zone such as Europe/Berlin or UTC") from None
    return name


Zone = Annotated[str, AfterValidator(_zone), Words("a time zone")]


def _minutes(value: object) -> int:
    """Minutes after midnight of `22:00`; 24:00 is the end of the day."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    minutes = int(match[1]) * 60 + int(match[2]) if match else _DAY + 1
    if minutes > _DAY:
        raise ValueError("must be a time of day from 00:00 to 24:00")
    return minutes


def time_text(minutes: int) -> str:
    """A time of day as the file has it."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


TimeOfDay = Annotated[
    int,
    BeforeValidator(_minutes),
    PlainSerializer(time_text),
    Words("a time of day such as 22:00"),
    WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"}),
]


def _url(text: str) -> str:
    """The words of the mistake leave out what came: it may be a secret."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fine = False
    if not fine or re.search(r"\s", text):
        raise ValueError("must be a URL such as https://host/path")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("must not hold a password or a query: name a variable or a file that holds the whole URL")
    return text


Url = Annotated[str, AfterValidator(_url), Words("a URL without secrets")]
