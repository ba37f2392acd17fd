"""What a field allows, in the words of the reference pages."""

import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from monitor.forms import durations


@dataclass(frozen=True, slots=True)
class Words:
    """Says in an annotation what values of that kind are called."""

    text: str


def allowed(field: FieldInfo) -> str:
    """What a person may write, in words."""
    kind = plain(field.annotation)
    if (named := _named(field.metadata, field.annotation)) is not None:
        return named
    if get_origin(kind) is Literal:
        return " | ".join(str(choice) if isinstance(choice, int) else f'"{choice}"' for choice in get_args(kind))
    words, rules = _kind(kind), list(_bounds((field.annotation, *field.metadata)))
    low = next(
        (f"{'>' if isinstance(rule, Gt) else '>='} {_bound(rule)}" for rule in rules if isinstance(rule, Ge | Gt)),
        "",
    )
    high = next(
        (f"{'<' if isinstance(rule, Lt) else '<='} {_bound(rule)}" for rule in rules if isinstance(rule, Le | Lt)),
        "",
    )
    return ", ".join(part for part in (words, low, high) if part)


_KINDS: Final[dict[object, str]] = {
    int: "whole number",
    float: "number",
    bool: "true | false",
    str: "text",
    Path: "path",
    SecretStr: "text",
    timedelta: "duration",
}


def _named(metadata: Sequence[object], annotation: Any) -> str | None:
    """The words of the annotation itself, or of the one inside its `| None`."""
    found = next((each.text for each in metadata if isinstance(each, Words)), None)
    if found is not None or annotation is None:
        return found
    if get_origin(annotation) in {Union, types.UnionType}:
        return next(filter(None, (_named((), part) for part in get_args(annotation))), None)
    return _named(get_args(annotation)[1:], None) if get_origin(annotation) is Annotated else None


def _bounds(parts: Iterable[Any]) -> Iterator[Ge | Gt | Le | Lt]:
    """The bounds of a value, those inside of its `| None` too."""
    for part in parts:
        if isinstance(part, Ge | Gt | Le | Lt):
            yield part
        elif isinstance(part, FieldInfo):
            yield from _bounds(part.metadata)
        elif get_origin(part) in {Union, types.UnionType, Annotated}:
            yield from _bounds(get_args(part))


def _kind(kind: Any) -> str:
    if get_origin(kind) is tuple:
        inner = plain(get_args(kind)[0])
        if get_origin(inner) is Literal:
            return f"list of {' | '.join(get_args(inner))}"
        return f"list of {'lists of names' if get_origin(inner) is tuple else _KINDS[inner] + 's'}".replace(
            "texts", "text"
        )
    return _KINDS.get(kind, "date and time with zone")


def _bound(rule: Ge | Gt | Le | Lt) -> str:
    value = next(getattr(rule, name) for name in ("ge", "gt", "le", "lt") if hasattr(rule, name))
    return durations.text(value) if isinstance(value, timedelta) else str(value)


def plain(annotation: Any) -> Any:
    """The type without Annotated and without `| None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in {Union, types.UnionType}:
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        else:
            return annotation


def section(annotation: Any) -> type[BaseModel] | None:
    """The group of keys that a field holds; None where it holds a value."""
    kind = plain(annotation)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
