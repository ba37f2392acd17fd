"""The proof of the books: every pane recounted from the stored pairs, in one snapshot, and compared integer by integer.

Recount of `pair` = panes + waiting deltas, for every pane above the retention floor. Memory grows with the number of
distinct (segment set, pane, cell), not with the number of pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np

from monitor.calibration.sketch import SUMS, DelayRow, Sketch, empty
from monitor.postgres.database import Connection
from monitor.postgres.panes import HOUR_SECONDS, HOURS, KEY, day_keys
from monitor.postgres.partitions import leaf_pages, page_bounds
from monitor.postgres.retention import read_floor
from monitor.postgres.returned import PREDICTED, joined_rows, read_answer, shape_of_predictions
from monitor.postgres.segment_sets import LabelSources
from monitor.postgres.series import read_series
from monitor.postgres.sketches import COLUMNS, read_stack
from monitor.rolling.claims import DerivedBySet, derived_signals
from monitor.rolling.deltas import Delta, decode, delta_of, merge, nothing
from monitor.rolling.fanout import Route, by_series, route_names, routes
from monitor.rolling.panes import DAY_HOURS, FOREVER, Span, hour_of, start_of
from monitor.rolling.rows import JoinedRows
from monitor.rolling.segments import SegmentKey, SeriesName, parse_key
from monitor.rolling.stacks import Mask, Stack, negative, numbers_of, part, plus, regrouped, series_of, sketches

PAGES_A_CHUNK: Final = 512
"""Pages of `pair` read at a time, over all partitions: some 40,000 pairs."""
CELLS_A_COMPARISON: Final = 500_000
MOST_SHOWN: Final = 100

_DELAY_FIELDS: Final = {DelayRow.N: "n", DelayRow.Y: "sum_y"}

_SHAPE: Final = shape_of_predictions(PREDICTED)
_READ_PAIRS: Final = f"""
WITH up AS (
    SELECT {", ".join(_SHAPE.columns)} FROM pair
    WHERE ctid >= %(first)s::tid AND ctid < %(end)s::tid AND predicted_at >= %(floor)s
)
SELECT ARRAY[count(*)], {", ".join(_SHAPE.aggregates.values())} FROM up
"""
_READ_PANES: Final = f"""
SELECT {KEY}, {COLUMNS}, {HOURS} FROM pane WHERE pane_start >= %(start)s AND pane_start < %(end)s
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One integer that is not what the pairs say. `place` names a cell or a delay bucket, `field` the sum."""

    series: SeriesName
    pane_start: datetime
    width: timedelta
    place: str
    field: str
    expected: int
    """By the recount of the pairs."""
    stored: int
    """In the pane and the waiting deltas together."""

    @property
    def line(self) -> str:
        """For a person."""
        name = f"{self.series.model} {self.series.signal} {self.series.segment} {self.series.source_group}".rstrip()
        hours = self.width // timedelta(hours=1)
        return (
            f"{name}, pane {self.pane_start:%Y-%m-%dT%H:%MZ} ({hours} h), {self.place}, {self.field}: "
            f"the pairs say {self.expected}, the panes {self.stored}"
        )


@dataclass(frozen=True, slots=True)
class Recount:
    """What was compared, and what differs: at most MOST_SHOWN differences are kept, `n_differences` counts all."""

    floor_at: datetime
    pairs: int
    panes: int
    deltas: int
    n_differences: int
    differences: tuple[Difference, ...]


def recount(connection: Connection, main_signal: str) -> Recount:
    """Recount and compare, in one REPEATABLE READ snapshot that writes nothing.

    Ingest and evaluation may go on meanwhile; dropping a partition waits until it ends. `main_signal` is the name under
    which the leader keeps the series of `pair.confidence`.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        floor_at = read_floor(connection)
        directory = _Directory(connection, main_signal)
        n_pairs, counted = _count_pairs(connection, floor_at, directory.derived)
        n_deltas, waiting = _sum_waiting(connection)
        panes = n_differences = 0
        kept: list[Difference] = []
        for span in _spans(hour_of(floor_at), counted):
            stored = _Stored(connection, span)
            difference = _Comparison(
                stored.placed(directory.fan_out(_within(counted, span))),
                plus(stored.stack, stored.placed(directory.fan_out(_within(waiting, span)))),
            )
            panes += stored.panes
            n_differences += difference.n
            kept += difference.named(directory, stored, MOST_SHOWN - len(kept))
    return Recount(floor_at, n_pairs, panes, n_deltas, n_differences, tuple(kept))


