"""How the pipeline does: the clock and the leader's progress, signs of life, dead letters without their payloads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from monitor.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Progress:
    """What the leader did last and what waits for it. `now` is the service's clock."""

    now: datetime
    evaluated_at: datetime | None
    applied_at: datetime | None
    applied_deltas: int
    took_seconds: float | None
    deltas_waiting: int


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life of a process; `silent_seconds` is wall time since."""

    name: str
    instance: str
    beat_at: datetime
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class DeadLetterCount:
    """Dead letters that are kept now, by topic and reason."""

    topic: str
    reason: str
    n: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that could not be used, without its payload."""

    id: int
    topic: str
    part: int
    kafka_offset: int
    reason: str
    message: str
    size: int
    received_at: datetime


def progress(connection: Connection) -> Progress:
    """The service's clock, the last evaluation, and the deltas that wait for it."""
    statement = """
        SELECT coalesce((SELECT clock_epoch_at + (clock_timestamp() - clock_started_at) * clock_rate FROM installation),
                        clock_timestamp()) AS now,
               e.evaluated_at, e.applied_at, coalesce(e.applied_deltas, 0) AS applied_deltas, e.took_seconds,
               (SELECT count(*) FROM statistics_delta) AS deltas_waiting
        FROM (SELECT 1) one LEFT JOIN evaluation e ON true
    """
    with connection.cursor(row_factory=class_row(Progress)) as cursor:
        return cursor.execute(statement).fetchall()[0]


def beats(connection: Connection) -> list[Beat]:
    """The last sign of life of every process, by role."""
    statement = """
        SELECT name, instance, beat_at,
               greatest(0, extract(epoch FROM clock_timestamp() - beat_at))::float8 AS silent_seconds
        FROM role ORDER BY name, instance
    """
    with connection.cursor(row_factory=class_row(Beat)) as cursor:
        return cursor.execute(statement).fetchall()


def dead_letter_counts(connection: Connection) -> list[DeadLetterCount]:
    """Dead letters by topic and reason, most first."""
    statement = """
        SELECT topic, reason, count(*) AS n, max(received_at) AS last_at FROM dead_letter
        GROUP BY topic, reason ORDER BY n DESC, topic, reason
    """
    with connection.cursor(row_factory=class_row(DeadLetterCount)) as cursor:
        return cursor.execute(statement).fetchall()


def dead_letters(
    connection: Connection, *, reason: str | None = None, before: int | None = None, limit: int = 100
) -> list[DeadLetter]:
    """Dead letters without their payloads, newest first; `before` is the id to go on from."""
    statement = """
        SELECT id, topic, part, kafka_offset, reason, left(message, 500) AS message,
               coalesce(octet_length(value), 0) AS size, received_at
        FROM dead_letter
        WHERE (%(reason)s::text IS NULL OR reason = %(reason)s) AND (%(before)s::bigint IS NULL OR id < %(before)s)
        ORDER BY id DESC LIMIT %(limit)s
    """
    with connection.cursor(row_factory=class_row(DeadLetter)) as cursor:
        return cursor.execute(statement, {"reason": reason, "before": before, "limit": limit}).fetchall()
