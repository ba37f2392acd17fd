"""Alerts in a database, as judging leaves them: verdicts on stored readings and alarms, taken by the life cycle."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from psycopg.types.json import Jsonb

from monitor.alerting.alertrules import AlertRule, Threshold, alert_rules
from monitor.alerting.conduct import Severity
from monitor.alerting.incident import dedup_key
from monitor.alerting.inforce import in_force
from monitor.alerting.judgement import Limits, Standing, finding_of, of_detector, of_reading
from monitor.alerting.lifecycle import Decision, decide
from monitor.alerting.notice import Alert, Counts, Incident, Kind, Notice, Series, encode
from monitor.alerting.states import NEW, Firing, Recovering, State, encoded, name_of
from monitor.alerting.terms import Terms, terms_of
from monitor.alerting.transition import encoded as encoded_transition
from monitor.alerting.verdict import Estimate, Finding, Measured, Said, Verdict
from monitor.calibration.reading import Reading, reading_from_json
from monitor.drift.alarms import Alarm
from monitor.postgres.database import Connection
from monitor.postgres.pages import reading_bodies
from monitor.rolling.panes import hour_of

SHIPPED = Path(__file__).parents[2] / "alerts.yaml"
CHANNELS = """
routes:
  team: {notify: [slack], group_by: [rule, model]}
  oncall: {notify: [pagerduty, slack]}
fallback_route: team
channels:
  slack: {kind: slack, token_env: CALDRIFT_SLACK_TOKEN, channel: C0123456789}
  pagerduty: {kind: pagerduty, routing_key_env: CALDRIFT_PAGERDUTY_KEY}
