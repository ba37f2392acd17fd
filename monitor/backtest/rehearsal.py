"""Rehearsal: rules go through the time lines of their tests, by the functions that judge them live."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from monitor.alerting.alertrules import AlertRule, DriftAlarm
from monitor.alerting.judgement import Standing, limits_of, of_detector, of_value
from monitor.alerting.kinds import limit_text
from monitor.alerting.lifecycle import decide
from monitor.alerting.mistakes import Mistake
from monitor.alerting.readingrule import ReadingRule, reading_rule
from monitor.alerting.states import NEW, State, name_of
from monitor.alerting.terms import terms_of
from monitor.alerting.verdict import Said, Verdict
from monitor.backtest.ruletests import Line, RuleTest, Written, moment_text
from monitor.calibration.reading import BinsSetting, Reading
from monitor.drift.alarms import Alarm

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_CALM: Final = 1500
"""Labels that end an alarm, of a time line in which it is over."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Where an alert is after some evaluations, and what is told of it."""

    state: State
    told: tuple[tuple[timedelta, str], ...] = ()


def failures(written: Written, rules: dict[str, AlertRule]) -> list[Mistake]:
    """What does not come as the tests of a file expect, in the order of its lines; a rule that is not there fails."""
    found: list[Mistake] = []
    for number, test in enumerate(written.tests.tests):
        rule = rules.get(test.rule)
        if rule is None or rule.mode == "off":
            place = written.place("tests", number, "rule")
            known = ", ".join(name for name, each in rules.items() if each.mode != "off")
            found.append(Mistake(place, f"{test.name}: {test.rule} must be a rule that is judged: {known}"))
        else:
            found += _rehearsed(written, number, test, rule)
    return found


def _rehearsed(written: Written, number: int, test: RuleTest, rule: AlertRule) -> Iterator[Mistake]:
    """The failures of one time line; after the first one of a line the rest goes on from what truly came."""
    every, since, seen = written.tests.evaluate_every, timedelta(0), _Seen(NEW)
    for place, line in enumerate(test.timeline):
        path = ("tests", number, "timeline", place)
        wrong = _unfit(line, rule)
        if wrong is not None:
            yield Mistake(written.place(*path, wrong[0]), f"{test.name}: {wrong[1]}")
            return
        seen = _lived(_Seen(seen.state), line, rule, since, every)
        state = name_of(seen.state)
        until = moment_text(line.until)
        if line.state is not None and state != line.state:
            said = f"{test.name}: at {until} {rule.name} is {state}, expected {line.state}"
            yield Mistake(written.place(*path, "state"), said)
        expected = tuple((each.at, each.what) for each in line.tells)
        if seen.told != expected:
            said = f"{test.name}: up to {until} told {_words(seen.told)}, expected {_words(expected)}"
            yield Mistake(written.place(*path, "tells"), said)
        since = line.until


def _lived(seen: _Seen, line: Line, rule: AlertRule, since: timedelta, every: timedelta) -> _Seen:
    terms, now = terms_of(rule, every), since
    while now < line.until:
        now += every
        decision = decide(seen.state, _verdict(line, rule, START + now), terms, START + now)
        told = () if decision.notice is None else ((now, str(decision.notice)),)
        seen = _Seen(decision.state, (*seen.told, *told))
    return seen


def _verdict(line: Line, rule: AlertRule, as_of: datetime) -> Verdict:
    if line.error is not None:
        return Verdict("failed", Said(as_of=as_of, reason=line.error))
    if line.ends is not None:
        return Verdict("series_ended" if line.ends == "series" else "rule_ended", Said(as_of=as_of, reason="it ends"))
    condition, on_readings = rule.condition, reading_rule(rule)
    if isinstance(condition, DriftAlarm):
        return of_detector(_standing(line, condition), as_of)
    if on_readings is not None:
        baseline = None if line.baseline is None else _reading(on_readings, line, line.baseline, 0.0)
        reading = _reading(on_readings, line, line.value, line.give_or_take)
        return on_readings.verdict(reading, as_of, line.new_labels, baseline)
    if line.value is None:
        return Verdict("insufficient", Said(as_of=as_of, reason="not known"))
    return of_value(_number(line.value), condition.metric.name, limits_of(rule, condition), as_of)


def _reading(rule: ReadingRule, line: Line, value: float | timedelta | None, half: float) -> Reading:
    measure, known = rule.measure, value is not None and line.labels > 0
    number = _number(value) if value is not None else 0.0
    has_interval = rule.rule.condition.metric.interval if not isinstance(rule.rule.condition, DriftAlarm) else False
    whole: dict[str, object] = {"n": line.labels, "n_predictions": line.labels, "coverage": line.coverage}
    if known:
        whole[measure] = int(number) if measure in {"n", "n_predictions"} else number
    return Reading(
        model="",
        bins_setting=BinsSetting(10, "right_closed"),
        intervals={measure: (number - half, number + half)} if known and has_interval else {},
        missing={} if known else {measure: "no labels" if not line.labels else "not known"},
        confidence_level=0.95,
        not_enough_labels=False,
        **whole,  # type: ignore[arg-type]  # the fields have these types
    )


def _standing(line: Line, condition: DriftAlarm) -> Standing:
    """What the detectors would say; of an alarm only that it stands, or is over, matters here."""
    said = line.alarm or "none"
    alarm = Alarm(0, condition.tier, 1, "high", 1, 0, (0, 1), 0.1, (0.05, 0.15), 1.0, 1.0)
    taught = None if said == "learning" else 0
    if said in {"none", "learning"}:
        return Standing(alarm=None, labels_since=0.0, calm_labels=_CALM, taught_from=taught)
    since = float(_CALM) if said == "over" else 0.0
    return Standing(alarm=alarm, labels_since=since, calm_labels=_CALM, taught_from=taught)


def _unfit(line: Line, rule: AlertRule) -> tuple[str, str] | None:
    """The key of a line that says what the rule has no use for, and why; None where all fits."""
    condition = rule.condition
    if isinstance(condition, DriftAlarm):
        given = next((key for key in ("value", "baseline") if getattr(line, key) is not None), None)
        return None if given is None else (given, f"{rule.name} is about alarms: say alarm: none, stands or over")
    if line.alarm is not None:
        return "alarm", f"{rule.name} is about {condition.metric.name}: say its value"
    is_of_time = condition.metric.unit == "duration"
    for key in ("value", "baseline"):
        value = getattr(line, key)
        if value is not None and isinstance(value, timedelta) != is_of_time:
            kind = "a duration such as 12h" if is_of_time else "a number"
            return key, f"{key} must be {kind}, as {condition.metric.name} is, got {limit_text(value)}"
    if line.baseline is not None and condition.baseline is None:
        return "baseline", f"{rule.name} compares with no baseline"
    return None


def _number(value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _words(told: tuple[tuple[timedelta, str], ...]) -> str:
    return ", ".join(f"{moment_text(at)} {what}" for at, what in told) or "nothing"
