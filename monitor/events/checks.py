"""Checks of single values: each gives the checked value back, or says what was wrong, where, what is allowed."""

import json
import math
from datetime import UTC, datetime
from typing import Final, Never

import msgspec

from monitor.errors import BadInput
from monitor.events.messages import NAME_LENGTH

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN: Final = 60


def reject(reason: str, where: str, allowed: str, came: object) -> Never:
    """Raise BadInput with the sentence `<where> must be <allowed>, got <came>`."""
    raise BadInput(f"{where} must be {allowed}, got {shown(came)}", reason)


def shown(value: object) -> str:
    """The value as JSON would write it, cut short."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def microseconds(moment: datetime) -> int:
    """Whole microseconds from the Unix epoch to an aware instant, exact."""
    since = moment - EPOCH
    return since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds


def text(value: object, where: str, longest: int = NAME_LENGTH, *, empty: bool = False, reason: str = "schema") -> str:
    """Text of 1 (0 where `empty`) to `longest` characters that Postgres can hold."""
    if not isinstance(value, str):
        reject(reason, where, "text", value)
    if not value and not empty:
        reject(reason, where, f"text of 1 to {longest} characters", value)
    if len(value) > longest:
        raise BadInput(f"{where} must be at most {longest} characters long, got {len(value)}: {shown(value)}", reason)
    if "\0" in value or not _is_unicode(value):
        reject("schema", where, "text without the zero character or half of a surrogate pair", value)
    return value


def number(value: object, where: str) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        reject("schema", where, "a number", value)
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        reject("schema", where, "a finite number", value)
    return result


def share(value: object, where: str, reason: str = "schema") -> float:
    """A number from 0 to 1; `reason` counts one that is outside, NaN included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        reject("schema", where, "a number from 0 to 1", value)
    if not 0 <= value <= 1:
        reject(reason, where, "a number from 0 to 1", value)
    return float(value)


def whole(value: object, where: str, greatest: int) -> int:
    """A whole number from 0 to `greatest`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= greatest:
        reject("schema", where, f"a whole number from 0 to {greatest}", value)
    return value


def answer(value: object, where: str, longest: int) -> str:
    """An answer as text: text as it is, true and false by name, a number without a fraction as a whole number."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        exact = number(value, where)
        return str(int(value)) if exact == int(exact) else repr(exact)
    if not isinstance(value, str):
        reject("schema", where, "text, a number, true or false", value)
    return text(value, where, longest, empty=True)


def instant(value: object, where: str, latest: int, earliest: int) -> int:
    """Microseconds since the epoch, from an RFC 3339 time with its zone or from whole milliseconds since the epoch."""
    allowed = "a time such as 2026-05-01T12:00:00Z, or whole milliseconds since 1970"
    if isinstance(value, bool) or not isinstance(value, int | str | datetime):
        reject("schema", where, allowed, value)
    if isinstance(value, int):
        moment = value * 1000
    else:
        try:
            aware = msgspec.convert(value, datetime)
        except msgspec.ValidationError:
            reject("schema", where, allowed, value)
        if aware.tzinfo is None:
            reject("schema", where, "a time with its zone, such as 2026-05-01T12:00:00Z", value)
        moment = microseconds(aware)
    if moment < earliest:
        reject("clock_out_of_range", where, "in the year 2000 or later", value)
    if moment > latest:
        limit = datetime.fromtimestamp(latest // 1_000_000, UTC).isoformat().replace("+00:00", "Z")
        reject("clock_out_of_range", where, f"at most {limit} (the clock and the time it may run ahead)", value)
    return moment


def table(value: object, where: str, most: int) -> dict[str, object]:
    """An object of at most `most` named values; a null value counts as absent."""
    if not isinstance(value, dict):
        reject("schema", where, "an object", value)
    named = {text(name, f"a name in {where}"): inner for name, inner in value.items() if inner is not None}
    if len(named) > most:
        raise BadInput(f"{where} must hold at most {most} values, got {len(named)}", "schema")
    return named


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
