"""Judging: the leader holds readings and alarms against the rules in force, at the end of each pass.

Alerts, transitions, incidents and notices of one round are written in one transaction of the leader. A round is of the
instant at which it is made; of what nothing is the matter with, only readings that may begin an alert are looked at.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from monitor.alerting.alert import Alert
from monitor.alerting.alertrules import AlertRule, DriftAlarm
from monitor.alerting.force import Force
from monitor.alerting.readingrule import ReadingRule, reading_rule
from monitor.alerting.round import Rollup
from monitor.alerting.selection import selects
from monitor.alerting.states import Ok
from monitor.calibration.reading import Reading
from monitor.postgres.alerts import read_open
from monitor.postgres.database import Connection
from monitor.postgres.installation import StoredClock
from monitor.postgres.readings import StoredReading
from monitor.postgres.rule_sets import JudgedRule
from monitor.rolling.segments import SeriesName

Key: TypeAlias = tuple[int, str]
"""A series and the name of a window."""


@dataclass(slots=True)
class Judging:
    """What the leader remembers of rules and alerts."""

    force: Force
    clock: StoredClock
    open: dict[UUID, Alert]
    """Alerts on series, and rollups of them, that are pending, fire or recover."""
    rules: tuple[ReadingRule, ...] = ()
    drift: tuple[AlertRule, ...] = ()
    by_series: dict[int, tuple[ReadingRule, ...]] = field(default_factory=dict)
    """The rules on readings that look at each series."""
    selected: dict[str, Counter[str]] = field(default_factory=dict)
    """By rule, how many series of each model it looks at."""
    lacking: dict[str, set[Key]] = field(default_factory=dict)
    """By rule, the readings that could not tell."""
    noted: dict[Key, Reading] = field(default_factory=dict)
    """Readings of the pass under way that rules have to look at."""
    alarmed: set[int] = field(default_factory=set)
    """Series whose detectors raised an alarm since the last round."""
    is_due: bool = False
    """Whether a pass has ended since the last round."""
    is_new: bool = True
    """Whether the rules came into force after the last round."""
    judged_at: datetime | None = None


def load_judging(connection: Connection, force: Force, clock: StoredClock) -> Judging:
    """What there is to know when rules come into force, or a leader into office."""
    rules = tuple(found for rule in force.rules.values() if (found := reading_rule(rule)) is not None)
    drift = tuple(rule for rule in force.rules.values() if isinstance(rule.condition, DriftAlarm))
    return Judging(force, clock, read_open(connection, "series", "rollup"), rules, drift)


def admit(judging: Judging, series: Mapping[int, SeriesName], main_signal: str) -> None:
    """Find the rules that look at series which have not been met yet."""
    for number in series.keys() - judging.by_series.keys():
        name = series[number]
        found = tuple(each for each in judging.rules if selects(each.rule.select, name, main_signal))
        judging.by_series[number] = found
        for each in found:
            judging.selected.setdefault(each.rule.name, Counter())[name.model] += 1


def note_readings(judging: Judging, stored: Iterable[StoredReading]) -> None:
    """Keep the readings of a pass that rules have to look at: those of open alerts, and those that may begin one."""
    watched = {(alert.target.series, alert.target.window) for alert in judging.open.values()}
    for one in stored:
        key = (one.series, one.window)
        wanted = key in watched
        for rule in judging.by_series.get(one.series, ()):
            if not rule.looks_at(one.window):
                continue
            lacking = judging.lacking.setdefault(rule.rule.name, set())
            (lacking.add if rule.lacks(one.reading) else lacking.discard)(key)
            wanted = wanted or rule.may_begin(one.reading)
        if wanted:
            judging.noted[key] = one.reading


def note_alerts(judging: Judging, alerts: Iterable[Alert], as_of: datetime) -> None:
    """Remember how alerts stand after a round."""
    for alert in alerts:
        if isinstance(alert.state, Ok):
            judging.open.pop(alert.id, None)
        else:
            judging.open[alert.id] = alert
    judging.noted.clear()
    judging.alarmed.clear()
    judging.is_due, judging.is_new, judging.judged_at = False, False, as_of


def rollups_of(judging: Judging) -> dict[str, Rollup]:
    """The rules whose alerts may become one, with how many series of each model they look at."""
    force, found = judging.force, {}
    for each in judging.rules:
        rule = each.rule
        if rule.rollup is not None:
            terms = replace(force.terms[rule.name], wait=timedelta(0), for_new_labels=0)
            selected = judging.selected.get(rule.name, Counter())
            found[rule.name] = Rollup(rule.severity, terms, rule.rollup.when_share, selected, force.hushed(rule))
    return found


def judged_rules(
    judging: Judging, windows: Iterable[str], failures: Mapping[str, str], as_of: datetime
) -> list[JudgedRule]:
    """What came of each rule on series; `failures` by rule, of those that could not be judged."""
    names, found = list(windows), []
    for each in judging.rules:
        rule = each.rule
        looked = sum(judging.selected.get(rule.name, {}).values()) * sum(map(each.looks_at, names))
        lacking = len(judging.lacking.get(rule.name, ()))
        failure = failures.get(rule.name)
        found.append(JudgedRule(rule.name, rule.severity, rule.mode, as_of, looked, lacking, failure))
    watched = len(judging.by_series)
    found += [JudgedRule(rule.name, rule.severity, rule.mode, as_of, watched, 0) for rule in judging.drift]
    return found
