"""The outbox: what waits to be told, leased to whoever tells it, and what became of it. All times are the wall's.

A lease is a promise with an end: it lasts longer than an attempt may take, and whoever dies in the middle leaves it to
the next one, who tells the same notices with the same idempotency key. So each notice is told at least once, and the
notices of one incident reach a channel in their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np
import psycopg

from monitor.postgres.arrays import Int8Array, TextArray
from monitor.postgres.database import Connection

State: TypeAlias = Literal["waiting", "told", "dead", "dropped"]

FAILURES_IN_A_ROW: Final = 5
"""After so many a channel is closed, and tried once at a time."""
_CANDIDATES: Final = 8
"""Incidents to look at in one go: others may take the first ones meanwhile."""

DUE: Final = """
SELECT d.incident FROM delivery AS d
WHERE d.channel = %(channel)s AND d.state = 'waiting' AND d.due_at <= statement_timestamp()
AND NOT EXISTS (
    SELECT FROM delivery AS o WHERE o.channel = d.channel AND o.incident = d.incident AND o.state = 'waiting'
    AND (o.lease_until > statement_timestamp() OR (o.attempts > 0 AND o.due_at > statement_timestamp())))
ORDER BY d.due_at LIMIT %(limit)s
"""
"""Incidents of which something is due, none is under way, and none waits for another attempt."""
WAITING: Final = """
SELECT d.notice, d.ord, d.batch, d.attempts, n.body::text
FROM delivery AS d JOIN notice AS n ON n.id = d.notice
WHERE d.channel = %(channel)s AND d.incident = %(incident)s AND d.state = 'waiting' ORDER BY d.ord
FOR UPDATE OF d
"""
TAKEN: Final = """
SELECT FROM delivery WHERE channel = %(channel)s AND incident = %(incident)s AND state = 'waiting'
AND (lease_until > statement_timestamp() OR (attempts > 0 AND due_at > statement_timestamp())) LIMIT 1
"""
_LEASE: Final = """
UPDATE delivery SET batch = %(key)s, lease_until = statement_timestamp() + %(lease)s, attempts = attempts + 1,
    due_at = least(due_at, statement_timestamp())
WHERE channel = %(channel)s AND notice = ANY (%(notices)s)
RETURNING lease_until
"""
_TOLD: Final = """
UPDATE delivery SET state = 'told', settled_at = statement_timestamp(), lease_until = NULL, error = %(error)s
WHERE channel = %(channel)s AND notice = ANY (%(notices)s) AND state = 'waiting'
"""
_PUT_OFF: Final = """
UPDATE delivery SET batch = NULL, lease_until = NULL, due_at = statement_timestamp() + %(wait)s, error = %(error)s
WHERE channel = %(channel)s AND notice = ANY (%(notices)s) AND state = 'waiting' AND batch = %(key)s
    AND lease_until = %(lease_until)s
"""
_DEAD: Final = """
UPDATE delivery SET state = 'dead', settled_at = statement_timestamp(), lease_until = NULL, error = %(error)s
WHERE channel = %(channel)s AND notice = ANY (%(notices)s) AND state = 'waiting' AND batch = %(key)s
    AND lease_until = %(lease_until)s
"""
_RAISE: Final = """
INSERT INTO delivery (notice, channel, incident, ord, due_at)
SELECT n.id, c.name, n.incident, n.ord, statement_timestamp()
FROM notice AS n CROSS JOIN unnest(%(channels)s::text[]) AS c (name) WHERE n.id = ANY (%(notices)s)
ON CONFLICT DO NOTHING
"""
_LAST: Final = """
CROSS JOIN LATERAL (
    SELECT n.body::text FROM notice AS n JOIN delivery AS d ON d.notice = n.id AND d.channel = %(channel)s
    WHERE n.incident = i.key AND d.state = 'told' ORDER BY n.ord DESC LIMIT 1) AS l (body)
"""
STANDING: Final = f"SELECT i.key, l.body FROM incident AS i {_LAST} WHERE i.firing > 0"
LAST_TOLD: Final = f"SELECT l.body FROM unnest(%(incidents)s::text[]) AS i (key) {_LAST}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Notices of one incident that are told together: `notices` their numbers and `bodies` their JSON, in order.

    `key` tells repeats of this very attempt apart from other news; `attempts` counts this one; `reference` is what the
    receiver calls the incident, if it does.
    """

    channel: str
    incident: str
    key: str
    notices: tuple[int, ...]
    bodies: tuple[str, ...]
    attempts: int
    lease_until: datetime
    reference: str | None


