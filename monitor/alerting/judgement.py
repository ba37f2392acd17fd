"""Judgement: from a reading, or an alarm that stands, and the limits of a rule to a verdict.

Enter on the bound, leave on the estimate: an alert needs proof, its end only that there is no sign of it any more. The
other way round a small series, whose bounds are wide, would fire for ever.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from monitor.alerting.alertrules import AlertRule, Threshold
from monitor.alerting.verdict import (
    Alarmed,
    Compare,
    Diagram,
    Estimate,
    Finding,
    Measured,
    Proof,
    Said,
    Verdict,
    sign_of,
)
from monitor.calibration.reading import Reading
from monitor.drift.alarms import Alarm

SURE: Final = 0.95
"""The confidence level that stands beside an exact value, which has no interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a rule is crossed. `enter` and `exit` in the unit of the measure, or of its change since a baseline.

    Beyond enter is strictly above it (`above`, `change_above`) or strictly below; back beyond exit likewise. Fewer
    labels than `min_labelled`, or a smaller labelled share of the predictions than `min_label_coverage`, 0..1, cannot
    tell. ValueError where exit is beyond enter, or either is not finite.
    """

    compare: Compare
    enter: float
    exit: float
    proof: Proof = "confident"
    min_labelled: int = 500
    min_label_coverage: float = 0.5

    def __post_init__(self) -> None:
        if not (math.isfinite(self.enter) and math.isfinite(self.exit)):
            raise ValueError(f"enter and exit must be finite, got {self.enter} and {self.exit}")
        sign = sign_of(self.compare)
        if sign * self.exit > sign * self.enter:
            raise ValueError(f"exit must not be beyond enter ({self.enter}, {self.compare}), got {self.exit}")

    @property
    def is_of_change(self) -> bool:
        """Whether the difference to a baseline is judged."""
        return self.compare in {"change_above", "change_below"}


def limits_of(rule: AlertRule, condition: Threshold) -> Limits:
    """The limits of a rule on a measure; of a measure of time they are seconds."""
    return Limits(
        compare=condition.compare,
        enter=_number(condition.enter),
        exit=_number(condition.exit),
        proof=condition.evidence,
        min_labelled=rule.min_labelled,
        min_label_coverage=rule.min_label_coverage,
    )


def _number(limit: float | timedelta) -> float:
    return limit.total_seconds() if isinstance(limit, timedelta) else limit


def finding_of(judged: Estimate, limits: Limits) -> Finding:
    """On which side of the limits an estimate lies. Proof of a crossing takes the estimate and the bound beyond enter;
    an estimate without an interval is exact, and its own bound."""
    sign = sign_of(limits.compare)
    estimate, enter, leave = sign * judged.value, sign * limits.enter, sign * limits.exit
    bound = estimate
    if limits.proof == "confident" and judged.interval is not None:
        bound = min(estimate, *(sign * end for end in judged.interval))
    if bound > enter:
        return "crossed"
    return "below" if estimate < leave else "between"


def difference(now: Estimate, then: Estimate) -> Estimate:
    """The change from then to now, with the interval that squares and adds the distances of the two intervals' ends.

    Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10; Zou and Donner, ibid. 27 (2008) 1693-1702. For
    estimates that share no labels; where they share some, it is wider than need be. `n` is the smaller one of the two.
    """
    change, n = now.value - then.value, min(now.n, then.n)
    low, high = now.interval or (now.value, now.value)
    low_then, high_then = then.interval or (then.value, then.value)
    if now.interval is None and then.interval is None:
        return Estimate(change, None, n)
    down = math.hypot(now.value - low, high_then - then.value)
    up = math.hypot(high - now.value, then.value - low_then)
    return Estimate(change, (change - down, change + up), n)


def of_value(value: float, measure: str, limits: Limits, as_of: datetime) -> Verdict:
    """The verdict on a measure of a model or of the service, which is exact."""
    exact = Estimate(value, None, 0)
    evidence = Measured(
        as_of=as_of,
        measure=measure,
        estimate=exact,
        judged=exact,
        compare=limits.compare,
        proof="point",
        enter=limits.enter,
        exit=limits.exit,
        confidence_level=SURE,
    )
    return Verdict(finding_of(exact, limits), evidence)


def of_reading(
    reading: Reading,
    measure: str,
    limits: Limits,
    as_of: datetime,
    *,
    new_labels: int,
    baseline: Reading | None = None,
) -> Verdict:
    """The verdict on a measure of a reading, by its name there; a rule of change takes the `baseline` reading too.

    Insufficient, with the reason, where labels or coverage are too few in either reading, where there is no baseline,
    or where the reading does not know the measure. KeyError for what is no measure.
    """
    reason = _lacking(reading, measure, limits)
    if not reason and limits.is_of_change:
        reason = "no baseline yet" if baseline is None else _lacking(baseline, measure, limits, "the baseline has ")
    if reason:
        said = Said(as_of=as_of, reason=reason, n=reading.n, coverage=reading.coverage)
        return Verdict("insufficient", said, new_labels)
    estimate = _estimate(reading, measure)
    then = _estimate(baseline, measure) if limits.is_of_change and baseline is not None else None
    judged = estimate if then is None else difference(estimate, then)
    evidence = Measured(
        as_of=as_of,
        measure=measure,
        estimate=estimate,
        judged=judged,
        compare=limits.compare,
        proof=limits.proof,
        enter=limits.enter,
        exit=limits.exit,
        confidence_level=reading.confidence_level,
        coverage=reading.coverage,
        baseline=then,
        bins=tuple(reading.bins),
    )
    return Verdict(finding_of(judged, limits), evidence, new_labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The last alarm of one tier of a series, and what came since.

    `labels_since` mature labels of panes after the alarm's; `calm_labels` as many as a baseline takes; `taught_from`
    the first pane of the baseline in force, None while one is being learned; `acknowledged`: a person said that this
    alarm is dealt with.
    """

    alarm: Alarm | None
    labels_since: float
    calm_labels: int
    taught_from: int | None
    acknowledged: bool = False


