"""Rules with every value filled in: from the rule, from those it extends, from `defaults`, from what is built in."""

from collections.abc import Mapping, Sequence
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
    false_discovery_rate: float | None
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


def inherited(members: Sequence[RuleEntry]) -> RuleEntry:
    """The first of the rules, with what it does not say taken over from those after it."""
    return members[0].model_copy(update=_filled(members))


def alert_rule(entry: RuleEntry, by_name: Mapping[str, RuleEntry], file: RuleFile) -> AlertRule | None:
    """The rule with every value filled in; None while it has no metric, no limit or no side."""
    members = family(entry, by_name)
    whole = members[0].model_copy(update=_filled((*members, file.defaults, BUILT_IN)))
    condition = _condition(whole)
    if condition is None:
        return None
    return AlertRule(
        name=entry.name,
        description=entry.description or "",
        condition=condition,
        select=_selection(_given(whole.select)),
        for_=_given(whole.for_),
        for_new_labels=_given(whole.for_new_labels),
        keep_firing_for=_given(whole.keep_firing_for),
        repeat_every=_given(whole.repeat_every),
        min_labelled=_given(whole.min_labelled),
        min_label_coverage=_given(whole.min_label_coverage),
        false_discovery_rate=whole.false_discovery_rate,
        on_insufficient_data=_given(whole.on_insufficient_data),
        on_error=_given(whole.on_error),
        send_resolved=_given(whole.send_resolved),
        severity=_given(whole.severity),
        mode=_given(whole.mode),
        route=whole.route or file.default_route_name,
        rollup=whole.rollup,
        summary=_given(whole.summary),
        labels=_given(whole.labels),
        annotations=_given(whole.annotations),
    )


def alert_rules(file: RuleFile) -> tuple[AlertRule, ...]:
    """Every rule of a file that has been checked."""
    by_name = {entry.name: entry for entry in file.rules}
    return tuple(rule for entry in file.rules if (rule := alert_rule(entry, by_name, file)) is not None)


def _condition(whole: RuleEntry) -> Condition | None:
    if whole.metric == DRIFT:
        return DriftAlarm(whole.tier or "page", whole.false_pages_per_year)
    metric = METRICS.get(whole.metric or "")
    compare = whole.compare or (metric.bad if metric else None)
    if metric is None or whole.enter is None or compare is None:
        return None
    return Threshold(
        metric=metric,
        compare=compare,
        enter=whole.enter,
        exit=whole.enter if whole.exit is None else whole.exit,
        evidence=_given(whole.evidence) if metric.interval else "point",
        baseline=whole.baseline,
    )


def _selection(select: Select) -> Selection:
    return Selection(
        model=_given(select.model),
        segment=_given(select.segment),
        signal=select.signal,
        source=_given(select.source),
        window=_given(select.window),
    )


def _filled(chain: Sequence[Conduct]) -> dict[str, object]:
    """The nearest value of each key; of `select`, `labels` and `annotations` the nearest of each of their keys."""
    found: dict[str, object] = {}
    for each in reversed(chain):
        for key in type(each).model_fields:
            value = getattr(each, key)
            before = found.get(key)
            if isinstance(value, Select) and isinstance(before, Select):
                value = before.model_copy(update=value.model_dump(exclude_none=True))
            elif isinstance(value, dict) and isinstance(before, dict):
                value = {**before, **value}
            if value is not None:
                found[key] = value
    return found


def _given(value: Value | None) -> Value:
    if value is None:
        raise ValueError("the built-in conduct leaves nothing open")
    return value