@dataclass(frozen=True, slots=True)
class Health:
    """How a channel does. `is_open`: whether it may be tried now; `refuses`: it refused all notices the last time;
    `failures` in a row; `beat_seconds` since it took a sign of life, None if it never did; `error` of the last try."""

    is_open: bool = True
    refuses: bool = False
    failures: int = 0
    beat_seconds: float | None = None
    error: str | None = None

    @property
    def is_on_trial(self) -> bool:
        """Whether the next attempt is a trial, of which there is one at a time."""
        return self.refuses or self.failures >= FAILURES_IN_A_ROW


def health(connection: Connection, channel: str) -> Health:
    """How the channel does; one that was never tried is open."""
    row = connection.execute(
        "SELECT closed_until IS NULL OR closed_until <= statement_timestamp(), refused_at IS NOT NULL, failures,"
        " extract(epoch FROM statement_timestamp() - beat_at)::float8, error FROM channel WHERE name = %s",
        (channel,),
    ).fetchone()
    return Health(*row) if row else Health()


def lease(connection: Connection, channel: str, length: timedelta, *, on_trial: bool = False) -> Batch | None:
    """Take what is to be told to the channel next: all that waits of one incident, or None while nothing is due.

    What was under way when somebody died comes first, and as it was: what was queued later waits for its end. On trial
    the channel is closed meanwhile to everybody else; None where another was faster.
    """
    parameters = {"channel": channel, "limit": _CANDIDATES}
    with connection.transaction():
        candidates = dict.fromkeys(row[0] for row in connection.execute(DUE, parameters))
        for incident in candidates:
            found = _leased(connection, channel, incident, length)
            if found is None:
                continue
            if on_trial and not _is_our_trial(connection, channel, length):
                raise psycopg.Rollback
            return found
    return None


def _is_our_trial(connection: Connection, channel: str, length: timedelta) -> bool:
    cursor = connection.execute(
        "UPDATE channel SET closed_until = statement_timestamp() + %s"
        " WHERE name = %s AND (closed_until IS NULL OR closed_until <= statement_timestamp())",
        (length, channel),
    )
    return cursor.rowcount == 1


def _leased(connection: Connection, channel: str, incident: str, length: timedelta) -> Batch | None:
    of = {"channel": channel, "incident": incident}
    if not _is_ours(connection, channel, incident) or connection.execute(TAKEN, of).fetchone() is not None:
        return None
    rows = connection.execute(WAITING, of).fetchall()
    under_way = [row for row in rows if row[2] is not None]
    rows = under_way or rows
    if not rows:
        return None
    key = rows[0][2] or batch_key(channel, incident, rows[-1][1])
    notices = tuple(int(row[0]) for row in rows)
    parameters = {"key": key, "lease": length, "channel": channel, "notices": _array(notices)}
    lease_until: datetime = connection.execute(_LEASE, parameters).fetchall()[0][0]
    reference = connection.execute(
        "SELECT reference FROM thread WHERE channel = %(channel)s AND incident = %(incident)s", of
    ).fetchone()
    return Batch(
        channel=channel,
        incident=incident,
        key=key,
        notices=notices,
        bodies=tuple(row[4] for row in rows),
        attempts=1 + max(int(row[3]) for row in rows),
        lease_until=lease_until,
        reference=str(reference[0]) if reference else None,
    )


def _is_ours(connection: Connection, channel: str, incident: str) -> bool:
    """Whether no other process is leasing the same incident for the channel; until the end of this transaction."""
    row = connection.execute(
        "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", (f"delivery {channel} {incident}",)
    ).fetchone()
    return bool(row and row[0])


def batch_key(channel: str, incident: str, order: int) -> str:
    """The idempotency key of what is told up to the incident's notice of that order; 64 hexadecimal digits."""
    return sha256(msgspec.json.encode([channel, incident, order])).hexdigest()


def mark_told(connection: Connection, batch: Batch, reference: str | None, flaw: str | None) -> None:
    """The receiver took it; `reference` None forgets what it called the incident, `flaw` says what was left out.

    Holds also where the lease has ended: it is told, whoever tells it again.
    """
    with connection.transaction():
        marked = connection.execute(_TOLD, {**_of(batch), "error": flaw})
        if not marked.rowcount:
            return
        connection.execute(
            """
            INSERT INTO channel (name, told_at) VALUES (%s, statement_timestamp())
            ON CONFLICT (name) DO UPDATE SET failures = 0, closed_until = NULL, refused_at = NULL, error = NULL,
                told_at = EXCLUDED.told_at
            """,
            (batch.channel,),
        )
        if reference is None:
            connection.execute(
                "DELETE FROM thread WHERE channel = %s AND incident = %s", (batch.channel, batch.incident)
            )
        else:
            connection.execute(
                "INSERT INTO thread (channel, incident, reference) VALUES (%s, %s, %s)"
                " ON CONFLICT (channel, incident) DO UPDATE SET reference = EXCLUDED.reference",
                (batch.channel, batch.incident, reference),
            )


