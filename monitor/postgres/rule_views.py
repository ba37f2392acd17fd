"""Rules as they are in force and as they were judged, and silences: for those who read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import msgspec
from psycopg.rows import class_row

from monitor.alerting.conduct import Severity
from monitor.postgres.database import Connection

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class RuleSetRow:
    """The rule file in force. `refused_at`: since when a newer file is refused, and with what `refusal`."""

    id: int
    digest: str
    body: str
    loaded_at: datetime
    refused_at: datetime | None
    refusal: str | None


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule that was judged: on how much the last time, and of how much it could not tell or failed."""

    name: str
    severity: Severity
    mode: Literal["active", "shadow"]
    judged_at: datetime
    judged: int
    insufficient: int
    failed: int
    error: str | None


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """A silence up to `ends_at`, which does not belong to it. `match` holds patterns by name."""

    id: int
    match: Mapping[str, Sequence[str]]
    starts_at: datetime
    ends_at: datetime
    reason: str
    made_by: str
    made_at: datetime
    expired_at: datetime | None
    expired_by: str | None

    def is_in_force(self, now: datetime) -> bool:
        """Whether it silences anything at that instant."""
        ends_at = self.ends_at if self.expired_at is None else min(self.ends_at, self.expired_at)
        return self.starts_at <= now < ends_at


def rule_set(connection: Connection) -> RuleSetRow | None:
    """The rule file in force; None before the first one was loaded."""
    statement = "SELECT id, digest, body, loaded_at, refused_at, refusal FROM rule_set ORDER BY id DESC LIMIT 1"
    with connection.cursor(row_factory=class_row(RuleSetRow)) as cursor:
        return cursor.execute(statement).fetchone()


def rules(connection: Connection) -> list[RuleRow]:
    """Rules that were judged, by name."""
    statement = "SELECT name, severity, mode, judged_at, judged, insufficient, failed, error FROM rule ORDER BY name"
    with connection.cursor(row_factory=class_row(RuleRow)) as cursor:
        return cursor.execute(statement).fetchall()


def silences(connection: Connection, *, since: datetime | None = None, limit: int = 1000) -> list[SilenceRow]:
    """Silences, those that end last first; with `since` only those that are not over by then."""
    statement = """
        SELECT id, match, starts_at, ends_at, reason, made_by, made_at, expired_at, expired_by FROM silence
        WHERE %(since)s::timestamptz IS NULL
            OR (ends_at > %(since)s AND (expired_at IS NULL OR expired_at > %(since)s))
        ORDER BY ends_at DESC, id DESC LIMIT %(limit)s
    """
    with connection.cursor(row_factory=class_row(SilenceRow)) as cursor:
        return cursor.execute(statement, {"since": since, "limit": limit}).fetchall()


def silences_json(found: Sequence[SilenceRow], now: datetime) -> bytes:
    """Silences as the API gives them, UTF-8; `in_force` says whether one silences anything now."""
    rows = [{**msgspec.to_builtins(row), "in_force": row.is_in_force(now)} for row in found]
    return msgspec.json.encode({"schema": SCHEMA, "silences": rows})
