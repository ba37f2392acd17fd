"""Watches: what the detectors know of each series. Mature panes first teach a baseline; later ones are fed against it.

A page ends the baseline: the next panes teach a new one. So after a page a series is not watched until that is learned,
and the expected number of false pages stays that of fresh baselines, whatever drifted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

import msgspec
import numpy as np
from msgspec import structs

from monitor.calibration.cells import FloatArray, Int64Array
from monitor.calibration.panel import panel_of
from monitor.calibration.sketch import Row, Sketch, empty, merge
from monitor.drift.adwin import SecondOpinion, Shift
from monitor.drift.alarms import Alarm
from monitor.drift.baseline import Baseline, Baselines, chosen, fit, stacked
from monitor.drift.betting import evidence
from monitor.drift.budget import MOST_UPDATES
from monitor.drift.detectors import TOLERANCE, Limits, Step, step
from monitor.drift.labels import of_panel
from monitor.drift.recursion import log_mean
from monitor.drift.state import NOTHING_FED, begun, numbers, state_of

RATE_HOURS: Final = 168
"""Hours after which the share of hours that have labels is taken as known."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How series are watched: alarms to expect in a year without drift, over all series together; labels of a baseline;
    shifts of a band's mean residual that do not matter."""

    false_pages_per_year: float = 2.0
    false_warnings_per_year: float = 12.0
    baseline_labels: int = 1_500
    tolerance: float = TOLERANCE

    @property
    def is_off(self) -> bool:
        """Whether no tier may alarm."""
        return not (self.false_pages_per_year or self.false_warnings_per_year)


class Taken(msgspec.Struct, frozen=True):
    """The panes a series gave, as hours since the epoch; -1: none yet.

    `first` of all; `began` the first of the present baseline; `until` the last; `n` how many with labels since `first`.
    """

    first: int = NOTHING_FED
    began: int = NOTHING_FED
    until: int = NOTHING_FED
    n: int = 0

    def after(self, pane: int) -> "Taken":
        """With one more pane."""
        first = pane if self.first == NOTHING_FED else self.first
        return Taken(first, pane if self.began == NOTHING_FED else self.began, pane, self.n + 1)

    @property
    def updates_per_year(self) -> float | None:
        """Panes to expect in a year, at most 8,784; None while fewer than 168 hours were seen."""
        hours = self.until - self.first + 1
        return None if hours < RATE_HOURS else self.n / hours * MOST_UPDATES


NOTHING_TAKEN: Final = Taken()


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """The labels of the panes that teach the baseline, and how many panes they are of."""

    taken: Taken
    labels: Sketch
    baseline_panes: int = 0


class Watching(msgspec.Struct, frozen=True, eq=False):
    """A series under watch: `numbers` (240,) of its detectors, the second opinion, and the last shift that it found.

    `taught` is the sketch that taught the baseline, None where it is stored already, and `taught_until` its last pane.
    `shift` is None while none was found since the baseline; `shift_pane` the pane at which it was.
    """

    taken: Taken
    baseline_panes: int
    taught_until: int
    taught: Sketch | None
    baseline: Baseline
    numbers: FloatArray
    opinion: SecondOpinion
    shift: Shift | None = None
    shift_pane: int = NOTHING_FED


Watch: TypeAlias = Learning | Watching


class Pane(NamedTuple):
    """A mature pane: its hour, and its sketch, with at least one label."""

    hour: int
    labels: Sketch


class FedPane(NamedTuple):
    """What was taken of a pane: its labels, and their mean residual by the baseline; None: they taught it."""

    series: int
    hour: int
    labels: float
    residual: float | None


