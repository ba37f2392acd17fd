"""Columns of flat files: which field each one holds, and how its text or value is read."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, auto
from typing import Final
from uuid import UUID

from monitor.events.mapping import CONTAINERS, FIELDS, FieldMapping, MessageKind

_WHOLE: Final = re.compile(r"[+-]?\d{1,18}")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
_SWITCHES: Final = {"true": True, "false": False}


class Kind(Enum):
    """How the text of a CSV cell is read."""

    TEXT = auto()
    NUMBER = auto()
    WHOLE = auto()
    SWITCH = auto()
    MOMENT = auto()
    TABLE = auto()


_KINDS: Final = {
    "confidence": Kind.NUMBER,
    "correct": Kind.SWITCH,
    "value": Kind.NUMBER,
    "retract": Kind.SWITCH,
    "version": Kind.WHOLE,
    "step": Kind.WHOLE,
    "propensity": Kind.NUMBER,
    "predicted_at": Kind.MOMENT,
    "labelled_at": Kind.MOMENT,
    **dict.fromkeys(CONTAINERS, Kind.TABLE),
}


@dataclass(frozen=True, slots=True)
class Column:
    """Where the value of a column goes in the message, and how its text is read."""

    place: int
    inside: str | None
    name: str
    kind: Kind
    read: Callable[[object], object]


@dataclass(frozen=True, slots=True)
class FlatFields:
    """What the columns of a CSV or Parquet file may be called.

    A column has the name of a field, or that of one value of it (`segments.lang`). `extra_segments` are columns that
    are taken as segments by their bare name; `numeric_segments` are dimensions with cut points.
    """

    kind: MessageKind
    mapping: FieldMapping
    extra_segments: frozenset[str] = frozenset()
    numeric_segments: frozenset[str] = frozenset()


def columns_of(names: tuple[str, ...], fields: FlatFields, *, text: bool) -> Iterator[Column]:
    mapped = {theirs: ours for ours, theirs in fields.mapping.names}
    claimed = {ours for ours, _ in fields.mapping.names}
    for place, name in enumerate(names):
        head, dot, rest = name.partition(".")
        ours = mapped.get(name)
        if ours is not None:  # the decoder knows it by the user's name
            yield Column(place, None, name, *_reader(ours, fields, text=text))
        elif name in FIELDS[fields.kind] and name not in claimed:
            yield Column(place, None, name, *_reader(name, fields, text=text))
        elif dot and rest and head in CONTAINERS and fields.kind == "prediction" and head not in claimed:
            yield Column(place, head, rest, *_reader(name, fields, text=text))
        elif name in fields.extra_segments and f"segments.{name}" not in names:
            yield Column(place, "segments", name, *_reader(f"segments.{name}", fields, text=text))


def _reader(ours: str, fields: FlatFields, *, text: bool) -> tuple[Kind, Callable[[object], object]]:
    head, dot, rest = ours.partition(".")
    if dot:
        numeric = head != "segments" or rest in fields.numeric_segments
        kind = Kind.NUMBER if numeric else Kind.TEXT
    else:
        kind = _KINDS.get(ours, Kind.TEXT)
    read = _READERS[kind]
    if text:
        return kind, read
    if kind is Kind.TEXT:
        return kind, typed if head in {"segments", "predicted", "label"} else _typed_text
    return kind, lambda value: read(value) if isinstance(value, str) else typed(value)


def typed(value: object) -> object:
    """A value of a Parquet row as JSON has it: times in UTC where they bear no zone, decimals as numbers."""
    match value:
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
        case date():
            return value.isoformat()
        case Decimal():
            return float(value)
        case UUID():
            return str(value)
        case bytes():
            return value.decode()
        case dict():
            return {str(key): typed(inner) for key, inner in value.items() if inner is not None}
        case list() | tuple():
            return [typed(inner) for inner in value]
        case _:
            return value


def _typed_text(value: object) -> object:
    """Ids and names may be stored as whole numbers; CSV has them as text too."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else typed(value)


def number_of(value: object) -> object:
    """The number that a text shows; the text itself where it shows none, so that the decoder says what is wrong."""
    text = str(value).strip()
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else value


def switch_of(value: object) -> object:
    """true and false in any case, or the number that a text shows."""
    switch = _SWITCHES.get(str(value).strip().lower())
    return number_of(value) if switch is None else switch


def _moment_of(value: object) -> object:
    text = str(value).strip()
    return int(text) if _WHOLE.fullmatch(text) else text


def _table_of(value: object) -> object:
    try:
        return json.loads(str(value))
    except ValueError:
        return value


_READERS: Final[dict[Kind, Callable[[object], object]]] = {
    Kind.TEXT: lambda value: value,
    Kind.NUMBER: number_of,
    Kind.WHOLE: number_of,
    Kind.SWITCH: switch_of,
    Kind.MOMENT: _moment_of,
    Kind.TABLE: _table_of,
}
