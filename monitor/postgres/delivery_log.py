"""What was told of incidents, to whom, and how the channels do: for those who read it. Written by the outbox."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from monitor.alerting.notice import Kind
from monitor.postgres.database import Connection

DeliveryState: TypeAlias = Literal["waiting", "told", "dead", "dropped"]
ChannelState: TypeAlias = Literal["open", "closed", "refused"]
CHANNEL_STATES: Final[tuple[ChannelState, ...]] = ("open", "closed", "refused")


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident. `firing`: alerts that were told and have not resolved; `channels` are told of it."""

    key: str
    rule: str
    title: str
    channels: Sequence[str]
    firing: int
    opened_at: datetime | None
    closed_at: datetime | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One notice on its way to one channel. `at` is of the clock, the other instants are of the wall.

    `under_way`: somebody is sending it now. `error`: of the last attempt, or what of the notice was left out.
    """

    incident: str
    ord: int
    kind: Kind
    at: datetime
    queued_at: datetime
    channel: str
    state: DeliveryState
    under_way: bool
    attempts: int
    due_at: datetime
    settled_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """How a channel does. Instants and ages are of the wall; `failures` of attempts in a row.

    `oldest_seconds`: for how long the oldest notice that waits could have been told; None where none waits.
    """

    name: str
    state: ChannelState
    failures: int
    closed_until: datetime | None
    refused_at: datetime | None
    told_at: datetime | None
    beat_at: datetime | None
    error: str | None
    waiting: int
    told: int
    dead: int
    dropped: int
    oldest_seconds: float | None


INCIDENTS: Final = """
SELECT key, rule, title, channels, firing, opened_at, closed_at, changed_at FROM incident AS i
WHERE rule = %(rule)s AND NOT EXISTS (
    SELECT FROM jsonb_array_elements(grouping) AS g
    WHERE (%(labels)s::jsonb ->> (g ->> 0)) IS DISTINCT FROM (g ->> 1)
)
ORDER BY firing > 0 DESC, changed_at DESC, key LIMIT %(limit)s
"""
DELIVERIES: Final = """
SELECT d.incident, d.ord, n.kind, n.at, n.queued_at, d.channel, d.state,
    d.state = 'waiting' AND d.lease_until > clock_timestamp() IS TRUE AS under_way, d.attempts, d.due_at, d.settled_at,
    d.error
FROM notice AS n JOIN delivery AS d ON d.notice = n.id WHERE n.incident = ANY(%(incidents)s)
ORDER BY n.id DESC, d.channel LIMIT %(limit)s
"""
CHANNELS: Final = """
WITH delivered AS (
    SELECT channel, count(*) FILTER (WHERE state = 'waiting') AS waiting,
        count(*) FILTER (WHERE state = 'told') AS told, count(*) FILTER (WHERE state = 'dead') AS dead,
        count(*) FILTER (WHERE state = 'dropped') AS dropped
    FROM delivery GROUP BY channel
), named AS (
    SELECT unnest(%(named)s::text[]) AS name UNION SELECT name FROM channel UNION SELECT channel FROM delivered
), oldest AS (
    SELECT d.channel, greatest(0, extract(epoch FROM clock_timestamp()
        - min(CASE WHEN d.attempts = 0 THEN d.due_at ELSE n.queued_at END)))::float8 AS seconds
    FROM delivery AS d JOIN notice AS n ON n.id = d.notice WHERE d.state = 'waiting' GROUP BY d.channel
)
SELECT k.name, CASE WHEN c.refused_at IS NOT NULL THEN 'refused'
        WHEN c.closed_until > clock_timestamp() THEN 'closed' ELSE 'open' END AS state,
    coalesce(c.failures, 0) AS failures, c.closed_until, c.refused_at, c.told_at, c.beat_at, c.error,
    coalesce(d.waiting, 0) AS waiting, coalesce(d.told, 0) AS told, coalesce(d.dead, 0) AS dead,
    coalesce(d.dropped, 0) AS dropped, o.seconds AS oldest_seconds
FROM named AS k LEFT JOIN channel AS c ON c.name = k.name LEFT JOIN delivered AS d ON d.channel = k.name
    LEFT JOIN oldest AS o ON o.channel = k.name
ORDER BY 1
"""


def incidents(connection: Connection, rule: str, labels: Mapping[str, str], *, limit: int = 20) -> list[IncidentRow]:
    """The incidents that an alert of the rule is told in: those whose group has the alert's own values.

    `labels` are the alert's values of what alerts may be grouped by. Open ones first.
    """
    given = {"rule": rule, "labels": Jsonb(dict(labels)), "limit": limit}
    with connection.cursor(row_factory=class_row(IncidentRow)) as cursor:
        return cursor.execute(INCIDENTS.encode(), given).fetchall()


def deliveries(connection: Connection, keys: Sequence[str], *, limit: int) -> list[DeliveryRow]:
    """What was told of these incidents, or waits to be, newest first."""
    with connection.cursor(row_factory=class_row(DeliveryRow)) as cursor:
        return cursor.execute(DELIVERIES, {"incidents": list(keys), "limit": limit}).fetchall()


def channels(connection: Connection, named: Iterable[str] = ()) -> list[ChannelRow]:
    """Every channel to which anything ever was to be told, and those that are `named`, by name."""
    with connection.cursor(row_factory=class_row(ChannelRow)) as cursor:
        return cursor.execute(CHANNELS.encode(), {"named": list(named)}).fetchall()


def open_incidents(connection: Connection) -> dict[str, int]:
    """How many incidents are open, by rule."""
    rows = connection.execute("SELECT rule, count(*) FROM incident WHERE firing > 0 GROUP BY rule ORDER BY rule")
    return {str(rule): int(n) for rule, n in rows.fetchall()}
