"""The keeper: rules about models and about the service itself are judged where alerts are told, not where readings are
made, so that a leader which stands still is noticed.

One deliver process keeps at a time; the lock is that of a transaction, so it cannot be lost while it is used.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import psycopg

from monitor.alerting.alert import Alert
from monitor.alerting.alertrules import AlertRule, Threshold
from monitor.alerting.force import Force, force_of
from monitor.alerting.judgement import limits_of, of_value
from monitor.alerting.kept import Kept
from monitor.alerting.patterns import matches
from monitor.alerting.round import Change, Look
from monitor.alerting.target import SERVICE, Target
from monitor.alerting.terms import Terms
from monitor.alerting.validation import checked
from monitor.alerting.verdict import Finding, Said, Verdict
from monitor.errors import CaldriftError, Unavailable
from monitor.postgres import certificates, monitored
from monitor.postgres.alerts import read_open
from monitor.postgres.database import Connection, answering, connect_waiting
from monitor.postgres.installation import Installation, read_installation
from monitor.postgres.leader import wall_time
from monitor.postgres.rule_sets import JudgedRule, note_judged, rule_set
from monitor.workers.round import carry_out

APPLICATION: Final = "caldrift deliver keeper"
KEEP_SECONDS: Final = 5.0
"""Wall time between two rounds."""
LOCK: Final = (0x63616C64, 2)  # "cald", keeper
_NOTHING: Final = "nothing was seen of it yet"

log = logging.getLogger("caldrift.deliver")


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a keeper is told: what the settings keep, how often rules are judged, and where the pages are."""

    dsn: str = field(repr=False)
    kept: Kept
    every: timedelta
    pages: str = ""


@dataclass(slots=True)
class Memory:
    """The rules in force as they were read last."""

    rule_set: int | None = None
    force: Force | None = None


class Keeper:
    """Keeps in a thread of its own until `stop` is set."""

    def __init__(self, keeping: Keeping, stop: threading.Event) -> None:
        self._keeping, self._stop = keeping, stop
        self.thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        dsn = self._keeping.dsn
        while not self._stop.is_set():
            try:
                with (
                    connect_waiting(
                        dsn, APPLICATION, sleep=self._sleep, say=log.warning, stopped=self._stop.is_set
                    ) as connection,
                    answering(dsn),
                ):
                    memory = Memory()
                    while not self._stop.is_set():
                        keep(connection, self._keeping, memory)
                        self._sleep(KEEP_SECONDS)
            except Unavailable as failure:
                if not self._stop.is_set():
                    log.warning(str(failure))
                    self._sleep(1.0)
            except (CaldriftError, psycopg.Error):
                log.exception("the monitor itself cannot be judged; once more")
                self._sleep(KEEP_SECONDS)

    def _sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)


def keep(connection: Connection, keeping: Keeping, memory: Memory) -> list[Change]:
    """Judge models and the service by the rules in force, unless another process does; returns what changed."""
    with connection.transaction():
        if connection.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", LOCK).fetchone() != (True,):
            return []
        installation = read_installation(connection)
        is_new = _read_rules(connection, keeping, memory, installation)
        if memory.force is None:
            return []
        now, force = installation.clock.at(wall_time(connection)), memory.force
        alerts = read_open(connection, "model", "service")
        others = read_open(connection, "series", "rollup") if force.file.inhibit else {}
        found, judged = _looks(connection, force, now)
        looks = [each for each in found if each.id in alerts or each.verdict.finding == "crossed"]
        seen = {each.id for each in found}
        looks += [_end(force, alert, now) for alert in alerts.values() if alert.id not in seen]
        note_judged(connection, judged)
        rate = installation.clock.rate
        return carry_out(connection, force, looks, others | alerts, now, rate=rate, regroup=is_new)


