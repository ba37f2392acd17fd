"""Rules with every value filled in: from the rule, from those it extends, from `defaults`, from what is built in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias, TypeVar

from monitor.alerting.conduct import BUILT_IN, Conduct, Evidence, Insufficient, Mode, OnError, Select, Severity
from monitor.alerting.metrics import DRIFT, METRICS, Metric
from monitor.alerting.patterns import Patterns
from monitor.alerting.rulefile import RuleFile
from monitor.alerting.rules import Baseline, Compare, Rollup, RuleEntry
from monitor.drift.alarms import Tier

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Selection:
    """Patterns of the series that a rule looks at. `signal` None is the main signal."""

    model: Patterns
    segment: Patterns
    signal: Patterns | None
    source: Patterns
    window: Patterns


@dataclass(frozen=True, slots=True)
class Threshold:
    """A value against limits: it enters beyond `enter` and leaves once it is back within `exit`.

    Of a change they are of the value less that of `baseline`. A duration is a limit of a measure of time only.
    """

    metric: Metric
    compare: Compare
    enter: float | timedelta
    exit: float | timedelta
    evidence: Evidence
    baseline: Baseline | None = None


@dataclass(frozen=True, slots=True)
class DriftAlarm:
    """An alarm of the detectors. `false_pages_per_year` None: as many as the settings say."""

    tier: Tier
    false_pages_per_year: float | None


Condition: TypeAlias = Threshold | DriftAlarm


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """One rule with nothing left open. `route` None: nobody is told, the pages show it."""

    name: str
    description: str
    condition: Condition
    select: Selection
    for_: timedelta
    for_new_labels: int
    keep_firing_for: timedelta
    repeat_every: timedelta
    min_labelled: int
    min_label_coverage: float
    on_insufficient_data: Insufficient
    on_error: OnError
    send_resolved: bool
    severity: Severity
    mode: Mode
    route: str | None
    rollup: Rollup | None
    summary: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def family(entry: RuleEntry, by_name: Mapping[str, RuleEntry]) -> tuple[RuleEntry, ...]:
    """The rule and those it extends, nearest first; a name that is unknown, or was met before, ends it."""
    found = [entry]
    while (parent := by_name.get(found[-1].extends or "")) is not None and parent not in found:
        found.append(parent)
    return tuple(found)


def alert_rule(entry: RuleEntry, by_name: Mapping[str, RuleEntry], file: RuleFile) -> AlertRule | None:
    """The rule with every value filled in; None while it has no metric, no limit or no side."""
    members = family(entry, by_name)
    chain: tuple[Conduct, ...] = (*members, file.defaults, BUILT_IN)
    condition = _condition(members, chain)
    if condition is None:
        return None
    return AlertRule(
        name=entry.name,
        description=entry.description or "",
        condition=condition,
        select=_selection([each.select for each in chain if each.select is not None]),
        for_=_first(each.for_ for each in chain),
        for_new_labels=_first(each.for_new_labels for each in chain),
        keep_firing_for=_first(each.keep_firing_for for each in chain),
        repeat_every=_first(each.repeat_every for each in chain),
        min_labelled=_first(each.min_labelled for each in chain),
        min_label_coverage=_first(each.min_label_coverage for each in chain),
        on_insufficient_data=_first(each.on_insufficient_data for each in chain),
        on_error=_first(each.on_error for each in chain),
        send_resolved=_first(each.send_resolved for each in chain),
        severity=_first(each.severity for each in chain),
        mode=_first(each.mode for each in chain),
        route=_found([*(each.route for each in chain), file.fallback_route, *_only(file.routes)]),
        rollup=_found(each.rollup for each in members),
        summary=_first(each.summary for each in chain),
        labels=_merged([each.labels for each in chain]),
        annotations=_merged([each.annotations for each in chain]),
    )


def alert_rules(file: RuleFile) -> tuple[AlertRule, ...]:
    """Every rule of a file that has been checked."""
    by_name = {entry.name: entry for entry in file.rules}
    return tuple(rule for entry in file.rules if (rule := alert_rule(entry, by_name, file)) is not None)


def _condition(members: Sequence[RuleEntry], chain: Sequence[Conduct]) -> Condition | None:
    name = _found(each.metric for each in members)
    if name == DRIFT:
        tier: Tier | None = _found(each.tier for each in members)
        return DriftAlarm(tier or "page", _found(each.false_pages_per_year for each in members))
    metric = METRICS.get(name or "")
    enters: list[float | timedelta | None] = [each.enter for each in members]
    exits: list[float | timedelta | None] = [each.exit for each in members]
    baselines: list[Baseline | None] = [each.baseline for each in members]
    enter = _found(enters)
    compare: Compare | None = _found(each.compare for each in members) or (metric.bad if metric else None)
    if metric is None or enter is None or compare is None:
        return None
    end = _found(exits)
    evidence: Evidence = _first(each.evidence for each in chain)
    return Threshold(
        metric=metric,
        compare=compare,
        enter=enter,
        exit=enter if end is None else end,
        evidence=evidence if metric.interval else "point",
        baseline=_found(baselines),
    )


def _selection(given: Sequence[Select]) -> Selection:
    return Selection(
        model=_first(each.model for each in given),
        segment=_first(each.segment for each in given),
        signal=_found(each.signal for each in given),
        source=_first(each.source for each in given),
        window=_first(each.window for each in given),
    )


def _found(values: Iterable[Value | None]) -> Value | None:
    return next((value for value in values if value is not None), None)


def _first(values: Iterable[Value | None]) -> Value:
    """The first value that is given; the built-in ones end every chain."""
    return next(value for value in values if value is not None)


def _only(routes: Mapping[str, object]) -> list[str]:
    return list(routes) if len(routes) == 1 else []


def _merged(given: Sequence[Mapping[str, str] | None]) -> dict[str, str]:
    """All keys; the nearest value of each."""
    return {name: text for each in reversed(given) for name, text in (each or {}).items()}
