"""Terms: the numbers of a rule that the life cycle of its alerts depends on."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

from monitor.alerting.alertrules import AlertRule, Threshold
from monitor.alerting.conduct import Insufficient, OnError

Mode: TypeAlias = Literal["active", "shadow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long a crossing must last until the alert fires, `wait` (`for` in a rule file), and over how many labels that
    mature meanwhile, `for_new_labels`. `keep_firing_for`: how long the series must then stay beyond exit until it
    resolves. `repeat_every`: between reminders; 0 never. ValueError where one of them is negative, or `evaluate_every`
    is 0: no verdict would stand for any time.
    """

    evaluate_every: timedelta = timedelta(minutes=5)
    wait: timedelta = timedelta(minutes=30)
    for_new_labels: int = 25
    keep_firing_for: timedelta = timedelta(hours=2)
    repeat_every: timedelta = timedelta(hours=24)
    on_insufficient_data: Insufficient = "hold"
    on_error: OnError = "hold"
    send_resolved: bool = True
    mode: Mode = "active"

    def __post_init__(self) -> None:
        for name in ("wait", "keep_firing_for", "repeat_every"):
            if (value := getattr(self, name)) < timedelta(0):
                raise ValueError(f"{name} must be 0 or more, got {value}")
        if self.for_new_labels < 0:
            raise ValueError(f"for_new_labels must be 0 or more, got {self.for_new_labels}")
        if self.evaluate_every <= timedelta(0):
            raise ValueError(f"evaluate_every must be more than 0, got {self.evaluate_every}")

    @property
    def longest_step(self) -> timedelta:
        """The longest time that one verdict may stand for: two evaluations, so that one may fail or be late.

        What was not watched did not last: after an outage, or where the clock jumped ahead, no more is counted.
        """
        return 2 * self.evaluate_every


def terms_of(rule: AlertRule, evaluate_every: timedelta) -> Terms:
    """The terms of a rule. Labels are asked of measures of a series only: for an alarm the detectors have waited, and
    where intake stopped none will come. ValueError for a rule that is off: it has no alerts."""
    if rule.mode == "off":
        raise ValueError(f"rule {rule.name} is off")
    is_of_labels = isinstance(rule.condition, Threshold) and rule.condition.metric.about == "series"
    return Terms(
        evaluate_every=evaluate_every,
        wait=rule.for_,
        for_new_labels=rule.for_new_labels if is_of_labels else 0,
        keep_firing_for=rule.keep_firing_for,
        repeat_every=rule.repeat_every,
        on_insufficient_data=rule.on_insufficient_data,
        on_error=rule.on_error,
        send_resolved=rule.send_resolved,
        mode=rule.mode,
    )