"""
STEP = timedelta(hours=6)


@dataclass(frozen=True)
class Subject:
    """What an alert is about, as its row names it."""

    about: str = "series"
    series: int | None = None
    model: str = ""
    signal: str = ""
    segment_text: str = ""
    source_group: str = ""
    window_name: str = ""


SERVICE = Subject("service")


def rule_file() -> str:
    """The shipped rules on all segments, with routes and channels, for fewer labels than real models have."""
    shipped = SHIPPED.read_text(encoding="utf-8")
    for before, after in (('segment: "",', 'segment: "*",'), ("min_labelled: 1000 ", "min_labelled: 300 ")):
        assert shipped.count(before) == 1
        shipped = shipped.replace(before, after)
    return shipped + CHANNELS


def rule_named(name: str, **changes: object) -> AlertRule:
    """A rule of `rule_file`; `changes` are its other fields."""
    found = next(rule for rule in alert_rules(in_force(rule_file())) if rule.name == name)
    return replace(found, **changes)  # type: ignore[arg-type]  # each caller names fields of AlertRule


def load_rules(connection: Connection, at: datetime, body: str = "") -> None:
    """The rule file is in force from `at` on, and every rule of it was judged then."""
    body = body or rule_file()
    connection.execute(
        "INSERT INTO rule_set (digest, body, loaded_at) VALUES (%s, %s, %s)",
        (sha256(body.encode()).hexdigest(), body, at),
    )
    for number, rule in enumerate(alert_rules(in_force(body))):
        failed = int(rule.name == "EceRoseSinceVersion")
        connection.execute(
            "INSERT INTO rule VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                rule.name, rule.severity, rule.mode, at, 10 + number, number % 4, failed,
                "no such version: v2" if failed else None,
            ),
        )  # fmt: skip


def series_subject(connection: Connection, model: str, segment: Mapping[str, str], window: str = "7d") -> Subject:
    """A series of the main signal and the primary labels."""
    row = connection.execute(
        "SELECT id, segment_text FROM series WHERE model = %s AND segment = %s AND signal = 'confidence'"
        " AND source_group = ''",
        (model, Jsonb(dict(segment))),
    ).fetchone()
    assert row is not None, (model, segment)
    return Subject("series", row[0], model, "confidence", row[1], "", window)


def limits_of(rule: AlertRule) -> Limits:
    """The limits of a rule that does not look at changes."""
    found = rule.condition
    assert isinstance(found, Threshold)
    assert isinstance(found.enter, float)
    assert isinstance(found.exit, float)
    return Limits(
        compare=found.compare,
        enter=found.enter,
        exit=found.exit,
        proof=found.evidence,
        min_labelled=rule.min_labelled,
        min_label_coverage=rule.min_label_coverage,
    )


def readings_of(connection: Connection, subject: Subject) -> list[Reading]:
    """Stored readings in rising order."""
    assert subject.series is not None
    bodies = reading_bodies(connection, subject.series, subject.window_name, limit=1000)
    return [reading_from_json(body) for body in reversed(bodies)]


def judged(readings: Iterable[Reading], rule: AlertRule) -> Iterator[Verdict]:
    """A verdict on each reading."""
    assert isinstance(rule.condition, Threshold)
    for reading in readings:
        assert reading.as_of is not None
        yield of_reading(reading, rule.condition.metric.name, limits_of(rule), reading.as_of, new_labels=40)


def measured(rule: AlertRule, at: datetime, value: float, finding: Finding = "crossed") -> Verdict:
    """A verdict on an exact value, as rules about models and the service have; a duration in seconds."""
    assert isinstance(rule.condition, Threshold)
    enter, leave = (
        limit.total_seconds() if isinstance(limit, timedelta) else limit
        for limit in (rule.condition.enter, rule.condition.exit)
    )
    estimate = Estimate(value, None, 0)
    evidence = Measured(
        as_of=at, measure=rule.condition.metric.name, estimate=estimate, judged=estimate,
        compare=rule.condition.compare, proof="point", enter=enter, exit=leave, confidence_level=0.95,
    )  # fmt: skip
    return Verdict(finding, evidence)


def said(finding: Finding, at: datetime, reason: str) -> Verdict:
    """A verdict in words."""
    return Verdict(finding, Said(as_of=at, reason=reason, n=12))


def alarmed(connection: Connection, subject: Subject, at: datetime) -> Verdict:
    """A verdict on the newest page of the detectors of a series."""
    row = connection.execute(
        "SELECT pane_start, band, sign, onset_at, onset_low_at, onset_high_at, size, size_low, size_high, value,"
        " labels, slope, intercept FROM alarm WHERE series = %s AND tier = 'page' ORDER BY id DESC LIMIT 1",
        (subject.series,),
    ).fetchone()
    assert row is not None
    alarm = Alarm(
        series=0, tier="page", pane=hour_of(row[0]), band=row[1], sign=row[2], onset=hour_of(row[3]),
        onset_interval=(hour_of(row[4]), hour_of(row[5])), size=row[6], size_interval=(row[7], row[8]), value=row[9],
        labels=row[10], slope=row[11], intercept=row[12],
    )  # fmt: skip
    standing = Standing(alarm=alarm, labels_since=210.0, calm_labels=600, taught_from=None)
    return of_detector(standing, at)


def alert_id(rule: str, subject: Subject) -> UUID:
    """One id for one rule on one subject, whatever its number."""
    return uuid5(NAMESPACE_URL, f"{rule} {replace(subject, series=None)}")


GERMAN = Subject("series", None, "support-triage", "confidence", '{"lang":"de"}', "", "7d")
FIRING = f"/alerts/{alert_id('EceHigh', GERMAN)}"
"""The page of an alert with evidence, changes and deliveries."""


def store(
    connection: Connection,
    rule: AlertRule,
    subject: Subject,
    verdicts: Sequence[Verdict],
    *,
    hushed: str | None = None,
    terms: Terms | None = None,
) -> UUID:
    """The alert after these verdicts, each decided at its own instant, with all its transitions."""
    state: State = NEW
    terms = terms or terms_of(rule, STEP)
    decisions: list[Decision] = []
    for verdict in verdicts:
        decisions.append(decide(state, verdict, terms, verdict.as_of))
        state = decisions[-1].state
    number, last = alert_id(rule.name, subject), verdicts[-1]
    connection.execute(
        """
        INSERT INTO alert (id, rule, about, series, model, signal, segment_text, source_group, window_name, severity,
            state_name, state, judged_at, fired_at, evidence, finding, labels_seen, hushed, summary)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            number, rule.name, subject.about, subject.series, subject.model, subject.signal, subject.segment_text,
            subject.source_group, subject.window_name, rule.severity, name_of(state), encoded(state).decode(),
            state.judged_at, state.fired_at if isinstance(state, Firing | Recovering) else None,
            msgspec.json.encode(last.evidence).decode(), last.finding, 4000, hushed,
            f"{rule.name}: {subject.model or 'caldrift'}",
        ),
    )  # fmt: skip
    for decision in decisions:
        change = decision.transition
        if change is not None:
            connection.execute(
                "INSERT INTO alert_transition VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    number, change.number, change.at, change.before, change.after, change.reason, change.fired_at,
                    hushed, encoded_transition(change).decode(),
                ),
            )  # fmt: skip
    return number


