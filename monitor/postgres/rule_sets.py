"""Rule files in force, and what came of each rule the last time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec
from psycopg.types.json import Jsonb

from monitor.postgres.database import Connection

PUT: Final = """
INSERT INTO rule_set (digest, body, loaded_at) SELECT %(digest)s, %(body)s, %(now)s
WHERE (SELECT digest FROM rule_set ORDER BY id DESC LIMIT 1) IS DISTINCT FROM %(digest)s
"""
LATEST: Final = "SELECT id, digest, body, loaded_at FROM rule_set ORDER BY id DESC LIMIT 1"
JUDGED: Final = """
INSERT INTO rule (name, severity, mode, judged_at, judged, insufficient, error)
SELECT x.* FROM jsonb_to_recordset(%s) AS x (name text, severity text, mode text, judged_at timestamptz,
    judged integer, insufficient integer, error text)
ON CONFLICT (name) DO UPDATE SET severity = EXCLUDED.severity, mode = EXCLUDED.mode, judged_at = EXCLUDED.judged_at,
    judged = EXCLUDED.judged, insufficient = EXCLUDED.insufficient, error = EXCLUDED.error
"""
REFUSAL: Final = """
SELECT detail ->> 'rules_refused' FROM role WHERE name = 'evaluate' AND detail ? 'rules_refused'
ORDER BY beat_at DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A rule file that was in force from `loaded_at` on."""

    id: int
    digest: str
    body: str
    loaded_at: datetime


def put_rule_set(connection: Connection, body: str, now: datetime) -> None:
    """Put a rule file in force; nothing changes where it is already."""
    connection.execute(PUT, {"digest": sha256(body.encode()).hexdigest(), "body": body, "now": now})


def rule_set(connection: Connection) -> RuleSet | None:
    """The rule file in force."""
    row = connection.execute(LATEST).fetchone()
    return None if row is None else RuleSet(*row)


class JudgedRule(msgspec.Struct, frozen=True):
    """What a rule looked at the last time: `judged` targets, of which `insufficient` could not tell."""

    name: str
    severity: str
    mode: str
    judged_at: datetime
    judged: int
    insufficient: int
    error: str | None = None


def note_judged(connection: Connection, rules: Sequence[JudgedRule]) -> None:
    """Say what came of rules."""
    if rules:
        connection.execute(JUDGED, (Jsonb(list(rules), dumps=msgspec.json.encode),))


def judged_rules(connection: Connection) -> list[JudgedRule]:
    """What came of each rule the last time, by name."""
    statement = "SELECT name, severity, mode, judged_at, judged, insufficient, error FROM rule ORDER BY name"
    return [JudgedRule(*row) for row in connection.execute(statement).fetchall()]


def refusal(connection: Connection) -> str | None:
    """What is wrong with the rule file as the leader read it the last time; None where it is in force."""
    row = connection.execute(REFUSAL).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def forget_rules(connection: Connection, names: Sequence[str]) -> None:
    """Forget all rules but these."""
    connection.execute("DELETE FROM rule WHERE name <> ALL(%s)", (list(names),))