def diagram_of(readings: Iterable[Reading]) -> Diagram | None:
    """The diagram of the first reading that has bins."""
    for reading in readings:
        if reading.bins:
            bins = tuple(reading.bins)
            return Diagram(window=reading.window, confidence_level=reading.confidence_level, bins=bins)
    return None


def of_detector(standing: Standing, as_of: datetime, diagram: Diagram | None = None) -> Verdict:
    """The verdict on what a detector said; `diagram` goes with the evidence of an alarm.

    An alarm is a crossing of its own evidence, and stands until the series has shown otherwise: until as many labels as
    a baseline takes came after it without another alarm, or a baseline of later panes alone is in force (after a page
    the two are the same), or a person acknowledged it. Labels that do not come do not end it. No alarm is below, once
    there is a baseline to alarm against.
    """
    alarm = standing.alarm
    if alarm is None:
        if standing.taught_from is None:
            return Verdict("insufficient", Said(as_of=as_of, reason="the baseline is being learned"))
        return Verdict("below", Said(as_of=as_of, reason="no alarm since the baseline"))
    is_taught = standing.taught_from is not None and standing.taught_from > alarm.pane
    is_over = standing.acknowledged or is_taught or standing.labels_since >= standing.calm_labels
    evidence = Alarmed(
        as_of=as_of,
        tier=alarm.tier,
        pane=alarm.pane,
        band=alarm.band,
        sign=alarm.sign,
        onset=alarm.onset,
        onset_interval=alarm.onset_interval,
        size=alarm.size,
        size_interval=alarm.size_interval,
        value=alarm.value,
        labels=alarm.labels,
        slope=alarm.slope,
        intercept=alarm.intercept,
        labels_since=standing.labels_since,
        calm_labels=standing.calm_labels,
        diagram=diagram,
    )
    return Verdict("below" if is_over else "crossed", evidence)


def _lacking(reading: Reading, measure: str, limits: Limits, whose: str = "") -> str:
    """Why the reading cannot tell; empty where it can."""
    value = getattr(reading, measure, "")
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise KeyError(f"{measure} is no measure of a reading")
    if reading.n < limits.min_labelled:
        return f"{whose}{reading.n} labels of {limits.min_labelled}"
    if limits.min_label_coverage > 0 and (reading.coverage is None or reading.coverage < limits.min_label_coverage):
        share = "no predictions" if reading.coverage is None else f"labels for {reading.coverage:.3f} of predictions"
        return f"{whose}{share}, of {limits.min_label_coverage}"
    if value is None:
        return f"{whose}no {measure}: {reading.missing.get(measure, 'not known')}"
    return ""


def _estimate(reading: Reading, measure: str) -> Estimate:
    return Estimate(float(getattr(reading, measure)), reading.intervals.get(measure), reading.n)
