"""Patterns over names: `*` is any text, `?` any one character, a leading `!` takes out what would match."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema

from monitor.errors import BadInput
from monitor.forms.allowed import Words
from monitor.rolling.segments import parse_segment

Patterns: TypeAlias = tuple[str, ...]


@lru_cache(maxsize=4096)
def matches(patterns: Patterns, name: str) -> bool:
    """Whether a pattern that takes in matches, and none that takes out does. Only the latter: all else matches.

    What was found is kept: rules ask the same of a few models, signals and windows for each of thousands of series.
    """
    takes_in = [each for each in patterns if not each.startswith("!")]
    takes_out = [each[1:] for each in patterns if each.startswith("!")]
    return (not takes_in or _any(takes_in, name)) and not _any(takes_out, name)


def _any(patterns: Iterable[str], name: str) -> bool:
    return any(_regular(each).fullmatch(name) for each in patterns)


@lru_cache(maxsize=1024)
def _regular(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def matches_segment(patterns: Patterns, segment: Mapping[str, str]) -> bool:
    """As `matches`, for segments as {dimension: value}: each pattern is `*`, the empty text for {}, or `lang=*`."""
    takes_in = [each for each in patterns if not each.startswith("!")]
    takes_out = [each[1:] for each in patterns if each.startswith("!")]
    return (not takes_in or any(_covers(each, segment) for each in takes_in)) and not any(
        _covers(each, segment) for each in takes_out
    )


def _covers(pattern: str, segment: Mapping[str, str]) -> bool:
    if pattern == "*":
        return True
    wanted = parse_segment(pattern)
    return wanted.keys() == segment.keys() and all(_any([each], segment[name]) for name, each in wanted.items())


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _segments(value: object) -> object:
    found = _listed(value)
    for each in found if isinstance(found, list) else ():
        try:
            if isinstance(each, str) and each != "*":
                parse_segment(each.removeprefix("!"))
        except BadInput:
            raise ValueError('must be "*", "" for the whole model, or dimension=value such as lang=*') from None
    return found


_JSON_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
}
Globs = Annotated[
    Patterns,
    BeforeValidator(_listed),
    Field(min_length=1),
    Words("a pattern, or a list of patterns"),
    WithJsonSchema(_JSON_SCHEMA),
]
SegmentGlobs = Annotated[
    Patterns,
    BeforeValidator(_segments),
    Field(min_length=1),
    Words("a pattern of segments, or a list of them"),
    WithJsonSchema(_JSON_SCHEMA),
]