def _read_rules(connection: Connection, keeping: Keeping, memory: Memory, installation: Installation) -> bool:
    """Take over the rules in force where they are new; returns whether they were."""
    found = rule_set(connection)
    if found is None or found.id == memory.rule_set:
        return False
    memory.rule_set = found.id
    file = checked(found.body, keeping.kept).file
    if file is None:
        log.error("the rules in force cannot be used here; what held before still holds")
        return False
    every = max(keeping.every, timedelta(seconds=KEEP_SECONDS) * installation.clock.rate)
    memory.force = force_of(file, every, installation.created_at.isoformat(), keeping.pages)
    return True


def _looks(connection: Connection, force: Force, now: datetime) -> tuple[list[Look], list[JudgedRule]]:
    """All looks at models and the service, and what came of each rule."""
    values: dict[str, Mapping[Target, float | None]] = {}
    looks, judged = [], []
    for rule in force.rules.values():
        condition = rule.condition
        if not isinstance(condition, Threshold) or condition.metric.about == "series":
            continue
        name = condition.metric.name
        if name not in values:
            values[name] = _VALUES[name](connection)
        found = [
            _look(force, rule, target, _verdict(value, rule, condition, now))
            for target, value in values[name].items()
            if matches(rule.select.model, target.model) or target.about == "service"
        ]
        looks += found
        lacking = sum(each.verdict.finding == "insufficient" for each in found)
        judged.append(JudgedRule(rule.name, rule.severity, rule.mode, now, len(found), lacking))
    return looks, judged


def _verdict(value: float | None, rule: AlertRule, condition: Threshold, now: datetime) -> Verdict:
    if value is None:
        return Verdict("insufficient", Said(as_of=now, reason=_NOTHING))
    return of_value(value, condition.metric.name, limits_of(rule, condition), now)


def _look(force: Force, rule: AlertRule, target: Target, verdict: Verdict) -> Look:
    return Look(
        rule=rule.name,
        severity=rule.severity,
        terms=force.terms[rule.name],
        target=target,
        verdict=verdict,
        hushed=force.hushed(rule),
    )


def _end(force: Force, alert: Alert, now: datetime) -> Look:
    """The end of an alert that no rule looks at any longer."""
    finding, reason = _ended(force, alert)
    return Look(
        rule=alert.rule,
        severity=alert.severity,
        terms=force.terms.get(alert.rule, Terms()),
        target=alert.target,
        verdict=Verdict(finding, Said(as_of=now, reason=reason)),
    )


def _ended(force: Force, alert: Alert) -> tuple[Finding, str]:
    rule, about = force.rules.get(alert.rule), alert.target.about
    if rule is None:
        return "rule_ended", "the rule is gone, or off"
    if not isinstance(rule.condition, Threshold) or rule.condition.metric.about != about:
        return "rule_ended", "the rule is about something else now"
    if about == "model" and not matches(rule.select.model, alert.target.model):
        return "series_ended", "the rule does not select the model any longer"
    return "series_ended", "nothing is known of the model any longer"


def _of_service(value: float | timedelta | None) -> dict[Target, float | None]:
    return {SERVICE: value.total_seconds() if isinstance(value, timedelta) else value}


_VALUES: Final[dict[str, Callable[[Connection], Mapping[Target, float | None]]]] = {
    "labels_stale": lambda connection: {
        Target("model", model): age.total_seconds() for model, age in monitored.labels_stale(connection).items()
    },
    "recalibration_late": lambda connection: {
        Target("model", model): age.total_seconds() for model, age in monitored.recalibration_ages(connection).items()
    },
    "certificate_breach": lambda connection: {
        Target("model", model): shortfall for model, shortfall in certificates.shortfalls(connection).items()
    },
    "intake_stopped": lambda connection: _of_service(monitored.intake_stopped(connection)),
    "consumer_lag": lambda connection: _of_service(monitored.consumer_lag(connection)),
    "dead_letters": lambda connection: _of_service(monitored.dead_letters_of_a_day(connection)),
    "evaluation_late": lambda connection: _of_service(monitored.evaluation_age(connection)),
    "outbox_stuck": lambda connection: _of_service(monitored.outbox_stuck(connection)),
}
"""What each measure of the monitor is; None where nothing is known."""
