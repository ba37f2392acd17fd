"""Looks: what the rules on series see at the end of a pass, in readings and in what the detectors said."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from monitor.alerting.alert import Alert
from monitor.alerting.alertrules import AlertRule, DriftAlarm
from monitor.alerting.baselines import spans, together
from monitor.alerting.discovery import sifted
from monitor.alerting.judgement import diagram_of, of_detector
from monitor.alerting.readingrule import ReadingRule
from monitor.alerting.round import Look
from monitor.alerting.rules import Baseline, LastRecalibration, LastVersion
from monitor.alerting.selection import selects
from monitor.alerting.target import Target, alert_id, target_of
from monitor.alerting.terms import Terms
from monitor.alerting.verdict import Finding, Said, Verdict
from monitor.calibration.reading import Reading
from monitor.calibration.readout import read_many
from monitor.postgres.calibrators import in_force
from monitor.postgres.database import Connection
from monitor.postgres.panes import span_sums
from monitor.postgres.readings import newest
from monitor.postgres.standings import standings
from monitor.postgres.versions import version_began
from monitor.rolling.panes import Span, hour_of
from monitor.rolling.stacks import code, sketches
from monitor.rolling.subjects import subject_of
from monitor.workers.judging import Judging, Key
from monitor.workers.standing import Evaluation, Standing

EVERYTHING: Final = "all"
"""The window whose labels are all that ever matured."""
LOOK_BACK: Final = timedelta(days=7)
"""Alarms so old are looked at by a new leader, in case nobody did."""


@dataclass(frozen=True, slots=True)
class Looking:
    """What looks are taken of, and when."""

    connection: Connection
    standing: Standing
    evaluation: Evaluation
    judging: Judging
    as_of: datetime


def looks(looking: Looking) -> list[Look]:
    """What all rules on series see now, of what may begin an alert, and of every alert that is open."""
    found = [*_of_readings(looking), *_of_detectors(looking)]
    seen = {look.id for look in found}
    unseen = [alert for alert in looking.judging.open.values() if alert.id not in seen]
    return [*found, *(look for alert in unseen for look in _end(looking, alert))]


def failures(found: Iterable[Look]) -> dict[str, str]:
    """By rule, why one of its looks failed."""
    verdicts = {look.rule: look.verdict for look in found if look.verdict.finding == "failed"}
    return {rule: each.evidence.reason for rule, each in verdicts.items() if isinstance(each.evidence, Said)}


def _of_readings(looking: Looking) -> Iterator[Look]:
    judging, series = looking.judging, looking.standing.series
    wanted = set(judging.noted)
    for alert in judging.open.values():
        number = alert.target.series
        if number in series and alert.target.window in looking.evaluation.names:
            wanted.add((number, alert.target.window))
    readings = judging.noted | newest(looking.connection, sorted(wanted - judging.noted.keys()))
    whole = {(number, EVERYTHING) for number, _ in wanted}
    labels = {key[0]: reading.n for key, reading in newest(looking.connection, sorted(whole)).items()}
    found: dict[tuple[str, str], list[Look]] = {}
    for key in sorted(wanted & readings.keys()):
        for rule in judging.by_series.get(key[0], ()):
            if rule.looks_at(key[1]):
                looks = found.setdefault((rule.rule.name, key[1]), [])
                looks += _of_reading(looking, rule, key, readings[key], labels.get(key[0]))
    for (name, window), looks in found.items():
        yield from sifted(looks, judging.force.rules[name], _known(judging, name, window))


def _known(judging: Judging, rule: str, window: str) -> int:
    """Of how many series a rule could tell in a window."""
    lacking = sum(of == window for _, of in judging.lacking.get(rule, ()))
    return judging.selected.get(rule, Counter()).total() - lacking


def _of_reading(looking: Looking, rule: ReadingRule, key: Key, reading: Reading, labels: int | None) -> Iterator[Look]:
    target = target_of(looking.standing.series[key[0]], key[1], key[0])
    alert = looking.judging.open.get(alert_id(rule.rule.name, target))
    if alert is None and not rule.may_begin(reading):
        return
    seen = alert.labels_seen if alert is not None else None
    new_labels = max(0, labels - seen) if labels is not None and seen is not None else 0
    before = _compared_with(looking, rule, key) if rule.baseline is not None else None
    verdict = rule.verdict(reading, looking.as_of, new_labels, before)
    yield _look(looking, rule.rule, target, verdict, labels)


def _compared_with(looking: Looking, rule: ReadingRule, key: Key) -> Reading | None:
    """What a rule of change compares the window with."""
    evaluation, standing, baseline = looking.evaluation, looking.standing, rule.baseline
    place = evaluation.names.index(key[1])
    hours, span = evaluation.windows[place].hours, standing.spans.get(int(code(np.array([key[0]]), place)[0]))
    if baseline is None or hours is None or span is None:
        return None
    began = _began(looking, standing.series[key[0]].model, baseline)
    found = [_reading_of(looking, key, each) for each in spans(baseline, span, hours, began)]
    return together([each for each in found if each is not None and not rule.lacks(each)], rule.measure, baseline)


def _began(looking: Looking, model: str, baseline: Baseline) -> int | None:
    """The hour of the service's clock at which the newest version of a model came, or the map that is in force."""
    match baseline:
        case LastVersion():
            at = version_began(looking.connection, model)
            return None if at is None else hour_of(looking.judging.clock.at(at))
        case LastRecalibration():
            now = in_force(looking.connection, model)
            return None if now is None or now.calibrator is None else hour_of(now.at) + 1
        case _:
            return None


