"""A replay tells what judging every series afresh at every hour tells, and what is known later never changes it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
import pytest

from monitor.alerting import baselines
from monitor.alerting.alert import Alert
from monitor.alerting.hushing import Hushing
from monitor.alerting.readingrule import ReadingRule, reading_rule
from monitor.alerting.round import Look, decided
from monitor.alerting.target import alert_id, target_of
from monitor.backtest.replay import Period
from monitor.calibration.reading import Reading
from monitor.calibration.readout import read_many
from monitor.calibration.sketch import Sketch, sketch_of
from monitor.errors import BadInput
from monitor.rolling.panes import HOUR, Span, start_of
from monitor.rolling.subjects import subject_of
from monitor.rolling.windows import Window, span_at
from tests.backtest.making import FIRST, SETTING, Answers, answers, backtest, force

RULES = """
defaults: {min_labelled: 200, select: {window: 1d}, keep_firing_for: 4h, for: 2h}
rules:
  - {name: Ece, metric: ece, enter: 0.05, exit: 0.04, min_labelled: 350}
  - {name: Point, metric: signed_gap, compare: above, enter: 0.04, exit: 0.02, evidence: point}
  - {name: Under, metric: signed_gap, compare: below, enter: -0.02, exit: -0.01, evidence: point}
  - {name: Errors, metric: confident_error_share, enter: 0.05, exit: 0.04, for: 0s}
  - {name: Score, metric: brier, enter: 0.19, exit: 0.18}
  - {name: Slow, metric: label_delay_seconds, enter: 3h, exit: 2h, for_new_labels: 0}
  - {name: Few, metric: n, compare: below, enter: 380, exit: 400, on_insufficient_data: alert, min_label_coverage: 0.85}
  - {name: Long, metric: ece, enter: 0.03, exit: 0.02, min_labelled: 1300, select: {window: all}}
  - {name: Rise, metric: ece, compare: change_above, enter: 0.02, exit: 0.01, evidence: point,
     baseline: {kind: trailing, length: 3d}}
  - {name: Season, metric: accuracy, compare: change_below, enter: -0.03, exit: -0.01, evidence: point,
     baseline: {kind: same_period, every: 1d, periods: 3, min_periods: 2}}
