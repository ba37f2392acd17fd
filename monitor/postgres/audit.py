"""What people changed: only ever added to."""

from collections.abc import Mapping

from psycopg.types.json import Jsonb

from monitor.postgres.database import Connection


def note(connection: Connection, by: str, did: str, detail: Mapping[str, object]) -> None:
    """Write down who did what, in the transaction that does it."""
    connection.execute('INSERT INTO audit ("by", did, detail) VALUES (%s, %s, %s)', (by, did, Jsonb(dict(detail))))