def _reading_of(looking: Looking, key: Key, span: Span) -> Reading | None:
    """The reading of a stretch of the past, by what is known of it now."""
    evaluation = looking.evaluation
    summed = span_sums(looking.connection, np.array([key[0]], np.int64), span)
    for _, sketch in sketches(summed.stack):
        subject = subject_of(looking.standing.series[key[0]], key[1], span, looking.as_of, evaluation.maturity)
        return read_many([sketch], evaluation.reading, [subject])[0]
    return None


def _of_detectors(looking: Looking) -> Iterator[Look]:
    judging, series = looking.judging, looking.standing.series
    if not judging.drift:
        return
    watched = {number for alert in judging.open.values() if (number := alert.target.series) in series}
    watched |= judging.alarmed
    since = looking.as_of - LOOK_BACK if judging.judged_at is None else looking.as_of
    found = standings(looking.connection, sorted(watched - {None}), since, looking.evaluation.drift.baseline_labels)
    alarmed = sorted({number for (number, _), standing in found.items() if standing.alarm is not None})
    shortest = sorted(looking.evaluation.windows, key=lambda window: window.hours or math.inf)
    drawn = newest(looking.connection, [(number, window.name) for number in alarmed for window in shortest])
    for (number, tier), standing in found.items():
        for rule in judging.drift:
            condition = rule.condition
            if not isinstance(condition, DriftAlarm) or condition.tier != tier or number not in series:
                continue
            if not selects(rule.select, series[number], looking.evaluation.main_signal):
                continue
            target = target_of(series[number], "", number)
            readings = (drawn[key] for window in shortest if (key := (number, window.name)) in drawn)
            verdict = of_detector(standing, looking.as_of, diagram_of(readings))
            if verdict.finding == "crossed" or alert_id(rule.name, target) in judging.open:
                yield _look(looking, rule, target, verdict)


def _look(looking: Looking, rule: AlertRule, target: Target, verdict: Verdict, labels: int | None = None) -> Look:
    force = looking.judging.force
    return Look(
        rule=rule.name,
        severity=rule.severity,
        terms=force.terms[rule.name],
        target=target,
        verdict=verdict,
        labels_seen=labels,
        hushed=force.hushed(rule),
    )


def _end(looking: Looking, alert: Alert) -> Iterator[Look]:
    """The end of an alert that no rule looks at any longer; nothing where its series only has no reading just now."""
    ended = _ended(looking, alert)
    if ended is not None:
        finding, reason = ended
        terms = looking.judging.force.terms.get(alert.rule, Terms(evaluate_every=looking.evaluation.every))
        said = Said(as_of=looking.as_of, reason=reason)
        yield Look(
            rule=alert.rule, severity=alert.severity, terms=terms, target=alert.target, verdict=Verdict(finding, said)
        )


def _ended(looking: Looking, alert: Alert) -> tuple[Finding, str] | None:
    judging, target = looking.judging, alert.target
    rule = judging.force.rules.get(alert.rule)
    if rule is None:
        return "rule_ended", "the rule is gone, or off"
    if target.about == "rollup":
        return None if rule.rollup is not None else ("rule_ended", "the rule rolls nothing up any longer")
    name = looking.standing.series.get(target.series or 0)
    if name is None or not selects(rule.select, name, looking.evaluation.main_signal):
        return "series_ended", "the rule does not select the series any longer"
    if isinstance(rule.condition, DriftAlarm):
        return None if not target.window else ("rule_ended", "the rule is about alarms now")
    own = next((each for each in judging.rules if each.rule.name == alert.rule), None)
    if own is None or not target.window:
        return "rule_ended", "the rule is about something else now"
    kept = target.window in looking.evaluation.names and own.looks_at(target.window)
    return None if kept else ("series_ended", "the rule does not look at the window any longer")
