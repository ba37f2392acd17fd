"""Alerts for those who read them: the pages, the API, the command line and /metrics."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias
from uuid import UUID

import msgspec
from psycopg.rows import class_row, dict_row

from monitor.alerting.conduct import Severity
from monitor.alerting.states import State, StateName
from monitor.alerting.states import decoded as decoded_state
from monitor.alerting.target import About, Target
from monitor.alerting.transition import Reason, Transition
from monitor.alerting.transition import decoded as decoded_transition
from monitor.alerting.verdict import Evidence, Finding
from monitor.postgres.database import Connection
from monitor.rolling.segments import segment_text

SCHEMA: Final = 1
OPEN: Final[tuple[StateName, ...]] = ("firing", "recovering", "pending")
"""The states of what is listed, in this order."""
FIRED: Final[tuple[StateName, ...]] = ("firing", "recovering")
"""The states of what has fired and is not over."""

Telling: TypeAlias = Literal["told", "hushed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which alerts; what is None takes all. `told`: those that somebody is told of, or those that nobody is."""

    model: str | None = None
    rule: str | None = None
    severity: Severity | None = None
    states: Sequence[StateName] = OPEN
    told: Telling | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """One alert as it stands. `evidence` is that of the last verdict; lists leave its bins out.

    `fired_at` is when it fired the last time, None if it never did; `hushed` why nobody is told of it.
    """

    id: UUID
    rule: str
    about: About
    series: int | None
    model: str
    signal: str
    segment: Mapping[str, str]
    source: str
    window: str
    severity: Severity
    state: StateName
    judged_at: datetime
    fired_at: datetime | None
    finding: Finding
    hushed: str | None
    evidence: Evidence

    @property
    def target(self) -> Target:
        """What it is about, as rules and silences see it."""
        segment = segment_text(self.segment) if self.about == "series" else ""
        return Target(self.about, self.model, self.signal, segment, self.source, self.window, self.series)


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeRow:
    """One life of an alert that is over: from when it fired to when it ended, why, and how often it came back between.

    `hushed`: why nobody was told of the end.
    """

    id: UUID
    rule: str
    about: About
    series: int | None
    model: str
    signal: str
    segment: Mapping[str, str]
    source: str
    window: str
    severity: Severity
    fired_at: datetime
    ended_at: datetime
    reason: Reason
    flaps: int
    hushed: str | None


@dataclass(frozen=True, slots=True)
class Count:
    """How many alerts of a rule are in a state that is not ok; `hushed`: those that nobody is told of."""

    rule: str
    severity: Severity
    state: StateName
    hushed: bool
    n: int


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an alert, and why nobody was told of it, if that is so."""

    alert: UUID
    rule: str
    severity: Severity
    transition: Transition
    hushed: str | None


_EVIDENCE: Final[msgspec.json.Decoder[Evidence]] = msgspec.json.Decoder(Evidence)
_WHO: Final = """
a.id, a.rule, a.about, a.series, a.model, a.signal, coalesce(nullif(a.segment_text, '')::jsonb, '{}') AS segment,
    a.source_group AS source, a.window_name AS window, a.severity
"""
_CHOSEN: Final = """
(%(model)s::text IS NULL OR a.model = %(model)s) AND (%(rule)s::text IS NULL OR a.rule = %(rule)s)
    AND (%(severity)s::text IS NULL OR a.severity = %(severity)s)
"""
_STANDING: Final = "a.state_name AS state, a.judged_at, a.fired_at, a.finding, a.hushed"
_WORST_FIRST: Final = """
array_position(%(order)s, a.state_name), array_position('{critical,error,warning,info}'::text[], a.severity),
    a.fired_at DESC NULLS LAST, a.rule, a.model, a.segment_text, a.id
"""
OPEN_ALERTS: Final = f"""
SELECT {_WHO}, {_STANDING}, (a.evidence - 'bins')::text AS evidence
FROM (
    SELECT * FROM alert AS a
    WHERE a.state_name <> 'ok' AND a.state_name = ANY(%(states)s) AND {_CHOSEN}
        AND (%(told)s::text IS NULL OR (a.hushed IS NULL) = (%(told)s = 'told'))
    ORDER BY {_WORST_FIRST} LIMIT %(limit)s OFFSET %(offset)s
) AS a ORDER BY {_WORST_FIRST}
"""
ENDED: Final = f"""
SELECT {_WHO}, t.fired_at, t.at AS ended_at, t.reason, (t.body -> 'transition' ->> 'flaps')::int AS flaps, t.hushed
FROM alert_transition AS t JOIN alert AS a ON a.id = t.alert
WHERE t.after = 'ok' AND t.fired_at IS NOT NULL AND {_CHOSEN}
ORDER BY t.at DESC, t.alert, t.number DESC LIMIT %(limit)s OFFSET %(offset)s
"""
OF_SERIES: Final = f"""
SELECT {_WHO}, {_STANDING}, (a.evidence - 'bins')::text AS evidence FROM alert AS a
WHERE a.series = ANY(%(series)s) AND a.state_name = ANY(%(states)s)
ORDER BY a.series, a.fired_at, a.rule, a.id
"""
ONE: Final = f"SELECT {_WHO}, {_STANDING}, a.evidence::text AS evidence FROM alert AS a WHERE a.id = %(id)s"
COUNTS: Final = """
SELECT rule, severity, state_name AS state, hushed IS NOT NULL AS hushed, count(*) AS n FROM alert
WHERE state_name <> 'ok' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
_CHANGE: Final = "a.id, a.rule, a.severity, (t.body #- '{transition,evidence,bins}')::text, t.hushed"
TRANSITIONS: Final = f"""
SELECT {_CHANGE} FROM alert AS a JOIN alert_transition AS t ON t.alert = a.id
WHERE a.id = %(id)s AND (%(before)s::int IS NULL OR t.number < %(before)s) ORDER BY t.number DESC LIMIT %(limit)s
"""
BEGUN: Final = """
SELECT body::text FROM alert_transition WHERE alert = %(id)s AND reason = ANY(%(reasons)s)
ORDER BY number DESC LIMIT 1
"""
CHANGES: Final = f"""
SELECT {_CHANGE} FROM alert AS a JOIN alert_transition AS t ON t.alert = a.id
WHERE a.series = %(series)s AND a.window_name = ANY(%(windows)s) AND t.fired_at IS NOT NULL
    AND (%(until)s::timestamptz IS NULL OR t.at <= %(until)s)
ORDER BY t.at DESC LIMIT %(limit)s
"""


