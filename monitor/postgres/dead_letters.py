"""Messages that could not be used: written in the batch's transaction, listed, counted, taken out for a replay."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from monitor.postgres.arrays import ByteaArray, Int4Array, Int8Array, TextArray
from monitor.postgres.database import Connection

MESSAGE_LENGTH = 1000
"""Characters of a message that are kept; a broken megabyte must not be quoted in full."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message as it came, and why it could not be used. `received_at` is clock time."""

    topic: str
    part: int
    kafka_offset: int
    reason: str
    message: str
    key: bytes | None
    value: bytes | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter with the number under which it is stored; numbers grow with time."""

    id: int
    letter: DeadLetter


def insert(connection: Connection, letters: Sequence[DeadLetter]) -> int:
    """Store dead letters, of the cluster that the offsets belong to. Returns how many are new.

    One that is already there (same cluster, topic, partition and offset) stays as it is.
    """
    if not letters:
        return 0
    cursor = connection.execute(
        """
        INSERT INTO dead_letter (topic, part, kafka_offset, reason, message, key, value, received_at, cluster_id)
        SELECT n.*, coalesce(
            (SELECT max(o.cluster_id) FROM kafka_offset AS o WHERE o.topic = n.topic AND o.part = n.part), '')
        FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s::timestamptz[])
            AS n (topic, part, kafka_offset, reason, message, key, value, received_at)
        ON CONFLICT (cluster_id, topic, part, kafka_offset) DO NOTHING
        """,
        (
            TextArray([letter.topic for letter in letters]),
            Int4Array(np.array([letter.part for letter in letters], np.int32)),
            Int8Array(np.array([letter.kafka_offset for letter in letters], np.int64)),
            TextArray([letter.reason for letter in letters]),
            TextArray([_storable(letter.message) for letter in letters]),
            ByteaArray([letter.key for letter in letters]),
            ByteaArray([letter.value for letter in letters]),
            [letter.received_at for letter in letters],
        ),
    )
    return cursor.rowcount


def read(
    connection: Connection,
    *,
    reason: str | None = None,
    topic: str | None = None,
    after: int = 0,
    limit: int = 100,
    newest_first: bool = False,
) -> list[StoredDeadLetter]:
    """Dead letters in order of their numbers, only those above `after`, at most `limit`."""
    order = "DESC" if newest_first else "ASC"
    rows = connection.execute(
        f"""
        SELECT id, topic, part, kafka_offset, reason, message, key, value, received_at FROM dead_letter
        WHERE id > %(after)s AND (%(reason)s::text IS NULL OR reason = %(reason)s)
        AND (%(topic)s::text IS NULL OR topic = %(topic)s)
        ORDER BY id {order} LIMIT %(limit)s
        """.encode(),
        {"after": after, "reason": reason, "topic": topic, "limit": limit},
    ).fetchall()
    return [StoredDeadLetter(int(row[0]), DeadLetter(*row[1:])) for row in rows]


def bad_offsets(connection: Connection, topic: str, part: int, first: int, following: int) -> list[int]:
    """Offsets of a partition, `first` included and `following` excluded, whose messages were no events; not those that
    came too late to be stored."""
    rows = connection.execute(
        "SELECT kafka_offset FROM dead_letter WHERE topic = %s AND part = %s"
        " AND kafka_offset >= %s AND kafka_offset < %s AND reason NOT IN ('expired', 'id_out_of_range')",
        (topic, part, first, following),
    ).fetchall()
    return [int(row[0]) for row in rows]


def counts(connection: Connection) -> dict[str, int]:
    """How many dead letters are stored, by reason."""
    rows = connection.execute("SELECT reason, count(*) FROM dead_letter GROUP BY reason ORDER BY reason").fetchall()
    return {str(reason): int(n) for reason, n in rows}


def delete(connection: Connection, ids: Sequence[int]) -> int:
    """Remove dead letters, say after they were published again. Returns how many there were."""
    cursor = connection.execute("DELETE FROM dead_letter WHERE id = ANY (%s)", (Int8Array(np.array(ids, np.int64)),))
    return cursor.rowcount


def _storable(message: str) -> str:
    """Text as Postgres takes it: no NUL character, no lone surrogate, not endless."""
    return message[:MESSAGE_LENGTH].encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
