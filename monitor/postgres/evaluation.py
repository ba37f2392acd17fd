"""Deltas that wait for the leader, and the row that says how far it has come."""

from dataclasses import dataclass
from datetime import datetime

from monitor.postgres.database import Connection


def take_deltas(connection: Connection, limit: int) -> list[bytes]:
    """Take up to `limit` waiting deltas out of the table, oldest number first; with the transaction they come or stay.

    Rows are taken by what is there, never up to a highest number: one with a lower number may be committed later.
    """
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            """
            DELETE FROM statistics_delta WHERE id IN (
                SELECT id FROM statistics_delta ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
            RETURNING body
            """,
            (limit,),
        ).fetchall()
    return [bytes(body) for (body,) in rows]


def note_applied(connection: Connection, n_deltas: int, now: datetime) -> None:
    """Add to the number of deltas applied since the beginning."""
    connection.execute(
        "UPDATE evaluation SET applied_deltas = applied_deltas + %s, applied_at = %s WHERE id = 1",
        (n_deltas, now),
    )


@dataclass(frozen=True, slots=True)
class Pass:
    """One evaluation: the clock when it began, what was read for it since the one before, and its wall time."""

    began_at: datetime
    panes_read: int
    bytes_read: int
    took_seconds: float


def note_evaluated(connection: Connection, done: Pass) -> None:
    """Every window is read that had changed when the evaluation began; no delta older than that was left out."""
    connection.execute(
        "UPDATE evaluation SET evaluated_at = %s, panes_read = %s, bytes_read = %s, took_seconds = %s WHERE id = 1",
        (done.began_at, done.panes_read, done.bytes_read, done.took_seconds),
    )
