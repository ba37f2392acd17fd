"""The tree of keys: which exist, what type each has, what it allows."""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from monitor.config import durations
from monitor.config.sections import DimensionSection, Settings
from monitor.events.mapping import CONTAINERS, FIELDS

ENVIRONMENT: Final = "CALDRIFT_"
ANY: Final = "<name>"

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. A part `<name>` of its path stands for any name."""

    path: KeyPath
    description: str
    default: object
    allowed: str
    secret: bool

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return ENVIRONMENT + "__".join(part if part == ANY else part.upper() for part in self.path)


def keys(model: type[BaseModel] = Settings, inside: KeyPath = ()) -> Iterator[Key]:
    """Every setting, in the order of the sections."""
    for name, field in model.model_fields.items():
        path = (*inside, name)
        if (section := _section(field.annotation)) is not None:
            yield from keys(section, path)
        elif get_origin(_plain(field.annotation)) is dict:
            yield from keys(DimensionSection, (*path, ANY))
        else:
            yield Key(path, field.description or "", field.default, allowed(field), is_secret(field))


def field_at(path: tuple[str | int, ...]) -> FieldInfo | None:
    """The field of a setting or of a section; None where there is none."""
    model: type[BaseModel] | None = Settings
    found: FieldInfo | None = None
    parts = iter(path)
    for part in parts:
        if model is None or part not in model.model_fields:
            return None
        found = model.model_fields[str(part)]
        model = _section(found.annotation)
        if get_origin(_plain(found.annotation)) is dict and next(parts, None) is not None:
            model = DimensionSection
    return found


def siblings(path: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand beside the last one of `path`."""
    if len(path) == 1:
        return list(Settings.model_fields)
    if len(path) == 4 and path[:2] == ("segments", "dimensions"):
        return list(DimensionSection.model_fields)
    parent = field_at(path[:-1])
    section = _section(parent.annotation) if parent else None
    return list(section.model_fields) if section else []


def is_stranger(path: tuple[str, ...]) -> bool:
    """Whether a path names a field to map that no event has."""
    if path[:2] != ("events", "fields") or len(path) != 4 or path[2] not in FIELDS:
        return False
    head, dot, rest = path[3].partition(".")
    return path[3] not in FIELDS[path[2]] and not (path[2] == "prediction" and dot and rest and head in CONTAINERS)


def is_secret(field: FieldInfo) -> bool:
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("secret"))


def is_structured(field: FieldInfo) -> bool:
    """Whether its text in an environment variable is read as a TOML value, not as it is."""
    plain = _plain(field.annotation)
    if get_origin(plain) is Literal:
        return not all(isinstance(choice, str) for choice in get_args(plain))
    return plain in {int, float, bool} or get_origin(plain) in {tuple, dict} or _section(plain) is not None


def is_list(field: FieldInfo) -> bool:
    return get_origin(_plain(field.annotation)) is tuple


def allowed(field: FieldInfo) -> str:
    """What a person may write, in words."""
    plain = _plain(field.annotation)
    if get_origin(plain) is Literal:
        return " | ".join(str(choice) if isinstance(choice, int) else f'"{choice}"' for choice in get_args(plain))
    kind = _kind(plain)
    low = next(
        (
            f"{'>' if isinstance(rule, Gt) else '>='} {_bound(rule)}"
            for rule in field.metadata
            if isinstance(rule, Ge | Gt)
        ),
        "",
    )
    high = next(
        (
            f"{'<' if isinstance(rule, Lt) else '<='} {_bound(rule)}"
            for rule in field.metadata
            if isinstance(rule, Le | Lt)
        ),
        "",
    )
    return ", ".join(part for part in (kind, low, high) if part)


_KINDS: Final[dict[object, str]] = {
    int: "whole number",
    float: "number",
    bool: "true | false",
    str: "text",
    Path: "path",
    SecretStr: "text",
    timedelta: "duration",
}


def _kind(plain: Any) -> str:
    if get_origin(plain) is tuple:
        inner = _plain(get_args(plain)[0])
        return f"list of {'lists of names' if get_origin(inner) is tuple else _KINDS[inner] + 's'}".replace(
            "texts", "text"
        )
    return _KINDS.get(plain, "date and time with zone")


def _bound(rule: Ge | Gt | Le | Lt) -> str:
    value = next(getattr(rule, name) for name in ("ge", "gt", "le", "lt") if hasattr(rule, name))
    return durations.text(value) if isinstance(value, timedelta) else str(value)


def _plain(annotation: Any) -> Any:
    """The type without Annotated and without `| None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in {Union, types.UnionType}:
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        else:
            return annotation


def _section(annotation: Any) -> type[BaseModel] | None:
    plain = _plain(annotation)
    return plain if isinstance(plain, type) and issubclass(plain, BaseModel) else None
