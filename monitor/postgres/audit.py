"""What people changed: only ever added to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from monitor.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: wall time, who, what, and what exactly."""

    id: int
    at: datetime
    by: str
    did: str
    detail: Mapping[str, object]


def trail(connection: Connection, limit: int, before: int | None = None) -> list[Entry]:
    """The newest entries first, of those with a number below `before`."""
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(
            "SELECT * FROM audit WHERE id < coalesce(%s, 9223372036854775807) ORDER BY id DESC LIMIT %s",
            (before, limit),
        ).fetchall()


def note(connection: Connection, by: str, did: str, detail: Mapping[str, object]) -> None:
    """Write down who did what, in the transaction that does it."""
    connection.execute('INSERT INTO audit ("by", did, detail) VALUES (%s, %s, %s)', (by, did, Jsonb(dict(detail))))
