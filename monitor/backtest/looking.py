"""Looking: from the figures of one hour to the looks that may change an alert. Whatever else is well stays so."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
import numpy.typing as npt

from monitor.alerting.alert import Alert
from monitor.alerting.alertrules import AlertRule
from monitor.alerting.baselines import together
from monitor.alerting.discovery import sifted
from monitor.alerting.force import Force
from monitor.alerting.judgement import of_detector, of_value
from monitor.alerting.round import Change, Look, Rollup
from monitor.alerting.states import Ok
from monitor.alerting.target import Target, alert_id, target_of
from monitor.alerting.verdict import Verdict, sign_of
from monitor.backtest.detectors import Watched
from monitor.backtest.figures import Figures
from monitor.backtest.selected import LABELS_STALE, OfAlarms, OfModels, OfReadings
from monitor.backtest.stretches import Stretch
from monitor.calibration.cells import FloatArray
from monitor.calibration.reading import Reading
from monitor.rolling.segments import SeriesName

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Told:
    """What a rule could be told from, over all evaluations: how many there were, and why some told nothing."""

    known: Mask
    """Rows of series of which something was known at least once,"""
    models: set[str] = field(default_factory=set)
    """and models."""
    evaluations: int = 0
    few_labels: int = 0
    low_coverage: int = 0
    not_known: int = 0
    no_baseline: int = 0

    @property
    def insufficient(self) -> int:
        """Evaluations that told nothing."""
        return self.few_labels + self.low_coverage + self.not_known + self.no_baseline


@dataclass(frozen=True, slots=True)
class Sight:
    """One hour as rules see it. `seen` (S,): series that there are by now; `newest_label` the hour of it, by model."""

    as_of: datetime
    hour: int
    figures: Figures
    watched: Watched
    seen: Mask
    newest_label: Mapping[str, int]


class Looking:
    """The looks of one set of rules. `alerts`: every alert there ever was, as it stands."""

    def __init__(self, force: Force, series: Mapping[int, SeriesName]) -> None:
        """`series` by number, ascending; the place of one is its row."""
        self._force = force
        self._names = list(series.items())
        self._row_of = {number: row for row, number in enumerate(series)}
        self._open: dict[tuple[str, str], set[int]] = {}
        self.alerts: dict[UUID, Alert] = {}
        self.told: dict[str, Told] = {name: Told(np.zeros(len(series), np.bool_)) for name in force.rules}

    def standing(self, looks: Iterable[Look]) -> dict[UUID, Alert]:
        """The alerts that are pending, fire or recover, and those that are looked at."""
        return {key: alert for key, alert in self.alerts.items() if not isinstance(alert.state, Ok)} | {
            look.id: self.alerts[look.id] for look in looks if look.id in self.alerts
        }

    def rollups(self, selected: Iterable[OfReadings], sight: Sight) -> dict[str, Rollup]:
        """By rule, how many series of each model may fire as one."""
        found: dict[str, Rollup] = {}
        for each in selected:
            rule = each.rule.rule
            if rule.rollup is None:
                continue
            models = Counter(self._names[row][1].model for row in each.rows[sight.seen[each.rows]].tolist())
            before = found[rule.name].selected if rule.name in found else {}
            found[rule.name] = Rollup(
                rule.severity,
                replace(self._force.terms[rule.name], wait=timedelta(0), for_new_labels=0),
                rule.rollup.when_share,
                Counter(before) + models,
                self._force.hushed(rule),
            )
        return found

    def take(self, changes: Iterable[Change]) -> None:
        """Keep the alerts as they stand after a round."""
        for change in changes:
            after = change.after
            self.alerts[after.id] = after
            if after.target.series is not None:
                rows = self._open.setdefault((after.rule, after.target.window), set())
                row = self._row_of[after.target.series]
                if isinstance(after.state, Ok):
                    rows.discard(row)
                else:
                    rows.add(row)

    def of_readings(self, selected: OfReadings, sight: Sight) -> Iterator[Look]:
        """Looks at the series whose alert is open, or may begin now."""
        rule, rows = selected.rule, selected.rows
        told = self.told[rule.rule.name]
        lacking = self._lacking(selected, sight, told)
        beyond = self._beyond(selected, sight) & ~lacking
        if rule.rule.on_insufficient_data == "alert":
            beyond |= lacking
        opened = self._open.get((rule.rule.name, selected.window), set())
        looked = sorted(opened.union(rows[beyond & sight.seen[rows]].tolist()))
        looks = [self._look(selected, sight, row) for row in looked]
        yield from sifted(looks, rule.rule, int((sight.seen[rows] & ~lacking).sum()))

    def of_alarms(self, selected: OfAlarms, sight: Sight) -> Iterator[Look]:
        """Looks at the series of which the tier has raised an alarm."""
        rule, told = selected.rule, self.told[selected.rule.name]
        learned = selected.series & sight.watched.watching()
        seen = sum(bool(sight.seen[self._row_of[number]]) for number in selected.series)
        told.evaluations += seen
        told.no_baseline += seen - len(learned)
        told.known[[self._row_of[number] for number in learned]] = True
        for number in sorted(sight.watched.alarmed(selected.tier) & selected.series):
            target = target_of(self._names[self._row_of[number]][1], "", number)
            verdict = of_detector(sight.watched.standing(number, selected.tier), sight.as_of)
            yield self._of(rule, target, verdict, None)

    def of_models(self, selected: OfModels, sight: Sight) -> Iterator[Look]:
        """Looks at the age of each model's newest label."""
        rule, told = selected.rule, self.told[selected.rule.name]
        for model in selected.models:
            newest = sight.newest_label.get(model)
            told.evaluations += 1
            if newest is None:
                told.not_known += 1
                continue
            told.models.add(model)
            age = timedelta(hours=sight.hour - newest).total_seconds()
            verdict = of_value(age, LABELS_STALE, selected.limits, sight.as_of)
            yield self._of(rule, Target("model", model), verdict, None)

    def _of(self, rule: AlertRule, target: Target, verdict: Verdict, labels_seen: int | None) -> Look:
        return Look(
            rule=rule.name,
            severity=rule.severity,
            terms=self._force.terms[rule.name],
            target=target,
            verdict=verdict,
            labels_seen=labels_seen,
            hushed=self._force.hushed(rule),
        )

    def _look(self, selected: OfReadings, sight: Sight, row: int) -> Look:
        rule, (number, name) = selected.rule, self._names[row]
        target = target_of(name, selected.window, number)
        known = self.alerts.get(alert_id(rule.rule.name, target))
        seen = int(sight.figures.matured[row])
        before = seen if known is None or known.labels_seen is None else known.labels_seen
        reading = sight.figures.reading(selected.stretch, row, rule.measure)
        baseline = self._baseline(selected, sight, row)
        return self._of(rule.rule, target, rule.verdict(reading, sight.as_of, max(0, seen - before), baseline), seen)

    def _baseline(self, selected: OfReadings, sight: Sight, row: int) -> Reading | None:
        rule = selected.rule
        if rule.baseline is None:
            return None
        readings = [sight.figures.reading(stretch, row, rule.measure) for stretch in selected.compared]
        return together([each for each in readings if not rule.lacks(each)], rule.measure, rule.baseline)

    def _lacking(self, selected: OfReadings, sight: Sight, told: Told) -> Mask:
        """Which rows cannot tell, (r,); counted with the first reason that holds."""
        rows, limits = selected.rows, selected.limits
        few, uncovered, unknown = self._reasons(selected, sight, selected.stretch)
        seen = sight.seen[rows]
        lacking = few | uncovered | unknown
        told.evaluations += int(seen.sum())
        told.few_labels += int((seen & few).sum())
        told.low_coverage += int((seen & uncovered & ~few).sum())
        told.not_known += int((seen & unknown & ~uncovered & ~few).sum())
        without = np.zeros(len(rows), np.bool_)
        if limits.is_of_change:
            known = [~np.logical_or.reduce(self._reasons(selected, sight, each)) for each in selected.compared]
            least = 1 if selected.rule.baseline is None else getattr(selected.rule.baseline, "min_periods", 1)
            without = (np.sum(known, axis=0) if known else np.zeros(len(rows))) < least
            told.no_baseline += int((seen & without & ~lacking).sum())
        told.known[rows[seen & ~lacking & ~without]] = True
        return lacking

    def _reasons(self, selected: OfReadings, sight: Sight, stretch: Stretch) -> tuple[Mask, Mask, Mask]:
        """(r,) too few labels; too small a share of labels; the measure is not known."""
        rows, limits = selected.rows, selected.limits
        tallies = sight.figures.tallies(stretch)
        few = tallies.n[rows] < limits.min_labelled
        covered = tallies.coverage[rows] >= limits.min_label_coverage
        unknown = np.isnan(sight.figures.estimates(stretch, selected.rule.measure).value[rows])
        return few, (limits.min_label_coverage > 0) & ~covered, unknown

    def _beyond(self, selected: OfReadings, sight: Sight) -> Mask:
        """Which rows are beyond `enter` with their bound, (r,), or may be, where that depends on a baseline."""
        rows, limits, measure = selected.rows, selected.limits, selected.rule.measure
        sign = sign_of(limits.compare)
        now = sight.figures.estimates(selected.stretch, measure)
        bound = sign * now.value[rows]
        if limits.is_of_change:
            then = [sign * sight.figures.estimates(each, measure).value[rows] for each in selected.compared]
            bound = bound - _least(then, len(rows))
        elif limits.proof == "confident":
            end = sign * (now.low if sign > 0 else now.high)[rows]
            bound = np.where(np.isnan(end), bound, np.minimum(bound, end))
        return np.asarray(bound > sign * limits.enter)


def _least(values: list[FloatArray], size: int) -> FloatArray:
    """The least of the values that are known, by row; infinite without any."""
    return np.asarray(np.fmin.reduce([*values, np.full(size, np.inf)]))
