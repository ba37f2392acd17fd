"""Rows of a Parquet file, through DuckDB."""

import re
from collections.abc import Iterator
from typing import Final

import duckdb

from monitor.errors import BadInput
from monitor.files.formats import Source
from monitor.files.rows import CHUNK, Records, Told

_SINGLE: Final = re.compile(r"\bFLOAT\b")
_INSTANT: Final = "TIMESTAMP WITH TIME ZONE"


def parquet_records(file: Source, told: Told) -> Iterator[Records]:
    """The rows in their order, in runs of at most 20,000. Raises BadInput when the file is no Parquet."""
    with duckdb.connect(":memory:") as database:
        try:
            database.execute("SET threads = 2; SET TimeZone = 'UTC'")
            name = str(file.path)
            described = database.execute("SELECT * FROM read_parquet($1) LIMIT 0", [name]).description or []
            chosen = ", ".join(_column(column, str(kind)) for column, kind, *_ in described)
            counted = database.execute("SELECT count(*) FROM read_parquet($1)", [name]).fetchone()
            total = int(counted[0]) if counted else 0
            result = database.execute(f"SELECT {chosen} FROM read_parquet($1)", [name])
            columns = tuple(column for column, *_ in described)
            row, size = 1, file.size
            while values := result.fetchmany(CHUNK):
                told(size * len(values) // max(total, 1))
                yield Records(columns, list(range(row, row + len(values))), values, [])
                row += len(values)
        except duckdb.Error as failure:
            raise BadInput(f"{file.path}: cannot be read as Parquet: {_first_line(failure)}", "usage") from None


def _column(name: str, kind: str) -> str:
    """What to select: a 4-byte 0.9 as 0.9, not as the 0.8999999761581421 beside it; instants as their time in UTC."""
    quoted = f'"{name.replace(chr(34), chr(34) * 2)}"'
    read = quoted
    if _SINGLE.search(kind):
        read = f"CAST(CAST({read} AS {_SINGLE.sub('VARCHAR', kind)}) AS {_SINGLE.sub('DOUBLE', kind)})"
    if _INSTANT in kind:
        plain = _SINGLE.sub("DOUBLE", kind).replace(_INSTANT, "TIMESTAMP")
        read = f"CAST({read} AS {plain})"
    return read if read == quoted else f"{read} AS {quoted}"


def _first_line(failure: duckdb.Error) -> str:
    return str(failure).split("\n", 1)[0]
