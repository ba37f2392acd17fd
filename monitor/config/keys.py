"""The tree of keys: which exist, what type each has, what it allows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from monitor.config.sections import Settings
from monitor.events.mapping import CONTAINERS, FIELDS
from monitor.forms.allowed import allowed, plain, section

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
        if (inner := section(field.annotation)) is not None:
            yield from keys(inner, path)
        elif (each := section_by_name(field)) is not None:
            yield from keys(each, (*path, ANY))
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
        model = section(found.annotation)
        each = section_by_name(found)
        if each is not None and next(parts, None) is not None:
            model = each
    return found


def section_by_name(field: FieldInfo) -> type[BaseModel] | None:
    """The section of which a setting holds one for each name; None where it holds none."""
    kind = plain(field.annotation)
    return section(get_args(kind)[1]) if get_origin(kind) is dict else None


def siblings(path: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand beside the last one of `path`."""
    if len(path) == 1:
        return list(Settings.model_fields)
    named = field_at(path[:-2]) if len(path) == 4 else None
    if named is not None and (each := section_by_name(named)) is not None:
        return list(each.model_fields)
    parent = field_at(path[:-1])
    group = section(parent.annotation) if parent else None
    return list(group.model_fields) if group else []


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
    kind = plain(field.annotation)
    if get_origin(kind) is Literal:
        return not all(isinstance(choice, str) for choice in get_args(kind))
    return kind in {int, float, bool} or get_origin(kind) in {tuple, dict} or section(kind) is not None


def is_list(field: FieldInfo) -> bool:
    return get_origin(plain(field.annotation)) is tuple
