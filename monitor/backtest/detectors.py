"""The detectors, fed as the leader feeds them: once an hour every mature pane that has settled, as it is known then."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.alerting.judgement import Standing
from monitor.calibration.sketch import Row
from monitor.drift.alarms import Alarm, Tier
from monitor.drift.budget import alphas
from monitor.drift.detectors import Limits
from monitor.drift.state import NOTHING_FED
from monitor.drift.watches import Pane, Rules, Watch, Watching, anew, feed
from monitor.rolling.history import Known
from monitor.rolling.maturity import is_settled, mature_hour
from monitor.rolling.panes import start_of
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import (
    Ints,
    Stack,
    by_number,
    defective,
    no_sketches,
    numbers_of,
    part,
    plus,
    series_of,
    sketches,
)

KEPT_HOURS: Final = 35 * 24
"""A pane that had no label for so long after it became mature is not waited for any more: that bounds the memory."""


_UNSEEN: Final = NOTHING_FED - 1
"""Stands for the last pane fed of a series that is not there yet,"""
_UNWATCHED: Final = np.iinfo(np.int64).max
"""and of one that is never fed."""


@dataclass(slots=True)
class _Waiting:
    """A pane of prediction time, by series: `held` was looked at before and stays, known since `first_known`; `parts`
    became known later, each with its hour."""

    held: Stack = field(default_factory=no_sketches)
    first_known: dict[int, int] = field(default_factory=dict)
    parts: list[tuple[int, Stack]] = field(default_factory=list)

    def known_since(self, keys: Ints) -> Ints:
        """The hour at which something of each series first became known, (p,)."""
        first = np.full(len(keys), np.iinfo(np.int64).max)
        for hour, change in reversed(self.parts):
            first[np.searchsorted(keys, change.keys)] = hour
        before = [self.first_known.get(one, hour) for one, hour in zip(keys.tolist(), first.tolist(), strict=True)]
        return np.array(before, np.int64)

    def keep(self, whole: Stack, kept: npt.NDArray[np.bool_], since: Ints) -> None:
        """Hold only these series, all that is known of them in one."""
        self.held, self.parts = part(whole, kept), []
        self.first_known = dict(zip(whole.keys[kept].tolist(), since[kept].tolist(), strict=True))


@dataclass(slots=True)
class _Raised:
    """The last alarm of a tier, and the labels that were fed of panes after its own."""

    alarm: Alarm
    labels_since: float = 0.0


class Watched:
    """Every series that the detectors watch, by its number, from the first hour of history on."""

    def __init__(self, series: Mapping[int, SeriesName], rules: Rules, maturity: timedelta) -> None:
        """`series`: all that there will be; those of the primary labels are watched once they are seen."""
        self._until = np.full(max(series, default=-1) + 1, _UNWATCHED)
        self._until[[number for number, name in series.items() if not name.source_group]] = _UNSEEN
        self._rules, self._maturity = rules, maturity
        self._watches: dict[int, Watch] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._raised: dict[tuple[int, Tier], _Raised] = {}

    def advance(self, known: Known) -> list[Alarm]:
        """Take what became known by the hour, feed what may be fed then; the alarms, by the number of their series."""
        if self._rules.is_off:
            return []
        self._take(known)
        panes = self._settled(known.hour)
        if not panes:
            return []
        due = sorted(panes)
        limits = self._limits(due)
        given = [self._watches[one] for one in due]
        fed = feed(given, [panes[one] for one in due], limits, self._rules.baseline_labels)
        self._watches.update(zip(due, fed.watches, strict=True))
        self._until[due] = [watch.taken.until for watch in fed.watches]
        alarms = [replace(alarm, series=due[alarm.series]) for alarm in fed.alarms]
        for alarm in alarms:
            self._raised[alarm.series, alarm.tier] = _Raised(alarm)
        for pane in fed.panes:
            for tier in ("page", "warn"):
                raised = self._raised.get((due[pane.series], tier))
                if raised is not None and pane.hour > raised.alarm.pane:
                    raised.labels_since += pane.labels
        return alarms

    def alarmed(self, tier: Tier) -> set[int]:
        """The series of which this tier has raised an alarm at some time."""
        return {series for series, raised in self._raised if raised == tier}

    def watching(self) -> set[int]:
        """The series that have a baseline to alarm against."""
        return {series for series, watch in self._watches.items() if isinstance(watch, Watching)}

    def standing(self, series: int, tier: Tier) -> Standing:
        """What the detectors say of a series; nobody acknowledges anything in a backtest."""
        watch, raised = self._watches.get(series), self._raised.get((series, tier))
        return Standing(
            alarm=None if raised is None else raised.alarm,
            labels_since=0.0 if raised is None else raised.labels_since,
            calm_labels=self._rules.baseline_labels,
            taught_from=watch.taken.began if isinstance(watch, Watching) else None,
        )

    def _take(self, known: Known) -> None:
        series = series_of(known.changes.keys)
        for one in np.unique(series[self._until[series] == _UNSEEN]).tolist():
            self._watches[one] = anew()
            self._until[one] = NOTHING_FED
        unfed = self._until[series] < numbers_of(known.changes.keys)
        for hour, change in by_number(known.changes if unfed.all() else part(known.changes, unfed)):
            self._waiting.setdefault(hour, _Waiting()).parts.append((known.hour, change))

    def _limits(self, due: list[int]) -> Limits:
        """The share of each series in the budgets, which every watched series has a part in."""
        every = sorted(self._watches)
        rates = [self._watches[one].taken.updates_per_year for one in every]
        place = np.searchsorted(np.array(every), np.array(due))
        rules = self._rules
        return Limits(
            alphas(rules.false_pages_per_year, rates)[place],
            alphas(rules.false_warnings_per_year, rates)[place],
            rules.tolerance,
        )

    def _settled(self, hour: int) -> dict[int, list[Pane]]:
        """The panes that are fed now, of each series in order: none after one that still fills."""
        mature = mature_hour(start_of(hour), self._maturity)
        old = sorted(pane for pane in self._waiting if pane < mature)
        panes: dict[int, list[Pane]] = {}
        filling: set[int] = set()
        for pane in old:
            filling |= self._look_at(pane, hour, panes, filling)
        self._forget([pane for pane in old if pane in self._waiting], mature - KEPT_HOURS, panes)
        return panes

    def _look_at(self, pane: int, hour: int, panes: dict[int, list[Pane]], filling: set[int]) -> set[int]:
        """Add what may be fed of one pane; returns the series of which it still fills."""
        waiting = self._waiting[pane]
        whole = plus(waiting.held, *(change for _, change in waiting.parts))
        came = plus(*(change for at, change in waiting.parts if at == hour))
        since = waiting.known_since(whole.keys)
        settled = is_settled(_held(whole, whole.keys), _held(came, whole.keys), hour - since)
        broken = set(defective(whole).tolist())
        kept, now_filling = np.ones(len(whole), np.bool_), set()
        for place, (one, sketch) in enumerate(sketches(whole)):
            if one in filling or not sketch.total(Row.N):
                continue
            if not settled[place]:
                now_filling.add(one)
                continue
            kept[place] = False
            if one not in broken:
                panes.setdefault(one, []).append(Pane(pane, sketch))
        waiting.keep(whole, kept, since)
        return now_filling

    def _forget(self, old: list[int], oldest: int, panes: dict[int, list[Pane]]) -> None:
        """Drop of these panes whatever is before one that is fed, as the detectors go forward only, or too old."""
        last = {one: each[-1].hour for one, each in panes.items()}
        for hour in old:
            held = self._waiting[hour].held
            stays = np.array([last.get(one, -1) < hour for one in held.keys.tolist()], np.bool_)
            if hour < oldest or not stays.any():
                del self._waiting[hour]
            elif not stays.all():
                self._waiting[hour].held = part(held, stays)


def _held(stack: Stack, keys: Ints) -> Ints:
    """Predictions and labels of each key, (p,); what was taken back counts as well."""
    totals = np.zeros(len(keys), np.int64)
    np.add.at(
        totals, np.searchsorted(keys, stack.keys[stack.rows]), np.abs(stack.sums[[Row.N_PRED, Row.N]]).sum(axis=0)
    )
    return totals
