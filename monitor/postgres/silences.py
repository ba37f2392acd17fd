"""Silences: made, listed, ended; never deleted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from monitor.alerting.hushing import Silence
from monitor.alerting.routes import Match
from monitor.errors import BadInput
from monitor.postgres.audit import note
from monitor.postgres.database import Connection

LISTED: Final = """
SELECT id, match, starts_at, ends_at, reason, made_by, made_at, expired_at, expired_by FROM silence
WHERE %(all)s OR (ends_at > %(now)s AND (expired_at IS NULL OR expired_at > %(now)s)) ORDER BY id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """A silence as it was made; `match` as in `mute_times` of a rule file."""

    id: int
    match: Mapping[str, Any]
    starts_at: datetime
    ends_at: datetime
    reason: str
    made_by: str
    made_at: datetime
    expired_at: datetime | None
    expired_by: str | None

    def is_active(self, now: datetime) -> bool:
        """Whether it holds at an instant of the service's clock."""
        return self.starts_at <= now < self.ends_at and self.expired_at is None


def silences(connection: Connection, now: datetime, *, past: bool = False, limit: int = 1_000) -> list[SilenceRow]:
    """Silences that hold or are to come, newest first; with `past` the others too."""
    with connection.cursor(row_factory=class_row(SilenceRow)) as cursor:
        return cursor.execute(LISTED, {"now": now, "all": past, "limit": limit}).fetchall()


def active(connection: Connection, now: datetime) -> tuple[Silence, ...]:
    """The silences that hold now."""
    return tuple(
        Silence(row.id, Match.model_validate(row.match), row.starts_at, row.ends_at)
        for row in silences(connection, now)
        if row.is_active(now)
    )


def add_silence(
    connection: Connection, match: Match, starts_at: datetime, ends_at: datetime, *, reason: str, by: str, now: datetime
) -> int:
    """Make a silence and note who did; returns its number. Raises BadInput for an end that is not after the start."""
    if ends_at <= starts_at:
        raise BadInput(f"a silence must end after it starts, at {starts_at.isoformat()}, got {ends_at.isoformat()}")
    given = match.model_dump(mode="json", exclude_none=True)
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO silence (match, starts_at, ends_at, reason, made_by, made_at)"
            " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
            (Jsonb(given), starts_at, ends_at, reason, by, now),
        ).fetchone()
        if row is None:
            raise BadInput("the silence was not stored")
        made = int(row[0])
        note(connection, by, "silence add", {"silence": made, "match": given, "reason": reason})
    return made


def expire_silence(connection: Connection, silence: int, *, by: str, now: datetime) -> None:
    """End a silence at once. Raises BadInput where there is none of that number, or it is over."""
    with connection.transaction():
        done = connection.execute(
            "UPDATE silence SET expired_at = %s, expired_by = %s WHERE id = %s AND expired_at IS NULL AND ends_at > %s",
            (now, by, silence, now),
        ).rowcount
        if not done:
            raise BadInput(f"there is no silence {silence} that holds or is to come: see `caldrift silence list`")
        note(connection, by, "silence expire", {"silence": silence})
