"""Alerts as they stand, and every change of theirs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from monitor.alerting import states, transition
from monitor.alerting.alert import Alert
from monitor.alerting.round import Change
from monitor.alerting.states import name_of
from monitor.alerting.target import About, Target
from monitor.alerting.verdict import Evidence
from monitor.postgres.database import Connection

READ: Final = """
SELECT rule, about, series, model, signal, segment_text AS segment, source_group AS source, window_name AS window,
    severity, state::text, fired_at, evidence::text, finding, labels_seen, hushed
FROM alert WHERE {}
"""
OPEN: Final = READ.format("state_name <> 'ok' AND about = ANY(%s)")
NAMED: Final = READ.format("id = ANY(%s)")
WRITE: Final = """
INSERT INTO alert (id, rule, about, series, model, signal, segment_text, source_group, window_name, severity,
    state_name, state, judged_at, fired_at, evidence, finding, labels_seen, hushed)
SELECT x.* FROM jsonb_to_recordset(%s) AS x (id uuid, rule text, about text, series integer, model text, signal text,
    segment text, source text, "window" text, severity text, state_name text, state jsonb, judged_at timestamptz,
    fired_at timestamptz, evidence jsonb, finding text, labels_seen bigint, hushed text)
ON CONFLICT (id) DO UPDATE SET series = EXCLUDED.series, severity = EXCLUDED.severity,
    state_name = EXCLUDED.state_name, state = EXCLUDED.state, judged_at = EXCLUDED.judged_at,
    fired_at = EXCLUDED.fired_at, evidence = EXCLUDED.evidence, finding = EXCLUDED.finding,
    labels_seen = EXCLUDED.labels_seen, hushed = EXCLUDED.hushed
"""
NOTE: Final = """
INSERT INTO alert_transition (alert, number, at, before, after, reason, fired_at, hushed, body)
SELECT x.* FROM jsonb_to_recordset(%s) AS x (alert uuid, number integer, at timestamptz, before text, after text,
    reason text, fired_at timestamptz, hushed text, body jsonb)
"""
FIRING: Final = """
SELECT id, fired_at FROM alert WHERE state_name IN ('firing', 'recovering') AND model = %s AND rule = ANY(%s)
    AND fired_at IS NOT NULL
ORDER BY fired_at DESC LIMIT 1
"""


def read_open(connection: Connection, *about: About) -> dict[UUID, Alert]:
    """Every alert on such targets that is pending, fires or recovers."""
    return _alerts(connection, OPEN, (list(about),))


def read_alerts(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Alert]:
    """Those of these alerts that are stored."""
    return _alerts(connection, NAMED, (list(ids),)) if ids else {}


def firing_since(connection: Connection, model: str, rules: Sequence[str]) -> tuple[UUID, datetime] | None:
    """Of the alerts of these rules on a model that fire, the one that fired last, and when."""
    row = connection.execute(FIRING, (model, list(rules))).fetchone()
    return None if row is None else (row[0], row[1])


def write_changes(connection: Connection, changes: Iterable[Change], now: datetime) -> None:
    """Store the alerts after a round, and the transitions that it made."""
    found = [change for change in changes if change.after is not change.before]
    if found:
        connection.execute(WRITE, (_records([_row(change.after) for change in found]),))
    noted = [row for change in found if (row := _transition(change, now)) is not None]
    if noted:
        connection.execute(NOTE, (_records(noted),))


def _records(rows: list[dict[str, object]]) -> Jsonb:
    return Jsonb(rows, dumps=msgspec.json.encode)


def _row(alert: Alert) -> dict[str, object]:
    target = alert.target
    return {
        "id": alert.id,
        "rule": alert.rule,
        "about": target.about,
        "series": target.series,
        "model": target.model,
        "signal": target.signal,
        "segment": target.segment,
        "source": target.source,
        "window": target.window,
        "severity": alert.severity,
        "state_name": name_of(alert.state),
        "state": msgspec.Raw(states.encoded(alert.state)),
        "judged_at": alert.state.judged_at,
        "fired_at": alert.fired_at,
        "evidence": alert.evidence,
        "finding": alert.finding,
        "labels_seen": alert.labels_seen,
        "hushed": alert.hushed,
    }


def _transition(change: Change, now: datetime) -> dict[str, object] | None:
    found = change.decision.transition
    if found is None:
        return None
    return {
        "alert": change.after.id,
        "number": found.number,
        "at": now,
        "before": found.before,
        "after": found.after,
        "reason": found.reason,
        "fired_at": found.fired_at,
        "hushed": change.after.hushed,
        "body": msgspec.Raw(transition.encoded(found)),
    }


def _alerts(connection: Connection, query: str, given: Sequence[object]) -> dict[UUID, Alert]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query.encode(), given).fetchall()
    return {alert.id: alert for alert in map(_alert, rows)}


def _alert(row: dict[str, object]) -> Alert:
    parts = {name: row[name] for name in ("about", "model", "signal", "segment", "source", "window", "series")}
    own = {name: row[name] for name in ("rule", "severity", "finding", "fired_at", "labels_seen", "hushed")}
    return Alert(
        target=Target(**parts),  # type: ignore[arg-type]  # the columns have these types
        state=states.decoded(str(row["state"])),
        evidence=msgspec.json.decode(str(row["evidence"]), type=Evidence),
        **own,  # type: ignore[arg-type]
    )