@dataclass(frozen=True, slots=True)
class Fed:
    """What feeding did: the watches after it, all alarms and all panes, each series' own in order.

    `series` of alarms and panes is the place of the watch.
    """

    watches: tuple[Watch, ...]
    alarms: tuple[Alarm, ...]
    panes: tuple[FedPane, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Of S series: the logarithms of what the two tiers hold, (S,) each; labels and mean residual since the baseline,
    by band, (S, 4) each."""

    page: FloatArray
    warn: FloatArray
    labels: FloatArray
    residual: FloatArray


def anew(taken: Taken = NOTHING_TAKEN) -> Learning:
    """A series whose next pane begins a baseline; what it gave before counts for its rate only."""
    return Learning(structs.replace(taken, began=NOTHING_FED), empty())


def evidence_of(watching: Sequence[Watching]) -> Evidence:
    """What the detectors of some series hold, at least one."""
    until = np.array([each.taken.until for each in watching], np.int64)
    state = state_of(np.stack([each.numbers for each in watching]), until)
    labels, residual = state.grown[..., 0], state.grown[..., 1]
    return Evidence(evidence(state.page), log_mean(state.warn), labels, residual / np.maximum(labels, 1))


def feed(watches: Sequence[Watch], panes: Sequence[Sequence[Pane]], limits: Limits, baseline_labels: int) -> Fed:
    """Feed each series its panes, which are after all it was fed, in order. A series' digits depend on no other.

    Raises Refused where a pane is not after those before it.
    """
    feeding = _Feeding(list(watches), panes, limits, baseline_labels)
    while feeding.learn() or feeding.watch():
        pass
    return Fed(tuple(feeding.watches), tuple(feeding.alarms), tuple(feeding.fed))


class _Feeding:
    """One feeding under way: `at` is how many of its panes each series has been fed."""

    def __init__(
        self, watches: list[Watch], panes: Sequence[Sequence[Pane]], limits: Limits, baseline_labels: int
    ) -> None:
        self.watches = watches
        self.alarms: list[Alarm] = []
        self.fed: list[FedPane] = []
        self._panes = panes
        self._at = [0] * len(watches)
        self._limits = limits
        self._wanted = baseline_labels

    def learn(self) -> bool:
        """Teach every series that learns; whether a baseline was completed."""
        completed = False
        for place, watch in enumerate(self.watches):
            if isinstance(watch, Learning):
                self.watches[place] = learned = self._learn(place, watch)
                completed = completed or isinstance(learned, Watching)
        return completed

    def _learn(self, place: int, learning: Learning) -> Watch:
        while self._is_left(place):
            hour, labels = self._next(place)
            learning = Learning(learning.taken.after(hour), merge(learning.labels, labels), learning.baseline_panes + 1)
            self.fed.append(FedPane(place, hour, labels.total(Row.N), None))
            if learning.labels.total(Row.N) >= self._wanted:
                return _watching(learning, fit(learning.labels, self._wanted))
        return learning

    def watch(self) -> bool:
        """Feed all series under watch, a pane of each at a time; whether a page ended a baseline."""
        watched = {
            place: watch
            for place, watch in enumerate(self.watches)
            if isinstance(watch, Watching) and self._is_left(place)
        }
        if not watched:
            return False
        series, before = np.array(list(watched)), list(watched.values())
        baselines = stacked([watch.baseline for watch in before])
        held = np.stack([watch.numbers for watch in before])
        taken, shift = [watch.taken for watch in before], [(watch.shift, watch.shift_pane) for watch in before]
        paged = np.zeros(len(before), bool)
        while len(rows := np.flatnonzero([self._is_left(place) for place in series.tolist()] & ~paged)):
            until = np.array([taken[row].until for row in rows.tolist()], np.int64)
            done = self._step(held[rows], until, chosen(baselines, rows), series[rows])
            held[rows] = numbers(done.state)
            places = (rows.tolist(), series[rows].tolist())
            fed = (done.panes.tolist(), done.labels.tolist(), done.residual.tolist())
            for row, place, pane, labels, residual in zip(*places, *fed, strict=True):
                self.fed.append(FedPane(place, pane, labels, residual))
                taken[row] = taken[row].after(pane)
                found = before[row].opinion.feed(residual)
                shift[row] = shift[row] if found.size is None else (found, pane)
            for alarm in done.alarms:
                row = int(rows[alarm.series])
                self.alarms.append(replace(alarm, series=int(series[row])))
                paged[row] |= alarm.tier == "page"
        for row, place in enumerate(series.tolist()):
            last, pane = shift[row]
            self.watches[place] = (
                anew(taken[row])
                if paged[row]
                else structs.replace(before[row], taken=taken[row], numbers=held[row], shift=last, shift_pane=pane)
            )
        return bool(paged.any())

    def _step(self, held: FloatArray, until: Int64Array, baselines: Baselines, series: Int64Array) -> Step:
        """Feed the next pane of each of the series."""
        given = [self._next(place) for place in series.tolist()]
        return step(
            state_of(held, until),
            baselines,
            of_panel(panel_of([pane.labels for pane in given])),
            np.array([pane.hour for pane in given], np.int64),
            Limits(self._limits.page[series], self._limits.warn[series], self._limits.tolerance),
        )

    def _is_left(self, place: int) -> bool:
        return self._at[place] < len(self._panes[place])

    def _next(self, place: int) -> Pane:
        pane = self._panes[place][self._at[place]]
        self._at[place] += 1
        return pane


def _watching(learned: Learning, baseline: Baseline) -> Watching:
    opinion = SecondOpinion(learned.labels.total(Row.N) / learned.baseline_panes)
    taught = (learned.baseline_panes, learned.taken.until, learned.labels)
    return Watching(learned.taken, *taught, baseline, numbers(begun(stacked([baseline])))[0], opinion)
