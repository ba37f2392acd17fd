"""What pydantic refuses, in words: what is allowed, and what came."""

import difflib
import json
from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from typing import Final

from pydantic_core import ErrorDetails

from monitor.forms import durations

_LONGEST_SHOWN: Final = 80
_TYPES: Final = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be text",
    "tuple": "must be a list",
    "dict": "must be a table",
    "model": "must be a table",
    "path": "must be a path",
    "datetime": "must be a date and time such as 2026-01-31T12:00:00Z",
    "timezone": "must be a date and time with a zone, such as 2026-01-31T12:00:00Z",
}
_BOUNDS: Final = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def first_causes(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without lists that are too short only because pydantic does not count their bad values."""
    return [
        each
        for each in errors
        if each["type"] != "too_short"
        or not any(other["loc"][: len(each["loc"])] == each["loc"] for other in errors if other is not each)
    ]


def rule(error: ErrorDetails, patterns: Mapping[str, str]) -> str:
    """What is allowed where `error` was found; `patterns` says in words what each regular expression asks for."""
    context = error.get("ctx", {})
    kind = error["type"]
    if kind == "value_error":
        return str(context["error"])
    for name, words in _BOUNDS.items():
        if name in context:
            bound = context[name]
            if isinstance(bound, timedelta):
                return f"must be {words} {durations.text(bound)}"
            return f"must be {words} {f'{bound:g}' if isinstance(bound, float) else bound}"
    if kind == "literal_error":
        return f"must be one of {context['expected'].replace(' or ', ', ')}"
    if kind == "string_pattern_mismatch":
        return patterns.get(context["pattern"], f"must match {context['pattern']}")
    if kind in {"string_too_short", "too_short"}:
        return (
            "must not be empty" if context["min_length"] == 1 else f"must have at least {context['min_length']} parts"
        )
    if kind in {"string_too_long", "too_long"}:
        return f"must be no longer than {context['max_length']}"
    return _TYPES.get(kind.split("_")[0], error["msg"])


def meant(names: Iterable[str], wrong: object) -> str:
    """What was probably meant by a name that is none of these, else all that there are: the end of a sentence."""
    known = list(names)
    close = difflib.get_close_matches(str(wrong), known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; allowed: {', '.join(known)}" if known else ""


def shown(value: object) -> str:
    """A value as the file would have it, not longer than 80 characters."""
    if isinstance(value, timedelta):
        return durations.text(value)
    if isinstance(value, date | time):
        return value.isoformat()
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