def open_alerts(connection: Connection, chosen: Choice, *, limit: int, offset: int = 0) -> list[AlertRow]:
    """Alerts that are not ok: what fires first, the worst of it, the newest of that."""
    given = {**_given(chosen), "order": list(OPEN), "limit": limit, "offset": offset}
    return _alerts(connection, OPEN_ALERTS, given)


def ended(connection: Connection, chosen: Choice, *, limit: int, offset: int = 0) -> list[LifeRow]:
    """What fired and is over, the last first; of a choice its model, rule and severity."""
    with connection.cursor(row_factory=class_row(LifeRow)) as cursor:
        return cursor.execute(ENDED.encode(), {**_given(chosen), "limit": limit, "offset": offset}).fetchall()


def of_series(connection: Connection, series: Iterable[int], states: Sequence[StateName] = FIRED) -> list[AlertRow]:
    """Alerts of some series, in whatever window, by series."""
    return _alerts(connection, OF_SERIES, {"series": list(series), "states": list(states)})


def alert(connection: Connection, number: UUID) -> AlertRow | None:
    """One alert with all its evidence; None where there is none."""
    return next(iter(_alerts(connection, ONE, {"id": number})), None)


def state(connection: Connection, number: UUID) -> State | None:
    """Where in its life an alert is. Raises Refused for what another version stored."""
    row = connection.execute("SELECT state::text FROM alert WHERE id = %s", (number,)).fetchone()
    return None if row is None else decoded_state(row[0])


def transitions(connection: Connection, number: UUID, *, limit: int, before: int | None = None) -> list[Change]:
    """Changes of an alert, newest first, without bins; `before` is the number to go on from. Raises Refused."""
    return _changes(connection, TRANSITIONS, {"id": number, "before": before, "limit": limit})


def begun(connection: Connection, row: AlertRow) -> Transition | None:
    """What made the alert fire the last time, or while it is pending what made it so; None where it never was."""
    for reasons in (["pending"],) if row.state == "pending" else (["fired"], ["pending"]):
        found = connection.execute(BEGUN, {"id": row.id, "reasons": reasons}).fetchone()
        if found is not None:
            return decoded_transition(found[0])
    return None


def counts(connection: Connection) -> list[Count]:
    """All alerts that are not ok, counted."""
    with connection.cursor(row_factory=class_row(Count)) as cursor:
        return cursor.execute(COUNTS).fetchall()


def changes(
    connection: Connection, series: int, windows: Sequence[str], *, until: datetime | None = None, limit: int = 2000
) -> list[Change]:
    """Changes of what fired of a series in these windows ("" is of the detectors), in rising order of time.

    With `until` none that is younger. Evidence is without bins. Raises Refused for what another version stored.
    """
    given = {"series": series, "windows": list(windows), "until": until, "limit": limit}
    return _changes(connection, CHANGES, given)[::-1]


def to_json(rows: Sequence[AlertRow | LifeRow], ended: Sequence[LifeRow] | None = None) -> bytes:
    """Alerts as the command line and the API give them, UTF-8; `ended` beside them, if it is given."""
    found = {"schema": SCHEMA, "alerts": rows}
    return msgspec.json.encode(found if ended is None else {**found, "ended": ended})


def _alerts(connection: Connection, statement: str, given: Mapping[str, object]) -> list[AlertRow]:
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(statement.encode(), given).fetchall()
    return [AlertRow(**{**row, "evidence": _EVIDENCE.decode(row["evidence"])}) for row in found]


def _changes(connection: Connection, statement: str, given: Mapping[str, object]) -> list[Change]:
    rows = connection.execute(statement.encode(), given).fetchall()
    return [Change(alert, rule, worst, decoded_transition(body), hushed) for alert, rule, worst, body, hushed in rows]


def _given(chosen: Choice) -> dict[str, object]:
    return {
        "model": chosen.model,
        "rule": chosen.rule,
        "severity": chosen.severity,
        "states": list(chosen.states),
        "told": chosen.told,
    }
