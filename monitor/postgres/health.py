"""What `caldrift doctor` asks the database about itself."""

from datetime import datetime

from monitor.postgres.database import Connection


def default_isolation(connection: Connection) -> str:
    """The isolation level of transactions that name none, as this user finds it in this database."""
    row = connection.execute(
        "SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_isolation'"
    ).fetchone()
    return str(row[0]) if row else "unknown"


def wall_clock(connection: Connection) -> datetime:
    """The wall time of the database's machine."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    if row is None:
        raise AssertionError("a SELECT without FROM has one row")
    now: datetime = row[0]
    return now


def numeric_dimensions(connection: Connection, sample_rows: int) -> list[str]:
    """Names of the numeric values under `segments`, as far as some stored predictions show them."""
    rows = connection.execute(
        "SELECT DISTINCT key FROM (SELECT numbers FROM pair WHERE numbers IS NOT NULL LIMIT %s) AS sample,"
        " jsonb_object_keys(sample.numbers) AS key ORDER BY key",
        (sample_rows,),
    ).fetchall()
    return [str(key) for (key,) in rows]
