"""Rows of a file as they stand there: bytes of a line, fields of a CSV record, values of a Parquet row."""

import csv
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from monitor.errors import BadInput
from monitor.files.formats import Buffered, Damaged, Format, Progress, Source, opened

if TYPE_CHECKING:
    from _csv import Reader

CHUNK: Final = 20_000
_LONGEST_LINE: Final = 16 << 20

Told = Callable[[int], None]
"""Hears how many more bytes of the file have been read."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is no event: its number (the line, from 1, or the row of a Parquet file), the reason, a sentence."""

    row: int
    reason: str
    message: str
    raw: bytes | None = None


@dataclass(slots=True)
class Lines:
    """A run of lines of a JSON lines file, blank ones left out."""

    rows: list[int]
    bodies: list[bytes]
    bad: list[BadRow]


@dataclass(slots=True)
class Records:
    """A run of records: for each, its row number and as many values as there are columns."""

    columns: tuple[str, ...]
    rows: list[int]
    values: list[tuple[object, ...]]
    bad: list[BadRow]


def lines(file: Source, told: Told) -> Iterator[Lines]:
    """The lines of a JSON lines file, in runs of at most 20,000."""
    with opened(file) as (stream, progress):
        _refuse_array(file, stream)
        number = 0
        numbered = enumerate(iter(lambda: stream.readline(_LONGEST_LINE + 1), b""), 1)
        tell = _teller(progress, told)
        while True:
            chunk = Lines([], [], [])
            try:
                for number, line in itertools.islice(numbered, CHUNK):
                    if len(line) > _LONGEST_LINE:
                        chunk.bad.append(
                            BadRow(number, "undecodable", "the line is longer than 16 MiB, the rest is not read")
                        )
                        yield chunk
                        return
                    body = line.strip()
                    if body:
                        chunk.rows.append(number)
                        chunk.bodies.append(body)
            except Damaged as failure:
                chunk.bad.append(_damaged(number + 1, failure))
                yield chunk
                return
            tell()
            if not chunk.rows and not chunk.bad:
                if next(numbered, None) is None:
                    return
                continue
            yield chunk


def _refuse_array(file: Source, stream: Buffered) -> None:
    try:
        start = stream.peek(64)[:64].lstrip()
    except Damaged:
        return  # the first read says so, with its place
    if start.startswith(b"["):
        raise BadInput(f"{file.path}: must hold JSON lines (one object a line), got one JSON array", "usage")


def _damaged(row: int, failure: BaseException) -> BadRow:
    return BadRow(row, "undecodable", f"the compressed file is damaged here, the rest cannot be read: {failure}")


def _teller(progress: Progress, told: Told) -> Callable[[], None]:
    before = 0

    def tell() -> None:
        nonlocal before
        now = progress.done()
        told(now - before)
        before = now

    return tell


def records(file: Source, told: Told) -> Iterator[Records]:
    """The records of a CSV or Parquet file, in runs of at most 20,000. CSV values are text, '' for an empty cell."""
    if file.format is Format.PARQUET:
        from monitor.files.parquet import parquet_records  # noqa: PLC0415 - DuckDB is slow to import

        return parquet_records(file, told)
    return _csv_records(file, told)


def _csv_records(file: Source, told: Told) -> Iterator[Records]:
    with opened(file) as (stream, progress):
        text = (line.decode("utf-8", "surrogateescape") for line in stream)
        reader = csv.reader(text, delimiter=file.delimiter, strict=True)
        columns = _header(file, reader)
        tell = _teller(progress, told)
        ended = False
        while not ended:
            chunk = Records(columns, [], [], [])
            ended = _read_run(reader, chunk)
            tell()
            if chunk.rows or chunk.bad:
                yield chunk


def _header(file: Source, reader: "Reader") -> tuple[str, ...]:
    try:
        columns = tuple(name.strip() for name in next(reader, []))
        "".join(columns).encode()
    except (csv.Error, UnicodeEncodeError, *Damaged) as failure:
        raise BadInput(f"{file.path}: the header cannot be read: {failure}", "usage") from None
    if not any(columns):
        raise BadInput(f"{file.path}: must begin with a line of column names, got nothing", "usage")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise BadInput(f"{file.path}: each column must have a name of its own, got {', '.join(twice)} twice", "usage")
    return columns


def _read_run(reader: "Reader", chunk: Records) -> bool:
    """Fill a run from the reader; true at the end of the file."""
    while len(chunk.rows) < CHUNK and len(chunk.bad) < CHUNK:
        start, wanted = reader.line_num + 1, CHUNK - len(chunk.rows)
        batch: list[list[str]] = []
        try:
            batch.extend(itertools.islice(reader, wanted))  # what came before a failure stays in the list
            _take(batch, start, chunk, plain=reader.line_num + 1 - start == len(batch))
            if len(batch) < wanted:
                return True
        except csv.Error as failure:
            row = _take(batch, start, chunk)
            chunk.bad.append(BadRow(row, "undecodable", f"the row is no CSV: {failure}"))
        except Damaged as failure:
            row = _take(batch, start, chunk)
            chunk.bad.append(_damaged(row, failure))
            return True
    return False


def _take(batch: list[list[str]], start: int, chunk: Records, *, plain: bool = False) -> int:
    """Add records of which the first begins at line `start`; the line after them. `plain`: each is one line."""
    width = len(chunk.columns)
    if plain and set(map(len, batch)) == {width}:
        chunk.rows.extend(range(start, start + len(batch)))
        chunk.values.extend(map(tuple, batch))
        return start + len(batch)
    row = start
    for record in batch:
        if len(record) == width:
            chunk.rows.append(row)
            chunk.values.append(tuple(record))
        elif record:
            words = f"the row must have {width} fields as the header has, got {len(record)}"
            chunk.bad.append(BadRow(row, "schema", words))
        row += 1 + sum(field.count("\n") for field in record)
    return row


def encodable(values: tuple[object, ...]) -> bool:
    """Whether the text of a CSV record was UTF-8."""
    try:
        "".join(values).encode()  # type: ignore[arg-type]
    except UnicodeEncodeError:
        return False
    return True