def put_off(connection: Connection, batch: Batch, wait: timedelta, closed_for: timedelta | None, reason: str) -> None:
    """Not told: the next attempt is after `wait`, together with what comes until then.

    The channel counts a failure. It is closed for `closed_for`, or for `wait` once too many have failed in a row.
    """
    with connection.transaction():
        marked = connection.execute(_PUT_OFF, {**_of(batch), "wait": wait, "error": reason})
        if not marked.rowcount:
            return
        connection.execute(
            """
            INSERT INTO channel (name, failures, closed_until, error)
            VALUES (%(name)s, 1, statement_timestamp() + %(closed_for)s::interval, %(reason)s)
            ON CONFLICT (name) DO UPDATE SET failures = channel.failures + 1, refused_at = NULL, error = EXCLUDED.error,
                closed_until = coalesce(EXCLUDED.closed_until,
                    CASE WHEN channel.failures + 1 >= %(most)s THEN statement_timestamp() + %(wait)s END)
            """,
            {
                "name": batch.channel,
                "closed_for": closed_for,
                "wait": wait,
                "most": FAILURES_IN_A_ROW,
                "reason": reason,
            },
        )


def mark_dead(connection: Connection, batch: Batch, fallback: Sequence[str], reason: str) -> None:
    """It will never be told in this form, though the channel is well: raise it on the channels of the fallback route,
    but for those that know of it."""
    with connection.transaction():
        if _given_up(connection, batch, fallback, reason):
            connection.execute(
                "INSERT INTO channel (name) VALUES (%s)"
                " ON CONFLICT (name) DO UPDATE SET failures = 0, closed_until = NULL, refused_at = NULL, error = NULL",
                (batch.channel,),
            )


def mark_refused(
    connection: Connection, batch: Batch, fallback: Sequence[str], reason: str, next_trial: timedelta | None
) -> None:
    """As `mark_dead`; and the channel refuses everything from now on. The next trial is after `next_trial`; None:
    this was none, and nothing is new about the channel."""
    with connection.transaction():
        if _given_up(connection, batch, fallback, reason) and next_trial is not None:
            connection.execute(
                """
                INSERT INTO channel (name, refused_at, closed_until, error)
                VALUES (%s, statement_timestamp(), statement_timestamp() + %s, %s)
                ON CONFLICT (name) DO UPDATE SET refused_at = coalesce(channel.refused_at, EXCLUDED.refused_at),
                    closed_until = EXCLUDED.closed_until, failures = 0, error = EXCLUDED.error
                """,
                (batch.channel, next_trial, reason),
            )


def _given_up(connection: Connection, batch: Batch, fallback: Sequence[str], reason: str) -> bool:
    marked = connection.execute(_DEAD, {**_of(batch), "error": reason})
    if not marked.rowcount:
        return False
    connection.execute(_RAISE, {"channels": TextArray(list(fallback)), "notices": _array(batch.notices)})
    return True


def _of(batch: Batch) -> dict[str, object]:
    return {
        "channel": batch.channel,
        "notices": _array(batch.notices),
        "key": batch.key,
        "lease_until": batch.lease_until,
    }


def _array(numbers: Sequence[int]) -> Int8Array:
    return Int8Array(np.array(numbers, np.int64))


def forgive(connection: Connection, channels: Sequence[str]) -> None:
    """Try channels again that refused everything or were closed, as after a new token."""
    connection.execute(
        "UPDATE channel SET refused_at = NULL, closed_until = NULL, failures = 0 WHERE name = ANY (%s)",
        (TextArray(list(channels)),),
    )


def note_beat(connection: Connection, channel: str) -> None:
    """The channel took a sign of life."""
    connection.execute(
        "INSERT INTO channel (name, beat_at) VALUES (%s, statement_timestamp())"
        " ON CONFLICT (name) DO UPDATE SET beat_at = EXCLUDED.beat_at",
        (channel,),
    )


def due_channels(connection: Connection) -> list[str]:
    """Names of the channels for which something is due, whether or not there still is such a channel."""
    rows = connection.execute(
        "SELECT DISTINCT channel FROM delivery WHERE state = 'waiting' AND due_at <= statement_timestamp() ORDER BY 1"
    )
    return [str(name) for (name,) in rows]


def standing(connection: Connection, channel: str) -> dict[str, str]:
    """The last notice that the channel was told of each incident that is open, as JSON, by the incident's key."""
    return {str(key): str(body) for key, body in connection.execute(STANDING, {"channel": channel})}


def last_told(connection: Connection, channel: str, incidents: Sequence[str]) -> list[str]:
    """The last notice that the channel was told of each of these incidents, as JSON."""
    parameters = {"channel": channel, "incidents": TextArray(list(incidents))}
    return [str(body) for (body,) in connection.execute(LAST_TOLD, parameters)]
