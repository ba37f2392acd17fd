"""Rules on readings, ready to be held against many of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from monitor.alerting.alertrules import AlertRule, Threshold
from monitor.alerting.judgement import Limits, limits_of, of_reading
from monitor.alerting.patterns import matches
from monitor.alerting.rules import Baseline
from monitor.alerting.verdict import Said, Verdict, sign_of
from monitor.calibration.reading import Reading

_BEYOND: Final = float("inf")


@dataclass(frozen=True, slots=True)
class ReadingRule:
    """A rule on a measure of a series. `low` and `high` bound the measure's values."""

    rule: AlertRule
    measure: str
    limits: Limits
    low: float
    high: float
    baseline: Baseline | None

    def looks_at(self, window: str) -> bool:
        """Whether the rule looks at this window."""
        return matches(self.rule.select.window, window)

    def lacks(self, reading: Reading) -> bool:
        """Whether the reading cannot tell."""
        limits = self.limits
        return (
            reading.n < limits.min_labelled
            or getattr(reading, self.measure) is None
            or (limits.min_label_coverage > 0 and (reading.coverage or 0.0) < limits.min_label_coverage)
        )

    def may_begin(self, reading: Reading) -> bool:
        """Whether an alert may begin with the reading; most cannot, which a few comparisons tell."""
        if self.lacks(reading):
            return self.rule.on_insufficient_data == "alert"
        if self.limits.is_of_change and self.rule.on_insufficient_data == "alert":
            return True  # the baseline may lack
        value, sign = float(getattr(reading, self.measure)), sign_of(self.limits.compare)
        if self.limits.is_of_change:
            value -= self.low if sign > 0 else self.high
        return sign * value > sign * self.limits.enter

    def verdict(self, reading: Reading, as_of: datetime, new_labels: int, baseline: Reading | None = None) -> Verdict:
        """The verdict on the reading; an error of ours is one too."""
        try:
            return of_reading(reading, self.measure, self.limits, as_of, new_labels=new_labels, baseline=baseline)
        except Exception as failure:  # noqa: BLE001 - whatever it is, the other rules are judged
            return Verdict("failed", Said(as_of=as_of, reason=f"{type(failure).__name__}: {failure}", n=reading.n))


def reading_rule(rule: AlertRule) -> ReadingRule | None:
    """The rule, if it is one on readings."""
    condition = rule.condition
    if not isinstance(condition, Threshold) or condition.metric.about != "series":
        return None
    metric = condition.metric
    return ReadingRule(
        rule,
        metric.name,
        limits_of(rule, condition),
        -_BEYOND if metric.low is None else metric.low,
        _BEYOND if metric.high is None else metric.high,
        condition.baseline,
    )