def _count_pairs(connection: Connection, floor_at: datetime, derived: DerivedBySet) -> tuple[int, Delta]:
    """How many known predictions there are, and what they add up to."""
    sources = LabelSources(lambda _name: True)
    n, total, waiting = 0, nothing(), list[Delta]()
    for rows in _pairs(connection, floor_at):
        n += len(rows)
        waiting.append(delta_of(rows, sources.groups(connection, rows.label.source), derived))
        if sum(map(len, waiting)) > len(total):
            total, waiting = merge(total, *waiting), []
    return n, merge(total, *waiting)


def _pairs(connection: Connection, floor_at: datetime) -> Iterator[JoinedRows]:
    """All predictions at or above the floor with the labels they have, some pages at a time."""
    n_leaves, n_pages = leaf_pages(connection)
    step = max(1, PAGES_A_CHUNK // max(1, n_leaves))
    with connection.cursor(binary=True) as cursor:
        for first in range(0, n_pages, step):
            cursor.execute(_READ_PAIRS.encode(), {**page_bounds(first, first + step), "floor": floor_at})
            result = cursor.pgresult
            rows = None if result is None else joined_rows(read_answer(result, _SHAPE), new_predictions=True)
            if rows is not None:
                yield rows


def _sum_waiting(connection: Connection) -> tuple[int, Delta]:
    """How many deltas the leader has not taken yet, and their sum."""
    n, total = 0, nothing()
    with connection.cursor("waiting", binary=True) as cursor:
        cursor.execute("SELECT body FROM statistics_delta")
        while bodies := cursor.fetchmany(100):
            n += len(bodies)
            total = merge(total, *(decode(bytes(body)) for (body,) in bodies))
    return n, total


class _Directory:
    """Which series a route feeds, by name, without making any; a series that is not there yet gets a number here."""

    def __init__(self, connection: Connection, main_signal: str) -> None:
        self._main_signal = main_signal
        self._numbers = {stored.name: stored.id for stored in read_series(connection)}
        sets = connection.execute("SELECT id, key FROM segment_set").fetchall()
        self._sets: dict[int, SegmentKey] = {int(number): parse_key(key) for number, key in sets}
        self.derived = derived_signals(self._sets.items())
        sources = connection.execute("SELECT id, name FROM label_source").fetchall()
        self._sources = {0: "", **{int(number): str(name) for number, name in sources}}

    def fan_out(self, delta: Delta) -> Stack:
        """The delta by series and pane."""
        return by_series(delta, {route: self._fed(route) for route in routes(delta)})

    def name(self, number: int) -> SeriesName:
        """The series of a number."""
        return next(name for name, known in self._numbers.items() if known == number)

    def _fed(self, route: Route) -> list[list[int]]:
        segment_set, source = route
        names = route_names(self._sets[segment_set], self._main_signal, self._sources[source])
        return [[self._number(name) for name in each] for each in names]

    def _number(self, name: SeriesName) -> int:
        return self._numbers.setdefault(name, max(self._numbers.values(), default=0) + 1)


class _Stored:
    """The panes that start within a span of whole days, some of them a day wide."""

    def __init__(self, connection: Connection, span: Span) -> None:
        read = read_stack(connection, _READ_PANES, {"start": start_of(span.start_hour), "end": start_of(span.end_hour)})
        self.stack = read.stack
        self.panes = read.n_rows
        self._merged = read.keys[read.others[:, 0] > 1]

    def placed(self, stack: Stack) -> Stack:
        """A stack by hours, with those hours added up whose day is one stored pane."""
        if not len(self._merged):
            return stack
        days = day_keys(stack.keys)
        return regrouped(stack, np.ones(len(stack), bool), np.where(np.isin(days, self._merged), days, stack.keys))

    def width(self, key: int) -> timedelta:
        """How much time the pane of a key covers."""
        return timedelta(seconds=HOUR_SECONDS * (DAY_HOURS if key in self._merged else 1))


class _Comparison:
    """Two stacks that should be equal."""

    def __init__(self, expected: Stack, stored: Stack) -> None:
        self._expected, self._stored = expected, stored
        self._difference = plus(expected, negative(stored))
        right = np.where(self._difference.delay_sums[DelayRow.UNSPLIT] == 0, self._difference.delay_sums[DelayRow.Y], 0)
        different = self._difference.delay_sums[DelayRow.N], right
        self._delay_rows = self._difference.delay_rows[np.any(different, axis=0)]
        self.n = int(np.count_nonzero(self._difference.sums)) + int(np.count_nonzero(different))

    def named(self, directory: _Directory, panes: _Stored, most: int) -> list[Difference]:
        """The first differences, each with both numbers."""
        if not self.n or most <= 0:
            return []
        keys = self._difference.keys[np.union1d(self._difference.rows, self._delay_rows)][:most]
        expected, stored = _by_key(self._expected, keys), _by_key(self._stored, keys)
        found = []
        for key in keys.tolist():
            name, start = directory.name(int(series_of(key))), start_of(int(numbers_of(key)))
            one, other = _numbers(expected.get(key, empty())), _numbers(stored.get(key, empty()))
            for place in sorted((one.keys() | other.keys()) - _unknown(stored.get(key, empty()))):
                said, held = one.get(place, 0), other.get(place, 0)
                if said != held:
                    kind, number, field = place
                    found.append(Difference(name, start, panes.width(key), f"{kind} {number}", field, said, held))
        return found[:most]


def _by_key(stack: Stack, keys: np.typing.NDArray[np.int64]) -> dict[int, Sketch]:
    return dict(sketches(part(stack, np.isin(stack.keys, keys))))


def _numbers(sketch: Sketch) -> dict[tuple[str, int, str], int]:
    """Every integer of a sketch by its place."""
    numbers = {
        ("cell", cell, SUMS[row]): value
        for place, cell in enumerate(sketch.cells.tolist())
        for row, value in enumerate(sketch.sums[:, place].tolist())
    }
    for row, field in _DELAY_FIELDS.items():
        delays = zip(sketch.delay_buckets.tolist(), sketch.delay_sums[row].tolist(), strict=True)
        numbers |= {("delay bucket", bucket, field): value for bucket, value in delays}
    return numbers


def _unknown(sketch: Sketch) -> set[tuple[str, int, str]]:
    """Places whose number was never known: right answers of delays in panes that were counted without them."""
    unsplit = sketch.delay_buckets[sketch.delay_sums[DelayRow.UNSPLIT] != 0]
    return {("delay bucket", bucket, _DELAY_FIELDS[DelayRow.Y]) for bucket in unsplit.tolist()}


def _spans(floor_hour: int, counted: Delta) -> list[Span]:
    """Spans of whole days from the floor on, so many that each holds a bounded part of what was counted."""
    n = 1 + len(counted) // CELLS_A_COMPARISON
    inner = np.quantile(counted.pane_hour, np.arange(1, n) / n, method="lower") if n > 1 else np.empty(0, np.int64)
    days = {int(hour) // DAY_HOURS * DAY_HOURS for hour in inner.tolist()}
    edges = [floor_hour, *sorted(day for day in days if day > floor_hour), FOREVER]
    return [Span(start, end) for start, end in pairwise(edges)]


def _within(delta: Delta, span: Span) -> Delta:
    """The part of a delta whose panes lie in a span."""
    cells, delays = _inside(delta.pane_hour, span), _inside(delta.delay_pane_hour, span)
    return replace(
        delta,
        segment_set=delta.segment_set[cells],
        signal=delta.signal[cells],
        source=delta.source[cells],
        pane_hour=delta.pane_hour[cells],
        cell=delta.cell[cells],
        sums=delta.sums[:, cells],
        delay_segment_set=delta.delay_segment_set[delays],
        delay_signal=delta.delay_signal[delays],
        delay_source=delta.delay_source[delays],
        delay_pane_hour=delta.delay_pane_hour[delays],
        delay_bucket=delta.delay_bucket[delays],
        delay_sums=delta.delay_sums[:, delays],
        counts={},
    )


def _inside(hours: np.typing.NDArray[np.int64], span: Span) -> Mask:
    inside: Mask = (hours >= span.start_hour) & (hours < span.end_hour)
    return inside