"""


def known_at(given: Answers, hour: int) -> Answers:
    """The answers as they were known at an hour: those that had come, with the labels that had."""
    there = given.pane + 1 <= hour
    labelled = (given.known >= 0) & (given.known <= hour)
    return replace(
        given,
        series=given.series[there],
        pane=given.pane[there],
        confidence=given.confidence[there],
        outcome=np.where(labelled, given.outcome, np.nan)[there],
        known=given.known[there],
    )


def sketched(given: Answers, series: int, start: int, end: int) -> Sketch:
    rows = (given.series == series) & (given.pane >= start) & (given.pane < end)
    delay = (given.known - given.pane)[rows] * 3_600_000_000
    return sketch_of(given.confidence[rows], given.outcome[rows], delay_us=delay)


def readings_afresh(
    given: Answers, as_of: datetime, spans: Iterable[tuple[int, Span]]
) -> dict[tuple[int, Span], Reading]:
    """A reading of each series and span, of the answers as they are given."""
    wanted = sorted(set(spans))
    sketches = [sketched(given, series, span.start_hour, span.end_hour) for series, span in wanted]
    subjects = [subject_of(given.names[series], "w", span, as_of, SETTING.maturity) for series, span in wanted]
    return dict(zip(wanted, read_many(sketches, SETTING.reading, subjects), strict=True))


def judged_afresh(given: Answers, hours: range, every: timedelta) -> Iterator[tuple[int, str, str, str]]:
    """(hour, rule, model, reason) of every transition, by readings of every series from scratch at every hour."""
    rules = force(RULES, every)
    found = [rule for each in rules.rules.values() if (rule := reading_rule(each)) is not None]
    alerts: dict[UUID, Alert] = {}
    for hour in hours:
        known, as_of = known_at(given, hour), start_of(hour)
        everything = span_at(SETTING.windows[-1], as_of, SETTING.maturity)
        looked_at: list[tuple[ReadingRule, int, Window, list[Span]]] = []
        for rule in found:
            for window in (each for each in SETTING.windows if rule.looks_at(each.name)):
                spans = [span_at(window, as_of, SETTING.maturity)]
                if rule.baseline is not None and window.hours is not None:
                    spans += baselines.spans(rule.baseline, spans[0], window.hours, None)
                looked_at += [(rule, series, window, spans) for series in given.names if (known.series == series).any()]
        wanted = [(series, span) for _, series, _, spans in looked_at for span in (everything, *spans)]
        readings = readings_afresh(known, as_of, wanted)
        looks = []
        for rule, series, window, (span, *before) in looked_at:
            target = target_of(given.names[series], window.name, series)
            stored = alerts.get(alert_id(rule.rule.name, target))
            seen = readings[series, everything].n
            new = seen if stored is None or stored.labels_seen is None else seen - stored.labels_seen
            baseline = None
            if rule.baseline is not None:
                told = [each for at in before if not rule.lacks(each := readings[series, at])]
                baseline = baselines.together(told, rule.measure, rule.baseline)
            looks.append(
                Look(
                    rule=rule.rule.name,
                    severity=rule.rule.severity,
                    terms=rules.terms[rule.rule.name],
                    target=target,
                    verdict=rule.verdict(readings[series, span], as_of, max(0, new), baseline),
                    labels_seen=seen,
                )
            )
        for change in decided(looks, alerts, Hushing(as_of)):
            alerts[change.after.id] = change.after
            if change.decision.transition is not None:
                yield hour, change.after.rule, change.after.target.model, change.decision.transition.reason


def spans_of(transitions: list[tuple[int, str, str, str]]) -> set[tuple[str, str, int, int | None, int]]:
    """(rule, model, fired, resolved, flaps) of every alert that fired."""
    spans: set[tuple[str, str, int, int | None, int]] = set()
    firing: dict[tuple[str, str], tuple[int, int]] = {}
    for hour, rule, model, reason in transitions:
        key = rule, model
        if reason == "fired":
            firing[key] = hour, 0
        elif reason == "flapped":
            firing[key] = firing[key][0], firing[key][1] + 1
        elif reason in {"resolved", "no data"}:
            at, flaps = firing.pop(key)
            spans.add((rule, model, at, hour, flaps))
    return spans | {(rule, model, at, None, flaps) for (rule, model), (at, flaps) in firing.items()}


@pytest.mark.parametrize("seed", range(2))
def test_a_replay_fires_what_judging_every_series_afresh_fires(seed: int) -> None:
    given, every = answers(seed, days=7, series=2, each_hour=18, drift_from=80, coverage=0.88), 2 * HOUR
    report = backtest(given, RULES, Period(every=every))
    transitions = list(judged_afresh(given, range(FIRST + 2, int(given.known.max()) + 1, 2), every))
    found = {
        (
            rule.rule,
            span.series["model"],
            int(span.fired_at.timestamp() // 3600),
            None if span.resolved_at is None else int(span.resolved_at.timestamp() // 3600),
            span.damped,
        )
        for rule in report.rules
        for span in rule.alerts
    }
    assert found == spans_of(transitions)
    assert {rule.rule for rule in report.rules if rule.fired} >= {"Ece", "Point", "Under", "Errors", "Score", "Few"}
    withdrawn = [rule for _, rule, _, reason in transitions if reason == "withdrawn"]
    assert {rule.rule: rule.withdrawn for rule in report.rules if rule.withdrawn} == {
        rule: withdrawn.count(rule) for rule in withdrawn
    }


def test_what_becomes_known_later_changes_nothing_before() -> None:
    given = answers(3, days=8, drift_from=96)
    end = FIRST + 150
    until = Period(end_at=start_of(end))
    assert (given.known > end).any()
    assert backtest(given, RULES, until) == backtest(known_at(given, end), RULES, until)


def test_a_rule_that_is_judged_from_a_later_hour_knows_what_came_before() -> None:
    given = answers(4, days=9, drift_from=120)
    start = start_of(FIRST + 140)
    [whole] = [rule for rule in backtest(given, RULES).rules if rule.rule == "Ece"]
    later = backtest(given, RULES, Period(start_at=start))
    [part] = [rule for rule in later.rules if rule.rule == "Ece"]
    assert later.start_at == start
    assert [span.fired_at for span in part.alerts if span.fired_at > start + 3 * HOUR] == [
        span.fired_at for span in whole.alerts if span.fired_at > start + 3 * HOUR
    ]


def test_judging_more_seldom_looks_at_fewer_hours() -> None:
    given = answers(5, days=4)
    hourly, seldom = (backtest(given, RULES, Period(every=timedelta(hours=every))) for every in (1, 4))
    ratio = hourly.rules[0].insufficient.of / seldom.rules[0].insufficient.of
    assert 3.5 < ratio < 4.5


def test_delay_and_false_pages_are_told_against_a_marked_onset() -> None:
    given = answers(6, days=9, drift_from=150, shift=0.25)
    onset = start_of(FIRST + 150)
    [rule] = [each for each in backtest(given, RULES, Period(onset_at=onset)).rules if each.rule == "Ece"]
    assert rule.onset is not None
    assert rule.onset.delay_seconds is not None
    assert rule.onset.pages_before == sum(span.fired_at < onset for span in rule.alerts)
    first = min(span.fired_at for span in rule.alerts if span.fired_at >= onset)
    assert rule.onset.delay_seconds == (first - onset).total_seconds() > 0


@pytest.mark.parametrize("period", [Period(start_at=start_of(FIRST + 10_000)), Period(end_at=start_of(FIRST - 10_000))])
def test_a_time_of_which_nothing_is_known_is_refused(period: Period) -> None:
    with pytest.raises(BadInput, match="nothing is known"):
        backtest(answers(7, days=2), RULES, period)


@pytest.mark.parametrize("every", [timedelta(minutes=5), timedelta(minutes=90), timedelta(0)])
def test_rules_are_judged_every_so_many_whole_hours(every: timedelta) -> None:
    with pytest.raises(BadInput, match="whole hours"):
        Period(every=every)
