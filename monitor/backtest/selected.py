"""What each rule looks at in a backtest: rows of series and the stretches of panes that are their windows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.alerting.alertrules import AlertRule, DriftAlarm
from monitor.alerting.baselines import HOUR
from monitor.alerting.force import Force
from monitor.alerting.judgement import Limits, limits_of
from monitor.alerting.patterns import matches
from monitor.alerting.readingrule import ReadingRule, reading_rule
from monitor.alerting.rules import Baseline, SamePeriod, Trailing
from monitor.alerting.selection import selects
from monitor.backtest.figures import NEED_SKETCHES
from monitor.backtest.stretches import Stretch
from monitor.calibration.cells import Int64Array
from monitor.drift.alarms import Tier
from monitor.rolling.segments import SeriesName
from monitor.rolling.windows import Window

LABELS_STALE: Final = "labels_stale"
"""The one measure of the monitor itself that history tells: when the newest label of a model became known."""


@dataclass(frozen=True, slots=True, eq=False)
class OfReadings:
    """A rule on a measure in one window: `rows` (r,) of its series, and the stretches that it is `compared` with."""

    rule: ReadingRule
    window: str
    stretch: Stretch
    rows: Int64Array
    compared: tuple[Stretch, ...]

    @property
    def limits(self) -> Limits:
        return self.rule.limits


@dataclass(frozen=True, slots=True)
class OfAlarms:
    """A rule on the alarms of a tier, and the numbers of the series that it looks at."""

    rule: AlertRule
    tier: Tier
    series: frozenset[int]


@dataclass(frozen=True, slots=True)
class OfModels:
    """A rule on how old the newest label of a model is."""

    rule: AlertRule
    limits: Limits
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selected:
    """All that one set of rules looks at; `unknown`: rules that history says nothing about."""

    of_readings: tuple[OfReadings, ...]
    of_alarms: tuple[OfAlarms, ...]
    of_models: tuple[OfModels, ...]
    unknown: tuple[AlertRule, ...]

    @property
    def stretches(self) -> set[Stretch]:
        """Every stretch that is read."""
        return {stretch for each in self.of_readings for stretch in (each.stretch, *each.compared)}

    @property
    def rows(self) -> set[int]:
        """Every row that is read,"""
        return {row for each in self.of_readings for row in each.rows.tolist()}

    @property
    def sketched(self) -> set[int]:
        """and those of which whole sketches are needed."""
        needing = (each for each in self.of_readings if each.rule.measure in NEED_SKETCHES)
        return {row for each in needing for row in each.rows.tolist()}


def selected(force: Force, series: Mapping[int, SeriesName], windows: Sequence[Window], main_signal: str) -> Selected:
    """What the rules in force look at. A row is the place of a series in `series`, whose numbers ascend."""
    of_readings: list[OfReadings] = []
    of_alarms: list[OfAlarms] = []
    of_models: list[OfModels] = []
    unknown: list[AlertRule] = []
    for rule in force.rules.values():
        condition, on_readings = rule.condition, reading_rule(rule)
        if on_readings is not None:
            of_readings += _of_readings(on_readings, series, windows, main_signal)
        elif isinstance(condition, DriftAlarm):
            found = (
                number
                for number, name in series.items()
                if not name.source_group and selects(rule.select, name, main_signal)
            )
            of_alarms.append(OfAlarms(rule, condition.tier, frozenset(found)))
        elif condition.metric.name == LABELS_STALE:
            models = sorted({name.model for name in series.values() if matches(rule.select.model, name.model)})
            of_models.append(OfModels(rule, limits_of(rule, condition), tuple(models)))
        else:
            unknown.append(rule)
    return Selected(tuple(of_readings), tuple(of_alarms), tuple(of_models), tuple(unknown))


def compared_with(baseline: Baseline | None, window: Window) -> tuple[Stretch, ...]:
    """The stretches that move along with a window as its baseline; none where the baseline stands still."""
    hours = window.hours
    if hours is None:
        return ()
    if isinstance(baseline, SamePeriod):
        step = int(baseline.every / HOUR)
        return tuple(Stretch(hours, number * step) for number in range(1, baseline.periods + 1))
    if isinstance(baseline, Trailing):
        return (Stretch(int(baseline.length / HOUR), hours),)
    return ()


def _of_readings(
    rule: ReadingRule, series: Mapping[int, SeriesName], windows: Iterable[Window], main_signal: str
) -> list[OfReadings]:
    rows = np.array(
        [row for row, name in enumerate(series.values()) if selects(rule.rule.select, name, main_signal)], np.int64
    )
    return [
        OfReadings(rule, window.name, Stretch(window.hours or 0), rows, compared_with(rule.baseline, window))
        for window in windows
        if rule.looks_at(window.name)
    ]
