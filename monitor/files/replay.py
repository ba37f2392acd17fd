"""Files as the messages to publish: bytes, key and the time by which two files are merged."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from monitor.events.checks import microseconds
from monitor.events.mapping import FieldMapping, MessageKind, look_up
from monitor.files.bodies import bodies
from monitor.files.fields import FlatFields
from monitor.files.formats import Source
from monitor.files.rejections import Rejections
from monitor.files.rows import Told

_TIMES: Final[dict[MessageKind, str]] = {"prediction": "predicted_at", "label": "labelled_at"}
_UNKNOWN_TIME: Final = -1
"""A message whose time cannot be read goes out at once: the service will say what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as it will be sent; `at_us` decides only which of two files goes first."""

    kind: MessageKind
    key: bytes | None
    body: bytes
    at_us: int


def outgoing(file: Source, fields: FlatFields, told: Told, rejections: Rejections) -> Iterator[Outgoing]:
    """The messages of a file in its order. A row that cannot become JSON is refused; any other goes out.

    The key is the prediction id, so that both messages of an id meet in partitions of one number; a message without a
    readable id has none.
    """
    for run in bodies(file, fields, told):
        rejections.add(file.path, run.bad)
        for body in run.bodies:
            yield _outgoing(body, fields)


def _outgoing(body: bytes, fields: FlatFields) -> Outgoing:
    try:
        record = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        try:  # Python's own parser takes NaN
            record = json.loads(body)
        except (ValueError, RecursionError):
            record = None
    if not isinstance(record, dict):
        return Outgoing(fields.kind, None, body, _UNKNOWN_TIME)
    given = look_up(record, fields.mapping.theirs("prediction_id"))
    key = given.encode("utf-8", "surrogatepass") if isinstance(given, str) and given else None
    return Outgoing(fields.kind, key, body, _time(record, fields.mapping, _TIMES[fields.kind]))


def _time(record: dict[str, object], mapping: FieldMapping, name: str) -> int:
    given = look_up(record, mapping.theirs(name))
    if isinstance(given, int):
        return given * 1000
    if not isinstance(given, str):
        return _UNKNOWN_TIME
    try:
        return microseconds(msgspec.convert(given, datetime))
    except (msgspec.ValidationError, TypeError):  # TypeError: a time without its zone
        return _UNKNOWN_TIME


def merged(files: list[Iterator[Outgoing]]) -> Iterator[Outgoing]:
    """The messages of all files: always the earliest of those that come next, so files in order of time stay in it."""
    waiting = [(each, file) for file in files if (each := next(file, None)) is not None]
    while waiting:
        at = min(range(len(waiting)), key=lambda place: waiting[place][0].at_us)
        message, file = waiting[at]
        yield message
        following = next(file, None)
        if following is None:
            del waiting[at]
        else:
            waiting[at] = (following, file)
