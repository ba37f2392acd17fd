"""Suggestions: limits that would have told no more often than wanted, from what a history says of several at once."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from scipy.special import gammaincinv

from monitor.alerting.alertrules import AlertRule, Threshold
from monitor.alerting.calibrated import BIASED, by_chance
from monitor.alerting.kept import Kept
from monitor.alerting.kinds import limit_text
from monitor.alerting.metrics import Metric
from monitor.backtest.report import Backtest, RuleReport
from monitor.backtest.trail import firing_time

FACTORS: Final = (0.25, 0.4, 0.6, 0.8, 1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0)
"""How far candidates lie from where nothing is wrong, against the limit that a rule has."""
YEAR: Final = timedelta(days=365)
MOST_FIRING: Final = 0.05
"""A limit is not suggested beyond which series were for more than this share of the time."""
LEVEL: Final = 0.95
_BETWEEN: Final = "~"  # no name of a rule has it


@dataclass(frozen=True, slots=True)
class Candidate:
    """Limits of a rule, and what they would have told: alerts, pages, pages to expect in a year and at most (95 %).

    `firing`: the share of the time for which the series that were judged fired, 0..1. `is_below_chance`: a calibrated
    model might never come back below `exit`.
    """

    enter: float | timedelta
    exit: float | timedelta
    alerts: int
    pages: int
    yearly: float
    at_most: float
    firing: float
    is_below_chance: bool

    def is_fit(self, wanted: float) -> bool:
        """Whether it tells at most so many times a year, and has something to tell: what always fires says nothing."""
        return self.yearly <= wanted and self.firing <= MOST_FIRING and not self.is_below_chance


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What is suggested for a rule, and in which slice; `chosen` None: no candidate tells seldom enough, or none could
    be judged.

    `is_short`: the history is too short to tell so small a number, whatever it holds. `series`: how many were judged.
    """

    rule: AlertRule
    segment: str | None
    candidates: tuple[Candidate, ...]
    chosen: Candidate | None
    is_short: bool
    series: int

    @property
    def is_off_now(self) -> bool:
        """Whether the rule as it is would fire for much of the time: then the model is at fault, not the limit."""
        condition = self.rule.condition
        return any(
            each.firing > MOST_FIRING
            for each in self.candidates
            if isinstance(condition, Threshold) and each.enter == condition.enter
        )


@dataclass(frozen=True, slots=True)
class Variant:
    """The rule of a name with a candidate for its limits, under a name of its own."""

    of: str
    rule: AlertRule
    condition: Threshold


def variants(rules: Iterable[AlertRule]) -> list[Variant]:
    """Each rule on a measure of series with every candidate for its limits that a value of the measure could cross."""
    found = []
    for rule in rules:
        condition = rule.condition
        if not isinstance(condition, Threshold) or condition.metric.about != "series" or rule.mode == "off":
            continue
        for number, factor in enumerate(FACTORS):
            enter, leave = (_scaled(limit, factor, condition) for limit in (condition.enter, condition.exit))
            if _is_possible(enter, condition):
                limits = replace(condition, enter=enter, exit=leave)
                named = replace(rule, name=f"{rule.name}{_BETWEEN}{number}", condition=limits)
                found.append(Variant(rule.name, named, limits))
    return found


def suggestions(
    rules: Sequence[AlertRule],
    tried: Sequence[Variant],
    report: Backtest,
    kept: Kept,
    wanted: float,
    *,
    by_segment: bool,
) -> list[Suggestion]:
    """What to set for each rule for at most `wanted` pages a year, by the report of all the variants.

    With `by_segment` for each slice by itself, where alerts stand for pages.
    """
    told = {each.rule: each for each in report.rules}
    length = report.end_at - report.start_at
    found = []
    for rule in rules:
        reports = [(each, told[each.rule.name]) for each in tried if each.of == rule.name]
        if not reports:
            continue
        segments: Sequence[str | None] = _segments(one for _, one in reports) if by_segment else [None]
        judged = reports[0][1].series_judged
        for segment in segments:
            candidates = tuple(
                _candidate(each, one, segment, (report.start_at, report.end_at), kept) for each, one in reports
            )
            chosen = next((each for each in candidates if each.is_fit(wanted)), None) if judged else None
            found.append(Suggestion(rule, segment, candidates, chosen, yearly_at_most(0, length) > wanted, judged))
    return found