def store_incident(
    connection: Connection, rule: AlertRule, group: Sequence[tuple[str, str]], route: str | None, opened_at: datetime
) -> str:
    """An incident with one firing alert."""
    key = dedup_key("test", rule.name, tuple(group))
    connection.execute(
        "INSERT INTO incident VALUES (%s, %s, %s, %s, %s, %s, 1, %s, NULL, %s)",
        (
            key, rule.name, f"{rule.name} on {dict(group).get('model', 'caldrift')}", route,
            Jsonb([list(each) for each in group]), Jsonb({"version": 1, "incident": {"key": key, "order": 1}}),
            opened_at, opened_at,
        ),
    )  # fmt: skip
    return key


def store_notice(
    connection: Connection, key: str, order: int, kind: Kind, at: datetime, *, severity: Severity = "warning"
) -> int:
    """The notice of an announcement, queued a minute after the change; its number."""
    alert = Alert(
        rule="EceHigh", severity=severity, series=Series("support-triage", "confidence", "lang=de"), state="firing",
        started_at=at,
    )  # fmt: skip
    notice = Notice(kind=kind, incident=Incident(key, "EceHigh"), alerts=(alert,), counts=Counts(1, 0), group=(), at=at)
    row = connection.execute(
        "INSERT INTO notice (incident, ord, kind, at, queued_at, body) VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        (key, order, kind, at, at + timedelta(minutes=1), encode(notice).decode()),
    ).fetchone()
    assert row is not None
    return int(row[0])


def store_delivery(
    connection: Connection, notice: int, channel: str, state: str, *, attempts: int = 1, error: str | None = None
) -> None:
    """A notice on its way to a channel: told two minutes after it was queued, or waiting for the next minute."""
    connection.execute(
        """
        INSERT INTO delivery (notice, channel, incident, ord, state, due_at, attempts, settled_at, error)
        SELECT id, %(channel)s, incident, ord, %(state)s, queued_at + interval '1 minute', %(attempts)s,
            CASE WHEN %(state)s <> 'waiting' THEN queued_at + interval '2 minutes' END, %(error)s
        FROM notice WHERE id = %(notice)s
        """,
        {"notice": notice, "channel": channel, "state": state, "attempts": attempts, "error": error},
    )


def seed_alerts(connection: Connection, now: datetime, evil: str) -> None:
    """Alerts in every state about series, models and the service, told, hushed, and on their way.

    The database holds the readings and alarms of `tests.web.seeding`; `evil` is the model whose name is markup.
    """
    load_rules(connection, now - timedelta(days=3))
    german = series_subject(connection, "support-triage", {"lang": "de"})
    english = series_subject(connection, "support-triage", {"lang": "en"})
    whole = series_subject(connection, "support-triage", {})
    ece, gap = rule_named("EceHigh"), rule_named("OverConfident")
    store(connection, ece, german, list(judged(readings_of(connection, german), ece)))
    store(connection, gap, german, list(judged(readings_of(connection, german), gap)), hushed="silence 1")
    hours = [now - timedelta(hours=6 * back) for back in range(9, -1, -1)]
    store(connection, ece, whole, [_exact(ece, at, value, n=900) for at, value in zip(hours, _REST, strict=True)])
    errors = rule_named("ConfidentErrors")
    store(
        connection, errors, english, [_exact(errors, at, value, n=700) for at, value in zip(hours, _OVER, strict=True)]
    )
    detectors = replace(german, window_name="")
    learning = said("insufficient", hours[0], "the baseline is being learned")
    drift = rule_named("Drift")
    store(connection, drift, detectors, [learning, *(alarmed(connection, detectors, at) for at in hours[5:])])
    stale = rule_named("LabelsStale")
    judge = Subject("model", model="calibrated-judge")
    store(connection, stale, judge, [measured(stale, at, 3 * 86_400) for at in hours[7:]], hushed="mute time nights")
    late = rule_named("EvaluationLate")
    store(connection, late, SERVICE, [measured(late, now - timedelta(minutes=5), 3 * 3600)])
    letters = rule_named("DeadLetters", mode="shadow")
    store(connection, letters, SERVICE, [measured(letters, at, 250) for at in hours[7:]], hushed="shadow")
    behind = rule_named("IntakeBehind")
    store(connection, behind, SERVICE, [measured(behind, hours[-1], 200_000)])
    row = connection.execute("SELECT segment FROM series WHERE model = %s", (evil,)).fetchone()
    assert row is not None
    markup = series_subject(connection, evil, row[0])
    store(connection, gap, markup, [_exact(gap, hours[-1], 0.2, n=400)])
    _seed_outbox(connection, hours[5])
    _seed_silences(connection, now)


