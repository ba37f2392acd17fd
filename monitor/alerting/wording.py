"""Wording: an alert as notices tell it, in the words of the rule's templates, or plainly where these fail."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from monitor.alerting import notice, templates
from monitor.alerting.alert import Alert
from monitor.alerting.alertrules import AlertRule, DriftAlarm
from monitor.alerting.force import Force
from monitor.alerting.metrics import DRIFT, METRICS
from monitor.alerting.round import FIRING_SHARE
from monitor.alerting.states import Recovering
from monitor.alerting.templates import AlertFields, RuleFields, SeriesFields
from monitor.alerting.verdict import Alarmed, Measured, Said
from monitor.rolling.windows import window_named

RUNBOOK: Final = "runbook_url"
"""The annotation that says what to do."""
_UNITS: Final[dict[str, notice.Unit]] = {"number": "ratio", "count": "count", "duration": "seconds"}


def told(alert: Alert, force: Force, started_at: datetime, ended_at: datetime | None, remark: str) -> notice.Alert:
    """The alert for a notice; `ended_at` where it is over for those who are told."""
    rule = force.rules.get(alert.rule)
    fields = _fields(alert, rule, started_at, over=ended_at is not None)
    summary, failure = _text(rule, force.file.templates.text, fields)
    runbook, failed = _rendered(rule.annotations.get(RUNBOOK, ""), fields) if rule else ("", "")
    remarks = [part for part in (remark, failure or failed) if part]
    target = alert.target
    return notice.Alert(
        rule=alert.rule,
        severity=alert.severity,
        series=notice.Series(target.model, target.signal, target.labels["segment"], target.source, target.window),
        state=_state(alert, ended_at),
        started_at=started_at,
        ended_at=ended_at,
        evidence=_evidence(alert),
        summary=summary,
        link=f"{force.pages.rstrip('/')}/alerts/{alert.id}" if force.pages else None,
        runbook=runbook or None,
        remark="; ".join(remarks) or None,
        labels=tuple(sorted((rule.labels if rule else {}).items())),
    )


def title(alert: Alert, force: Force, started_at: datetime, *, over: bool) -> str:
    """The first line of a notice whose worst alert this is."""
    rule = force.rules.get(alert.rule)
    fields = _fields(alert, rule, started_at, over=over)
    summary, _ = _summary(rule, fields)
    text, failure = _rendered(force.file.templates.title, fields, summary)
    return summary if failure else text


def _state(alert: Alert, ended_at: datetime | None) -> notice.AlertState:
    if ended_at is not None:
        return "resolved"
    return "recovering" if isinstance(alert.state, Recovering) else "firing"


def _text(rule: AlertRule | None, template: str, fields: AlertFields) -> tuple[str, str]:
    """What follows the title, and what was wrong with its template or that of the summary."""
    summary, failure = _summary(rule, fields)
    text, failed = _rendered(template, fields, summary)
    return (summary, failed) if failed else (text, failure)


def _summary(rule: AlertRule | None, fields: AlertFields) -> tuple[str, str]:
    """The summary, in plain words where its template fails, and what was wrong with that."""
    plain = f"{fields.rule.name}: {fields.rule.metric} is {templates.figure(fields.value)}"
    plain += f" ({fields.series.model})" if fields.series.model else ""
    if rule is None:
        return plain, ""
    text, failure = _rendered(rule.summary, fields)
    return (plain, failure) if failure else (text, "")


def _rendered(template: str, fields: AlertFields, summary: str | None = None) -> tuple[str, str]:
    """The text, or what went wrong: a template is the user's code, and its failure must not keep an alert back."""
    try:
        return templates.render(template, fields, summary), ""
    except Exception as failure:  # noqa: BLE001
        return "", f"a template failed: {type(failure).__name__}"


def _fields(alert: Alert, rule: AlertRule | None, since: datetime, *, over: bool) -> AlertFields:
    evidence, target = alert.evidence, alert.target
    of_rule = RuleFields(
        name=alert.rule,
        description=rule.description if rule else "",
        metric=_metric(alert, rule),
        severity=alert.severity,
        compare=evidence.compare if isinstance(evidence, Measured) else "above",
    )
    labels = target.labels
    found = AlertFields(
        rule=of_rule,
        series=SeriesFields(labels["model"], labels["signal"], labels["segment"], labels["source"], labels["window"]),
        state="resolved" if over else "firing",
        value=None,
        low=None,
        high=None,
        limit=None,
        baseline=None,
        n=0,
        coverage=None,
        since=since,
        labels=dict(rule.labels) if rule else {},
    )
    match evidence:
        case Measured():
            low, high = evidence.judged.interval or (None, None)
            return replace(
                found,
                value=_in_unit(evidence.measure, evidence.judged.value),
                low=low,
                high=high,
                limit=_in_unit(evidence.measure, evidence.enter),
                baseline=None if evidence.baseline is None else evidence.baseline.value,
                n=evidence.judged.n,
                coverage=evidence.coverage,
            )
        case Alarmed():
            low, high = evidence.size_interval
            return replace(found, value=evidence.size, low=low, high=high, n=int(evidence.labels))
        case Said():
            return replace(found, n=evidence.n or 0, coverage=evidence.coverage)


def _metric(alert: Alert, rule: AlertRule | None) -> str:
    if isinstance(alert.evidence, Measured):
        return alert.evidence.measure
    if rule is None or isinstance(rule.condition, DriftAlarm):
        return DRIFT if isinstance(alert.evidence, Alarmed) else "value"
    return rule.condition.metric.name


def _in_unit(measure: str, value: float) -> float | timedelta:
    metric = METRICS.get(measure)
    return timedelta(seconds=value) if metric is not None and metric.unit == "duration" else value


def _evidence(alert: Alert) -> notice.Evidence | None:
    """What was measured; None where there are words only, which are the remark."""
    window = window_named(alert.target.window).hours if alert.target.window else None
    length = None if window is None else timedelta(hours=window)
    match alert.evidence:
        case Measured() as found:
            metric = METRICS.get(found.measure)
            changed = " (change)" if found.baseline is not None else ""
            return notice.Evidence(
                measure="share of series that fire" if found.measure == FIRING_SHARE else found.measure + changed,
                unit=_UNITS[metric.unit] if metric else "ratio",
                estimate=found.judged.value,
                interval=found.judged.interval,
                limit=found.enter,
                n=found.judged.n,
                window=length,
                as_of=found.as_of,
                bins=found.bins,
            )
        case Alarmed() as found:
            side = "over" if found.sign > 0 else "under"
            return notice.Evidence(
                measure=f"{side}-confidence since the baseline, {found.band} confidences",
                unit="ratio",
                estimate=found.size,
                interval=found.size_interval,
                limit=None,
                n=int(found.labels),
                window=None,
                as_of=found.as_of,
                bins=found.diagram.bins if found.diagram else (),
                bins_of=found.diagram.window if found.diagram else "",
            )
        case _:
            return None
