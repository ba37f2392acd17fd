"""What is in the outbox, for people: listed, tried again, dropped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from psycopg.rows import class_row

from monitor.postgres.arrays import Int8Array
from monitor.postgres.database import Connection
from monitor.postgres.outbox import State

_CHOSEN: Final = """
(%(channel)s::text IS NULL OR d.channel = %(channel)s)
AND (%(notices)s::bigint[] IS NULL OR d.notice = ANY (%(notices)s))
"""
LISTED: Final = f"""
SELECT d.notice, d.channel, d.incident, i.rule, i.title, n.kind, n.queued_at, d.state, d.attempts, d.due_at,
    d.settled_at, d.lease_until > statement_timestamp() IS TRUE AS under_way, d.error
FROM delivery AS d JOIN notice AS n ON n.id = d.notice JOIN incident AS i ON i.key = d.incident
WHERE {_CHOSEN} AND d.state = ANY (%(states)s::text[]) ORDER BY d.notice DESC, d.channel LIMIT %(limit)s
"""
COUNTED: Final = """
SELECT (SELECT count(*) FROM delivery WHERE state = 'waiting'), (SELECT count(*) FROM delivery WHERE state = 'dead')
"""
_RETRY: Final = f"""
UPDATE delivery AS d SET state = 'waiting', due_at = statement_timestamp(), attempts = 0, batch = NULL,
    settled_at = NULL
WHERE {_CHOSEN} AND (d.state = 'dead' OR (d.state = 'waiting' AND d.batch IS NULL)) AND NOT EXISTS (
    SELECT FROM notice AS n JOIN delivery AS l ON l.notice = n.id AND l.channel = d.channel
    WHERE n.incident = d.incident AND n.ord > d.ord AND l.state = 'told')
RETURNING d.channel
"""
_DROP: Final = f"""
UPDATE delivery AS d SET state = 'dropped', settled_at = statement_timestamp(), batch = NULL, lease_until = NULL
WHERE {_CHOSEN} AND (d.state = 'dead'
    OR (d.state = 'waiting' AND (d.lease_until IS NULL OR d.lease_until <= statement_timestamp())))
RETURNING d.channel
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice on its way to one channel; `due_at`, `queued_at` and `settled_at` are wall time."""

    notice: int
    channel: str
    incident: str
    rule: str
    title: str
    kind: str
    queued_at: datetime
    state: State
    attempts: int
    due_at: datetime
    settled_at: datetime | None
    under_way: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which deliveries: of one channel, of some notices, or of all."""

    channel: str | None = None
    notices: tuple[int, ...] | None = None

    @property
    def parameters(self) -> dict[str, object]:
        """As the statements name them."""
        numbers = None if self.notices is None else Int8Array(np.array(self.notices, np.int64))
        return {"channel": self.channel, "notices": numbers}


def listed(connection: Connection, choice: Choice, states: Sequence[str], limit: int) -> list[Delivery]:
    """Deliveries in these states, those of the newest notices first."""
    with connection.cursor(row_factory=class_row(Delivery)) as cursor:
        return cursor.execute(LISTED, {**choice.parameters, "states": list(states), "limit": limit}).fetchall()


def counted(connection: Connection) -> dict[str, int]:
    """How many deliveries wait, and how many are dead."""
    waiting, dead = connection.execute(COUNTED).fetchall()[0]
    return {"waiting": int(waiting), "dead": int(dead)}


def retry(connection: Connection, choice: Choice) -> list[str]:
    """Have dead ones wait again, and those that wait be tried at once. Returns the channel of each.

    Not those after which the channel was told more of their incident: old news would contradict it.
    """
    return [str(channel) for (channel,) in connection.execute(_RETRY, choice.parameters)]


def drop(connection: Connection, choice: Choice) -> list[str]:
    """Never tell those that wait or are dead; not those that somebody is telling now. Returns the channel of each."""
    return [str(channel) for (channel,) in connection.execute(_DROP, choice.parameters)]
