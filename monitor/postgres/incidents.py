"""Incidents, and the notices of them that wait to be told: written together with what they tell of."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from psycopg.types.json import Jsonb

from monitor.alerting import incident, notice, recalibrations
from monitor.alerting.force import Force
from monitor.alerting.incident import Announcing, Incident
from monitor.alerting.notice import Change, Notice
from monitor.alerting.telling import Telling, Told
from monitor.postgres.database import Connection

READ: Final = "SELECT key, rule, grouping::text, channels, state::text FROM incident WHERE {} ORDER BY key FOR UPDATE"
OPEN: Final = READ.format("firing > 0")
NAMED: Final = READ.format("key = ANY(%s)")
WRITE: Final = """
INSERT INTO incident (key, rule, title, grouping, channels, state, firing, opened_at, closed_at, changed_at)
VALUES (%(key)s, %(rule)s, %(title)s, %(grouping)s, %(channels)s, %(state)s, %(firing)s,
    CASE WHEN %(firing)s > 0 THEN %(now)s::timestamptz END, CASE WHEN %(firing)s = 0 THEN %(now)s::timestamptz END,
    %(now)s)
ON CONFLICT (key) DO UPDATE SET title = EXCLUDED.title, channels = EXCLUDED.channels, state = EXCLUDED.state,
    firing = EXCLUDED.firing, changed_at = EXCLUDED.changed_at,
    opened_at = CASE WHEN incident.firing = 0 AND EXCLUDED.firing > 0 THEN %(now)s ELSE incident.opened_at END,
    closed_at = CASE WHEN EXCLUDED.firing > 0 THEN NULL ELSE coalesce(incident.closed_at, %(now)s) END
"""
LAST: Final = "SELECT max(queued_at) FROM notice WHERE incident = %s"
QUEUE: Final = """
WITH queued AS (
    INSERT INTO notice (incident, ord, kind, at, queued_at, body) VALUES (%(key)s, %(ord)s, %(kind)s, %(at)s,
        clock_timestamp(), %(body)s)
    RETURNING id, queued_at
)
INSERT INTO delivery (notice, channel, incident, ord, due_at)
SELECT queued.id, c.name, %(key)s, %(ord)s, greatest(queued.queued_at + %(wait)s, %(not_before)s::timestamptz)
FROM queued, unnest(%(channels)s::text[]) AS c (name)
"""
ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
NOTHING: Final = timedelta(0)


def read_open_incidents(connection: Connection) -> list[Told]:
    """Every incident that is open, locked until the transaction ends."""
    return _incidents(connection, OPEN, ())


def read_incidents(connection: Connection, keys: Sequence[str]) -> dict[str, Told]:
    """Those of these incidents that ever were, locked until the transaction ends."""
    return {told.incident.key: told for told in _incidents(connection, NAMED, (list(keys),))}


def write_tellings(
    connection: Connection, tellings: Iterable[Telling], force: Force, now: datetime, rate: float = 1.0
) -> int:
    """Store incidents after a round and queue their notices for the channels; returns how many were queued.

    What a route waits for it waits by the service's clock, which runs `rate` times as fast as the wall's.
    """
    queued = 0
    for telling in tellings:
        _write(connection, telling, now)
        channels = [name for name in telling.channels if _takes(force, name, telling)]
        if telling.notice is None or telling.kind is None:
            continue
        queued += 1
        wait, not_before = _due(connection, telling.told, telling.kind, force, rate)
        _queue(connection, telling.told.incident, telling.notice, channels, wait=wait, not_before=not_before)
    return queued


def write_change(connection: Connection, force: Force, change: Change, now: datetime) -> int:
    """Queue the notice of a change of maps, in the caller's transaction; returns for how many channels.

    It is due at once, and no silence holds it back. News of one signal are told in the order in which they were
    queued, whoever queues them.
    """
    said = recalibrations.notice_of(change, force, now)
    channels = [name for name in recalibrations.told_to(force) if recalibrations.takes(force, name, change)]
    if not channels:
        return 0
    with connection.transaction():
        key = said.incident.key
        connection.execute(ONE_AT_A_TIME, (f"incident {key}",))
        before = read_incidents(connection, [key]).get(key)
        order = 1 + (before.incident.order if before else 0)
        kept = Told(
            incident=Incident(key=key, order=order),
            rule=recalibrations.RULE,
            group=said.group,
            channels=tuple(channels),
        )
        _write(connection, Telling(kept, said), now)
        _queue(connection, kept.incident, said, channels)
    return len(channels)


def _queue(
    connection: Connection,
    of: Incident,
    said: Notice,
    channels: Sequence[str],
    *,
    wait: timedelta = NOTHING,
    not_before: datetime | None = None,
) -> None:
    connection.execute(
        QUEUE,
        {
            "key": of.key,
            "ord": of.order,
            "kind": said.kind,
            "at": said.at,
            "body": Jsonb(said, dumps=notice.encode),
            "channels": list(channels),
            "wait": wait,
            "not_before": not_before,
        },
    )


def _write(connection: Connection, telling: Telling, now: datetime) -> None:
    told = telling.told
    title = telling.notice.incident.title if telling.notice else ", ".join(value for _, value in told.group if value)
    connection.execute(
        WRITE,
        {
            "key": told.incident.key,
            "rule": told.rule,
            "title": title,
            "grouping": Jsonb([list(pair) for pair in told.group]),
            "channels": list(told.channels),
            "state": Jsonb(told.incident, dumps=incident.encoded),
            "firing": len(told.incident.firing),
            "now": now,
        },
    )


def _takes(force: Force, channel: str, telling: Telling) -> bool:
    """Whether a channel is told this: one that is gone is not, and PagerDuty reminds people by itself."""
    found = force.file.channels.get(channel)
    return found is not None and not (found.kind == "pagerduty" and telling.kind == "reminder")


def _due(
    connection: Connection, told: Told, kind: Announcing, force: Force, rate: float
) -> tuple[timedelta, datetime | None]:
    """How long a notice waits after it is queued, and until when at least: wall time."""
    route = force.route(told.rule)
    if route is None or kind == "closed":
        return NOTHING, None
    if kind == "opened":
        return route.group_wait / rate, None
    row = connection.execute(LAST, (told.incident.key,)).fetchone()
    last: datetime | None = row[0] if row else None
    return NOTHING, None if last is None else last + route.group_interval / rate


def _incidents(connection: Connection, query: str, given: Sequence[object]) -> list[Told]:
    return [
        Told(
            incident=incident.decoded(str(state)),
            rule=rule,
            group=tuple((name, value) for name, value in msgspec.json.decode(str(grouping))),
            channels=tuple(channels),
        )
        for _, rule, grouping, channels, state in connection.execute(query.encode(), given).fetchall()
    ]