_REST = (0.01, 0.01, 0.08, 0.09, 0.09, 0.09, 0.04, 0.09, 0.09, 0.02)
_OVER = (0.01, 0.08, 0.09, 0.08, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02)


def _exact(rule: AlertRule, at: datetime, value: float, n: int) -> Verdict:
    """A verdict on a value of a series, with an interval around it."""
    assert isinstance(rule.condition, Threshold)
    limits = limits_of(rule)
    estimate = Estimate(value, (value - 0.01, value + 0.01), n)
    evidence = Measured(
        as_of=at, measure=rule.condition.metric.name, estimate=estimate, judged=estimate, compare=limits.compare,
        proof="confident", enter=limits.enter, exit=limits.exit, confidence_level=0.95, coverage=0.8,
    )  # fmt: skip
    return Verdict(finding_of(estimate, limits), evidence, 40)


def _seed_outbox(connection: Connection, at: datetime) -> None:
    ece = store_incident(
        connection, rule_named("EceHigh"), [("model", "support-triage"), ("rule", "EceHigh")], "team", at
    )
    for order, kind in ((1, "fired"), (2, "changed")):
        told = store_notice(connection, ece, order, kind, at + timedelta(hours=order))  # type: ignore[arg-type]
        store_delivery(connection, told, "slack", "told")
    drift = store_incident(
        connection, rule_named("Drift"), [("model", "support-triage"), ("rule", "Drift")], "oncall", at
    )
    fired = store_notice(connection, drift, 1, "fired", at, severity="critical")
    store_delivery(connection, fired, "slack", "told", attempts=2)
    store_delivery(connection, fired, "pagerduty", "waiting", attempts=3, error="503 <b>Service Unavailable</b>")
    late = store_incident(
        connection, rule_named("EvaluationLate"), [("model", ""), ("rule", "EvaluationLate")], None, at
    )
    gone = store_notice(connection, late, 1, "fired", at, severity="critical")
    store_delivery(connection, gone, "pagerduty", "dead", error="400: invalid routing key")
    store_delivery(connection, gone, "slack", "dropped", attempts=0)
    connection.execute(
        """
        INSERT INTO channel (name, failures, closed_until, told_at, beat_at, error) VALUES
            ('slack', 0, NULL, now() - interval '1 minute', now() - interval '30 seconds', NULL),
            ('pagerduty', 5, now() + interval '30 minutes', NULL, NULL, '503 Service Unavailable')
        """
    )


def _seed_silences(connection: Connection, now: datetime) -> None:
    hour = timedelta(hours=1)
    for match, starts_at, ends_at, reason in (
        ({"rule": ["OverConfident"], "model": ["support-*"]}, now - hour, now + 3 * hour, "retraining <b>today</b>"),
        ({"severity": ["info"]}, now - 50 * hour, now - 40 * hour, "over"),
        ({"model": ["invoice-*"]}, now + hour, now + 2 * hour, "yet to come"),
    ):
        connection.execute(
            "INSERT INTO silence (match, starts_at, ends_at, reason, made_by, made_at)"
            " VALUES (%s, %s, %s, %s, 'ada', %s)",
            (Jsonb(match), starts_at, ends_at, reason, starts_at),
        )
