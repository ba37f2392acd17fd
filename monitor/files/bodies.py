"""Rows of any format as the JSON messages that a producer would have sent: what is measured is what would be joined."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from monitor.files.bulk import BulkWriter
from monitor.files.fields import Column, FlatFields, columns_of
from monitor.files.formats import Format, Source
from monitor.files.rows import BadRow, Records, Told, encodable, lines, records


@dataclass(slots=True)
class Bodies:
    """Messages with the numbers of their rows, and the rows that make none."""

    rows: list[int]
    bodies: list[bytes]
    bad: list[BadRow]


def bodies(file: Source, fields: FlatFields, told: Told) -> Iterator[Bodies]:
    """The messages of a file, in runs. JSON lines are passed on byte for byte."""
    if file.format is Format.JSON_LINES:
        for run in lines(file, told):
            yield Bodies(run.rows, run.bodies, run.bad)
        return
    columns: list[Column] | None = None
    text = file.format is Format.CSV
    for chunk in records(file, told):
        if columns is None:
            columns = list(columns_of(chunk.columns, fields, text=text))
            bulk = BulkWriter(columns) if text else None
        quick = bulk.bodies(chunk.values) if bulk else None
        yield bodies_of(chunk, columns, text=text) if quick is None else Bodies(chunk.rows, quick, chunk.bad)


def bodies_of(chunk: Records, columns: list[Column], *, text: bool) -> Bodies:
    """The messages of a run, a row at a time."""
    made = Bodies([], [], chunk.bad)
    for row, values in zip(chunk.rows, chunk.values, strict=True):
        if text and not encodable(values):
            made.bad.append(BadRow(row, "undecodable", "the row must be text in UTF-8"))
            continue
        try:
            made.bodies.append(_encoded(_message(values, columns)))
            made.rows.append(row)
        except (TypeError, ValueError) as failure:
            made.bad.append(BadRow(row, "undecodable", f"the row cannot be written as JSON: {failure}"))
    made.bad.sort(key=lambda bad: bad.row)
    return made


def _message(values: tuple[object, ...], columns: list[Column]) -> dict[str, object]:
    message: dict[str, object] = {}
    for column in columns:
        value = values[column.place]
        if value is None or value == "":
            continue
        value = column.read(value)
        if column.inside is None:
            message[column.name] = value
        else:
            inner = message.setdefault(column.inside, {})
            if isinstance(inner, dict):
                inner[column.name] = value
    return message


def _encoded(message: dict[str, object]) -> bytes:
    """The message as JSON. NaN and infinities are written as Python writes them, so that the decoder can name them."""
    try:
        body = msgspec.json.encode(message)
    except (OverflowError, msgspec.MsgspecError):
        return json.dumps(message).encode()
    return json.dumps(message).encode() if b"null" in body else body
