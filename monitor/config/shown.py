"""The settings in force, for a person's eyes: every secret masked."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pydantic import BaseModel, SecretStr

from monitor.config import dsn
from monitor.config.keys import field_at, is_secret
from monitor.config.loading import Loaded
from monitor.forms import durations

MASK: Final = "********"
Plain = str | int | float | bool | None | list["Plain"]


@dataclass(frozen=True, slots=True)
class Shown:
    """One value in force and where it was given."""

    name: str
    value: Plain
    origin: str


def shown(loaded: Loaded) -> Iterator[Shown]:
    """Every value in force, in the order of the reference page."""
    yield from _values(loaded, loaded.settings, ())


def _values(loaded: Loaded, model: BaseModel, inside: tuple[str, ...]) -> Iterator[Shown]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        path = (*inside, name)
        if isinstance(value, BaseModel):
            yield from _values(loaded, value, path)
        elif isinstance(value, dict):
            for key, inner in value.items():
                yield from _values(loaded, inner, (*path, key))
        else:
            field = field_at(path)
            secret = field is not None and is_secret(field)
            origin = loaded.origins.get(path)
            yield Shown(".".join(path), _plain(value, secret=secret), str(origin) if origin else "default")


def _plain(value: object, *, secret: bool) -> Plain:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, SecretStr):
        return MASK
    if secret:
        return dsn.masked(str(value), MASK)
    if isinstance(value, timedelta):
        return durations.text(value)
    if isinstance(value, tuple):
        return [_plain(part, secret=False) for part in value]
    return str(value)
