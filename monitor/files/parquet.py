"""Rows of a Parquet file, through DuckDB."""

from collections.abc import Iterator

import duckdb

from monitor.errors import BadInput
from monitor.files.formats import Source
from monitor.files.rows import CHUNK, Records, Told


def parquet_records(file: Source, told: Told) -> Iterator[Records]:
    """The rows in their order, in runs of at most 20,000. Raises BadInput when the file is no Parquet."""
    with duckdb.connect(":memory:") as database:
        try:
            database.execute("SET threads = 2")
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
    quoted = f'"{name.replace(chr(34), chr(34) * 2)}"'
    match kind:
        case "FLOAT":  # a 4-byte 0.9 is read as 0.9, not as the 0.8999999761581421 beside it
            return f"CAST(CAST({quoted} AS VARCHAR) AS DOUBLE) AS {quoted}"
        case "TIMESTAMP WITH TIME ZONE":  # an instant, given as its time in UTC
            return f"make_timestamp(epoch_us({quoted})) AS {quoted}"
        case _:
            return quoted


def _first_line(failure: duckdb.Error) -> str:
    return str(failure).split("\n", 1)[0]
