"""Report: what a backtest tells, in the JSON form that other programs rely on. Times are UTC."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import structs

from monitor.alerting.conduct import Severity
from monitor.alerting.transition import Reason
from monitor.alerting.verdict import Evidence

SCHEMA: Final = 1
WEEK: Final = timedelta(days=7)


class AlertSpan(msgspec.Struct, frozen=True, kw_only=True):
    """One time that an alert fired. `series` is its target's name in parts; `resolved_at` None: it fired to the end.

    `evidence` is that of the firing. `told`: whether somebody would have been told; else `hushed` says why not.
    `damped` counts the flaps that nobody would have heard of.
    """

    series: Mapping[str, str]
    pending_at: datetime
    fired_at: datetime
    resolved_at: datetime | None
    reason: Reason | None
    told: bool
    hushed: str | None
    damped: int
    evidence: Evidence


class Insufficient(msgspec.Struct, frozen=True, kw_only=True):
    """How often a rule could tell nothing, of all its looks at series that there were, and why: the first reason that
    held. `never`: series of which it could never tell anything."""

    looks: int
    of: int
    few_labels: int
    low_coverage: int
    not_known: int
    no_baseline: int
    never: int

    @property
    def share(self) -> float:
        """Of the looks, 0..1."""
        return self.looks / self.of if self.of else 0.0


class OnsetReport(msgspec.Struct, frozen=True, kw_only=True):
    """Against a marked onset: pages that were opened before it (false), and how long after it the first one came."""

    pages_before: int
    delay_seconds: float | None


class RuleReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule would have done. `pages` are incidents that would have been opened, as its route groups alerts.

    `flaps` were damped; `withdrawn` crossings did not last. `unknown`: why history cannot tell, None where it can.
    """

    rule: str
    metric: str
    severity: Severity
    series_judged: int
    fired: int
    pages: int
    pages_per_week: float
    flaps: int
    withdrawn: int
    firing_seconds: float
    insufficient: Insufficient
    onset: OnsetReport | None
    alerts: tuple[AlertSpan, ...]
    unknown: str | None = None


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report, of judgements every `every_seconds` from `start_at` to `end_at`; series of the history."""

    schema: int
    start_at: datetime
    end_at: datetime
    every_seconds: int
    series: int
    pages: int
    pages_per_week: float
    onset_at: datetime | None
    rules: tuple[RuleReport, ...]

    @property
    def weeks(self) -> float:
        """How long it was, in weeks."""
        return (self.end_at - self.start_at) / WEEK


class _Compared(Backtest, frozen=True, kw_only=True, omit_defaults=True):
    against: Backtest | None = None


def to_json(report: Backtest, against: Backtest | None = None) -> bytes:
    """The report as JSON, UTF-8, with that of other rules under `against`."""
    return msgspec.json.encode(_Compared(**structs.asdict(report), against=against))
