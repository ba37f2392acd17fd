"""Stretches of panes that move with the clock, and their sums: what enters is added, what leaves is subtracted.

Two ways to hold them: tallies in dense tables, which most measures need, and whole sketches, which the others need.
Neither holds a pane that no stretch will meet again, so memory does not grow with the history.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

import numpy as np

from monitor.calibration import tallies
from monitor.calibration.cells import Int16Array, Int64Array
from monitor.calibration.tallies import Layout, Tallies
from monitor.rolling.maturity import mature_hour
from monitor.rolling.panes import BEGINNING, Span, start_of
from monitor.rolling.stacks import (
    Ints,
    Mask,
    Stack,
    by_number,
    code,
    negative,
    no_sketches,
    numbers_of,
    part,
    plus,
    regrouped,
    series_of,
)

AHEAD: Final = 3
"""Hours by which a prediction may be ahead of the hour in which it became known; later ones wait until they are not."""


@dataclass(frozen=True, slots=True, order=True)
class Stretch:
    """`hours` panes, or 0 for all there ever were, up to `back` hours before the first pane that is not mature."""

    hours: int
    back: int = 0

    def span(self, mature: int) -> Span:
        """Its panes where `mature` is the first that is not mature."""
        end = mature - self.back
        return Span(end - self.hours, end) if self.hours else Span(BEGINNING, end)


EVER: Final = Stretch(0)
"""All mature panes."""


class _Held(Protocol):
    """Sums of panes and stretches."""

    def enter(self, stretch: Stretch, pane: int) -> None: ...
    def leave(self, stretch: Stretch, pane: int) -> None: ...
    def forget(self, pane: int) -> None: ...
    def take(self, changes: Stack, oldest: int, spans: Sequence[tuple[Stretch, Span]]) -> None: ...


class Sliding:
    """Moves the stretches of what is held hour by hour of the clock."""

    def __init__(self, held: _Held, stretches: Iterable[Stretch], maturity: timedelta, hour: int) -> None:
        """`hour`: the first that will be known."""
        self._held, self._maturity = held, maturity
        self._stretches = sorted(set(stretches))
        self._mature = mature_hour(start_of(hour), maturity)
        self._oldest = self._mature - reach(self._stretches)
        self._waiting: list[Stack] = []

    def advance(self, hour: int, changes: Stack) -> None:
        """Come to the hour, which is not before the last one, and take what became known by it."""
        target = mature_hour(start_of(hour), self._maturity)
        while self._mature < target:
            self._step()
        latest = self._mature + ahead(self._maturity)
        for each in self._due(changes, latest):
            spans = [(stretch, stretch.span(self._mature)) for stretch in self._stretches]
            self._held.take(each, self._oldest, spans)

    def _step(self) -> None:
        for stretch in self._stretches:
            span = stretch.span(self._mature)
            self._held.enter(stretch, span.end_hour)
            if stretch.hours:
                self._held.leave(stretch, span.start_hour)
        self._held.forget(self._oldest)
        self._mature += 1
        self._oldest += 1

    def _due(self, changes: Stack, latest: int) -> Iterator[Stack]:
        """The changes of panes before `latest`, those that have waited among them; later ones wait."""
        waiting, self._waiting = self._waiting, []
        for each in (*waiting, changes):
            early = numbers_of(each.keys) < latest
            if early.all():
                yield each
            else:
                self._waiting.append(part(each, ~early))
                yield part(each, early)


def reach(stretches: Iterable[Stretch]) -> int:
    """How many hours before the first pane that is not mature the oldest pane lies that is still to leave."""
    return max((stretch.hours + stretch.back for stretch in stretches if stretch.hours), default=0)


def ahead(maturity: timedelta) -> int:
    """How many hours after it the newest pane may lie."""
    return -(-maturity // timedelta(hours=1)) + AHEAD


class HeldTallies:
    """Tallies of some series: a dense table a stretch, and a ring of tables of the panes that are to enter or leave."""

    def __init__(self, series: Ints, stretches: Sequence[Stretch], layout: Layout, maturity: timedelta) -> None:
        """`series` ascending."""
        self._row_of = _places(series)
        self._layout = layout
        self._depth = reach(stretches) + ahead(maturity) + 1
        self._ring = np.zeros((self._depth, len(series), layout.width), np.int64)
        self._tables = {stretch: np.zeros((len(series), layout.width), np.int64) for stretch in stretches}

    def tallies(self, stretch: Stretch) -> Tallies:
        """What the stretch holds now; it changes with the next hour."""
        return Tallies(self._tables[stretch], self._layout)

    def enter(self, stretch: Stretch, pane: int) -> None:
        self._tables[stretch] += self._ring[pane % self._depth]

    def leave(self, stretch: Stretch, pane: int) -> None:
        self._tables[stretch] -= self._ring[pane % self._depth]

    def forget(self, pane: int) -> None:
        self._ring[pane % self._depth] = 0

    def take(self, changes: Stack, oldest: int, spans: Sequence[tuple[Stretch, Span]]) -> None:
        row, pane, cells, sums = self._entries(changes)
        ring, place = self._ring.reshape(-1, self._layout.width), (pane % self._depth) * self._ring.shape[1] + row
        self._add(ring, pane >= oldest, place, cells, sums)
        for stretch, span in spans:
            inside = (pane >= span.start_hour) & (pane < span.end_hour)
            self._add(self._tables[stretch], inside, row, cells, sums)

    def _add(self, table: Int64Array, taken: Mask, row: Int64Array, cells: Int16Array, sums: Int64Array) -> None:
        """Add the taken cells: mostly all of them, or none."""
        if taken.all():
            tallies.add(table, self._layout, row, cells, sums)
        elif taken.any():
            tallies.add(table, self._layout, row[taken], cells[taken], sums[:, taken])

    def _entries(self, changes: Stack) -> tuple[Int64Array, Int64Array, Int16Array, Int64Array]:
        """Row, pane, cell (t,) and sums (12, t) of every cell of these series."""
        row = _found(self._row_of, series_of(changes.keys))[changes.rows]
        pane, ours = numbers_of(changes.keys)[changes.rows], row >= 0
        if ours.all():
            return row, pane, changes.cells, changes.sums
        return row[ours], pane[ours], changes.cells[ours], changes.sums[:, ours]


class HeldSketches:
    """Whole sketches of some series, by their place among them."""

    def __init__(self, series: Ints, stretches: Sequence[Stretch]) -> None:
        """`series` ascending."""
        self._row_of = _places(series)
        self._panes: dict[int, Stack] = {}
        self._sums = {stretch: no_sketches() for stretch in stretches}

    def stack(self, stretch: Stretch) -> Stack:
        """What the stretch holds now, by place; a series may be absent, or hold nothing."""
        return self._sums[stretch]

    def enter(self, stretch: Stretch, pane: int) -> None:
        if pane in self._panes:
            self._sums[stretch] = plus(self._sums[stretch], self._panes[pane])

    def leave(self, stretch: Stretch, pane: int) -> None:
        if pane in self._panes:
            self._sums[stretch] = plus(self._sums[stretch], negative(self._panes[pane]))

    def forget(self, pane: int) -> None:
        self._panes.pop(pane, None)

    def take(self, changes: Stack, oldest: int, spans: Sequence[tuple[Stretch, Span]]) -> None:
        row, pane = _found(self._row_of, series_of(changes.keys)), numbers_of(changes.keys)
        ours = row >= 0
        kept = ours & (pane >= oldest)
        for hour, change in by_number(regrouped(changes, kept, code(row, pane))):
            self._panes[hour] = plus(self._panes[hour], change) if hour in self._panes else change
        for stretch, span in spans:
            inside = ours & (pane >= span.start_hour) & (pane < span.end_hour)
            if inside.any():
                self._sums[stretch] = plus(self._sums[stretch], regrouped(changes, inside, row))


def _places(series: Ints) -> Int64Array:
    """The place of each number of a series, -1 for one that is not among them."""
    places = np.full(int(series.max(initial=-1)) + 2, -1, np.int64)
    places[series] = np.arange(len(series))
    return places


def _found(places: Int64Array, series: Ints) -> Int64Array:
    return places[np.minimum(series, len(places) - 1)]