def yearly_at_most(pages: int, length: timedelta) -> float:
    """The upper 95 % limit of the pages a year where so many came in this length of time (Garwood 1936)."""
    return float(gammaincinv(pages + 1, LEVEL)) * (YEAR / length) if length > timedelta(0) else math.inf


def _candidate(
    variant: Variant, report: RuleReport, segment: str | None, period: tuple[datetime, datetime], kept: Kept
) -> Candidate:
    start_at, end_at = period
    length = end_at - start_at
    spans = [span for span in report.alerts if segment is None or span.series.get("segment", "") == segment]
    pages = report.pages if segment is None else sum(span.told for span in spans)
    yearly = pages * (YEAR / length) if length > timedelta(0) else math.inf
    lasted = firing_time(spans, end_at) / max(1, report.series_judged)
    return Candidate(
        enter=variant.condition.enter,
        exit=variant.condition.exit,
        alerts=len(spans),
        pages=pages,
        yearly=yearly,
        at_most=yearly_at_most(pages, length),
        firing=lasted / length if length > timedelta(0) else 0.0,
        is_below_chance=_is_below_chance(variant.condition, variant.rule.min_labelled, kept),
    )


def _segments(reports: Iterable[RuleReport]) -> list[str]:
    """The slices in which any candidate fired, the whole model first."""
    return sorted({span.series.get("segment", "") for report in reports for span in report.alerts})


def _scaled(limit: float | timedelta, factor: float, condition: Threshold) -> float | timedelta:
    """The limit so many times as far from where nothing is wrong: from 1, where low shares are bad, else from 0."""
    if isinstance(limit, timedelta):
        return timedelta(minutes=max(1, round(limit * factor / timedelta(minutes=1))))
    best = _best(condition.metric) if condition.compare == "below" else 0.0
    return _rounded(best + (limit - best) * factor, condition.metric)


def _best(metric: Metric) -> float:
    return 1.0 if metric.bad == "below" and metric.high == 1.0 else 0.0


def _rounded(limit: float, metric: Metric) -> float:
    if metric.unit == "count":
        return float(round(limit))
    return float(f"{limit:.3g}") if abs(limit) < 1 else round(limit, 3)


def _is_possible(enter: float | timedelta, condition: Threshold) -> bool:
    metric = condition.metric
    value = enter.total_seconds() if isinstance(enter, timedelta) else enter
    return (metric.low is None or metric.low < value or condition.compare.startswith("change")) and (
        metric.high is None or value < metric.high
    )


def _is_below_chance(condition: Threshold, labels: int, kept: Kept) -> bool:
    if condition.metric.name not in BIASED or condition.baseline is not None or isinstance(condition.exit, timedelta):
        return False
    return condition.exit <= by_chance(condition.metric.name, max(1, labels), kept.bins, kept.edges).median


def yaml_lines(suggestion: Suggestion, days: float) -> list[str]:
    """The lines to paste: a rule of its own for a slice, else the limits of the rule; [] where nothing is suggested."""
    chosen, rule = suggestion.chosen, suggestion.rule
    if chosen is None:
        return []
    said = f"# {chosen.pages} in {days:.0f} days, so {chosen.yearly:.1f} a year, at most {chosen.at_most:.0f}"
    limits = [f"enter: {limit_text(chosen.enter)}  {said}", f"exit: {limit_text(chosen.exit)}"]
    if not suggestion.segment:
        head = [f"- name: {rule.name}"]
    else:
        name = "".join(each if each.isalnum() else "_" for each in suggestion.segment)
        head = [f"- name: {rule.name}_{name}", f"  extends: {rule.name}", "  select:"]
        head.append(f"    segment: {_quoted(suggestion.segment)}")
    return [*head, *(f"  {line}" for line in limits)]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
