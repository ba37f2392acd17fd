"""Alerts in a database, as judging leaves them: verdicts on stored readings and alarms, taken by the life cycle."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from psycopg.types.json import Jsonb

from monitor.alerting import notice
from monitor.alerting.alert import Alert
from monitor.alerting.alertrules import AlertRule, Threshold, alert_rules
from monitor.alerting.conduct import Severity
from monitor.alerting.incident import Incident, dedup_key, encoded
from monitor.alerting.judgement import Limits, Standing, finding_of, of_detector, of_reading
from monitor.alerting.lifecycle import decide
from monitor.alerting.round import Change
from monitor.alerting.states import NEW, Firing, Recovering
from monitor.alerting.storedrules import stored_rules
from monitor.alerting.target import SERVICE, Target, alert_id, target_of
from monitor.alerting.terms import terms_of
from monitor.alerting.verdict import Estimate, Finding, Measured, Said, Verdict
from monitor.calibration.reading import Reading, reading_from_json
from monitor.drift.alarms import Alarm
from monitor.postgres.alerts import write_changes
from monitor.postgres.database import Connection
from monitor.postgres.lookup import find_series
from monitor.postgres.pages import reading_bodies
from monitor.postgres.rule_sets import JudgedRule, note_judged, put_rule_set
from monitor.rolling.panes import hour_of
from monitor.rolling.segments import SeriesName, segment_text

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


def rule_file() -> str:
    """The shipped rules on all segments, with routes and channels, for fewer labels than real models have."""
    shipped = SHIPPED.read_text(encoding="utf-8")
    for before, after in (('segment: "",', 'segment: "*",'), ("min_labelled: 1000 ", "min_labelled: 300 ")):
        assert shipped.count(before) == 1
        shipped = shipped.replace(before, after)
    return shipped + CHANNELS


def rule_named(name: str, **changes: object) -> AlertRule:
    """A rule of `rule_file`; `changes` are its other fields."""
    found = next(rule for rule in alert_rules(stored_rules(rule_file())) if rule.name == name)
    return replace(found, **changes)  # type: ignore[arg-type]  # each caller names fields of AlertRule


def load_rules(connection: Connection, at: datetime, body: str = "") -> None:
    """The rule file is in force from `at` on, and every rule of it was judged then."""
    body = body or rule_file()
    put_rule_set(connection, body, at)
    judged = [
        JudgedRule(
            rule.name, rule.severity, rule.mode, at, 10 + number, number % 4,
            "no such version: v2" if rule.name == "EceRoseSinceVersion" else None,
        )
        for number, rule in enumerate(alert_rules(stored_rules(body)))
    ]  # fmt: skip
    note_judged(connection, judged)


def series_target(connection: Connection, model: str, segment: Mapping[str, str], window: str = "7d") -> Target:
    """A series of the main signal and the primary labels."""
    name = SeriesName(model, "confidence", segment_text(dict(segment)), "")
    return target_of(name, window, find_series(connection, name).id)


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


def readings_of(connection: Connection, target: Target) -> list[Reading]:
    """Stored readings in rising order."""
    assert target.series is not None
    bodies = reading_bodies(connection, target.series, target.window, limit=1000)
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


def alarmed(connection: Connection, target: Target, at: datetime) -> Verdict:
    """A verdict on the newest page of the detectors of a series."""
    row = connection.execute(
        "SELECT pane_start, band, sign, onset_at, onset_low_at, onset_high_at, size, size_low, size_high, value,"
        " labels, slope, intercept FROM alarm WHERE series = %s AND tier = 'page' ORDER BY id DESC LIMIT 1",
        (target.series,),
    ).fetchone()
    assert row is not None
    alarm = Alarm(
        series=0, tier="page", pane=hour_of(row[0]), band=row[1], sign=row[2], onset=hour_of(row[3]),
        onset_interval=(hour_of(row[4]), hour_of(row[5])), size=row[6], size_interval=(row[7], row[8]), value=row[9],
        labels=row[10], slope=row[11], intercept=row[12],
    )  # fmt: skip
    standing = Standing(alarm=alarm, labels_since=210.0, calm_labels=600, taught_from=None)
    return of_detector(standing, at)


GERMAN: Final = target_of(SeriesName("support-triage", "confidence", '{"lang":"de"}', ""), "7d")
FIRING: Final = f"/alerts/{alert_id('EceHigh', GERMAN)}"
"""The page of an alert with evidence, changes and deliveries."""


def store(
    connection: Connection,
    rule: AlertRule,
    target: Target,
    verdicts: Sequence[Verdict],
    *,
    hushed: str | None = None,
) -> UUID:
    """The alert after these verdicts, each decided at its own instant, written as the leader does."""
    terms = terms_of(rule, STEP)
    before: Alert | None = None
    for verdict in verdicts:
        decision = decide(before.state if before else NEW, verdict, terms, verdict.as_of)
        state = decision.state
        fired_at = state.fired_at if isinstance(state, Firing | Recovering) else before.fired_at if before else None
        after = Alert(
            rule=rule.name, target=target, severity=rule.severity, finding=verdict.finding, evidence=verdict.evidence,
            state=state, fired_at=fired_at, labels_seen=4000, hushed=hushed,
        )  # fmt: skip
        write_changes(connection, [Change(before, after, decision)], verdict.as_of)
        before = after
    return alert_id(rule.name, target)


def store_incident(
    connection: Connection,
    rule: AlertRule,
    group: Sequence[tuple[str, str]],
    channels: Sequence[str],
    opened_at: datetime,
) -> str:
    """An incident with one firing alert."""
    key = dedup_key("test", rule.name, tuple(group))
    connection.execute(
        "INSERT INTO incident VALUES (%s, %s, %s, %s, %s, %s, 1, %s, NULL, %s)",
        (
            key, rule.name, f"{rule.name} on {dict(group).get('model', 'caldrift')}",
            Jsonb([list(each) for each in group]), list(channels), encoded(Incident(key=key, order=1)).decode(),
            opened_at, opened_at,
        ),
    )  # fmt: skip
    return key


def store_notice(
    connection: Connection, key: str, order: int, kind: notice.Kind, at: datetime, *, severity: Severity = "warning"
) -> int:
    """The notice of an announcement, queued a minute after the change; its number."""
    alert = notice.Alert(
        rule="EceHigh",
        severity=severity,
        series=notice.Series("support-triage", "confidence", "lang=de"),
        state="firing",
        started_at=at,
    )
    told = notice.Notice(
        kind=kind,
        incident=notice.Incident(key, "EceHigh"),
        alerts=(alert,),
        counts=notice.Counts(1, 0),
        group=(),
        at=at,
    )
    row = connection.execute(
        "INSERT INTO notice (incident, ord, kind, at, queued_at, body) VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        (key, order, kind, at, at + timedelta(minutes=1), notice.encode(told).decode()),
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
    german = series_target(connection, "support-triage", {"lang": "de"})
    english = series_target(connection, "support-triage", {"lang": "en"})
    whole = series_target(connection, "support-triage", {})
    ece, gap = rule_named("EceHigh"), rule_named("OverConfident")
    store(connection, ece, german, list(judged(readings_of(connection, german), ece)))
    store(connection, gap, german, list(judged(readings_of(connection, german), gap)), hushed="silence 1")
    hours = [now - timedelta(hours=6 * back) for back in range(9, -1, -1)]
    store(connection, ece, whole, [_exact(ece, at, value, n=900) for at, value in zip(hours, _REST, strict=True)])
    errors = rule_named("ConfidentErrors")
    store(
        connection, errors, english, [_exact(errors, at, value, n=700) for at, value in zip(hours, _OVER, strict=True)]
    )
    detectors = replace(german, window="")
    learning = said("insufficient", hours[0], "the baseline is being learned")
    drift = rule_named("Drift")
    store(connection, drift, detectors, [learning, *(alarmed(connection, detectors, at) for at in hours[5:])])
    stale = rule_named("LabelsStale")
    judge = Target("model", "calibrated-judge")
    store(connection, stale, judge, [measured(stale, at, 3 * 86_400) for at in hours[7:]], hushed="mute time nights")
    late = rule_named("EvaluationLate")
    store(connection, late, SERVICE, [measured(late, now - timedelta(minutes=5), 3 * 3600)])
    letters = rule_named("DeadLetters", mode="shadow")
    store(connection, letters, SERVICE, [measured(letters, at, 250) for at in hours[7:]], hushed="shadow")
    behind = rule_named("IntakeBehind")
    store(connection, behind, SERVICE, [measured(behind, hours[-1], 200_000)])
    row = connection.execute("SELECT segment FROM series WHERE model = %s", (evil,)).fetchone()
    assert row is not None
    markup = series_target(connection, evil, row[0])
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
        connection, rule_named("EceHigh"), [("model", "support-triage"), ("rule", "EceHigh")], ["slack"], at
    )
    for order, kind in ((1, "fired"), (2, "changed")):
        told = store_notice(connection, ece, order, kind, at + timedelta(hours=order))  # type: ignore[arg-type]
        store_delivery(connection, told, "slack", "told")
    drift = store_incident(
        connection, rule_named("Drift"), [("model", "support-triage"), ("rule", "Drift")], ["pagerduty", "slack"], at
    )
    fired = store_notice(connection, drift, 1, "fired", at, severity="critical")
    store_delivery(connection, fired, "slack", "told", attempts=2)
    store_delivery(connection, fired, "pagerduty", "waiting", attempts=3, error="503 <b>Service Unavailable</b>")
    late = store_incident(connection, rule_named("EvaluationLate"), [("model", ""), ("rule", "EvaluationLate")], [], at)
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
