"""Readings of the past: one a day for history that was put in at once, or that came while nobody evaluated.

They are computed from what is known now; `computed_at` says so. A reading that was made in its own time is never
replaced, and none is made beside it.
"""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from monitor.calibration.reading import Reading
from monitor.calibration.readout import read_many
from monitor.calibration.sketch import Row, Sketch, merge
from monitor.postgres.database import Connection
from monitor.postgres.leader import leading
from monitor.postgres.panes import span_sums
from monitor.postgres.readings import StoredReading, Written, write_readings, written
from monitor.rolling.panes import Span
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import Stack, numbers_of, series_of, sketches
from monitor.rolling.subjects import subject_of
from monitor.rolling.windows import RollingWindow, Window, advance, plan, span_at
from monitor.workers.passes import defect_of
from monitor.workers.standing import Evaluation, Standing, Touched

PAST: Final = timedelta(days=1)
"""What is older than the maturity and this is the past; younger readings are still to come in their own time."""
DAYS: Final = 35
"""How far back past readings go."""
FILL_SECONDS: Final = 0.3
"""Wall time of one turn."""
SETTLED_SECONDS: Final = 3.0
"""A series is filled when its past has not changed for so long,"""
PATIENCE_SECONDS: Final = 15.0
"""or when it has kept changing for so long."""
WORTH: Final = 0.1
"""Filling again is worth it once this share of its labels has come since the last time."""


def note_past(past: dict[int, Touched], changes: Stack, before_hour: int, wall: float) -> None:
    """Remember which series changed before an hour, and by how many labels. `wall` is a monotonic time in seconds."""
    hours = numbers_of(changes.keys)
    old = hours[changes.rows] < before_hour
    if not old.any():
        return
    rows = changes.rows[old]
    series, place = np.unique(series_of(changes.keys)[rows], return_inverse=True)
    labels = np.bincount(place, np.abs(changes.sums[Row.N, old])).astype(np.int64)
    first = np.full(len(series), np.iinfo(np.int64).max)
    np.minimum.at(first, place, hours[rows])
    for one, hour, n in zip(series.tolist(), first.tolist(), labels.tolist(), strict=True):
        seen = past.setdefault(one, Touched(hour, 0, 0, wall, wall))
        if not seen.n_new:
            seen.first_hour, seen.first_at = hour, wall
        seen.first_hour, seen.n_new, seen.last_at = min(hour, seen.first_hour), seen.n_new + n, wall


def is_due(seen: Touched, wall: float) -> bool:
    """Whether the past of a series is worth filling, and has settled or waited long enough."""
    settled = wall - seen.last_at >= SETTLED_SECONDS or wall - seen.first_at >= PATIENCE_SECONDS
    return settled and seen.n_new > 0 and seen.n_new >= WORTH * seen.n_known


def fill_past(connection: Connection, standing: Standing, evaluation: Evaluation, now: datetime) -> int:
    """Fill in the past of series that are due, for a share of the turn; returns how many readings were made."""
    started, made = time.monotonic(), 0
    due = [series for series, seen in standing.past.items() if is_due(seen, started)]
    for series in sorted(due, key=lambda one: len(standing.series[one].segment)):  # whole models first
        seen = standing.past[series]
        seen.n_known, seen.n_new = seen.n_known + seen.n_new, 0
        standing.to_fill.extend((series, window, seen.first_hour) for window in evaluation.windows)
    while standing.to_fill and time.monotonic() - started < FILL_SECONDS:
        made += _fill(connection, standing, evaluation, now)
    return made


def instants(first_hour: int, maturity: timedelta, now: datetime) -> list[datetime]:
    """The UTC midnights whose windows may hold the hour or a later one, from `DAYS` ago up to a day ago."""
    first = max(datetime.fromtimestamp(first_hour * 3600, UTC) + maturity, now - timedelta(days=DAYS))
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    days = (now - PAST - midnight) // timedelta(days=1) + 1
    return [midnight + timedelta(days=day) for day in range(max(0, days))]


def _fill(connection: Connection, standing: Standing, evaluation: Evaluation, now: datetime) -> int:
    """Fill in one window of one series."""
    series, window, first_hour = standing.to_fill.popleft()
    every = instants(first_hour, evaluation.maturity, now)
    if not every:
        return 0
    with leading(connection, standing.epoch):
        there = written(connection, series, every[0] - PAST, now)
        wanted = [at for at in every if is_open(there, window.name, at)]
        if not wanted:
            return 0
        rolled = windows_at(connection, series, window, wanted, evaluation.maturity)
        readings = _readings(standing.series[series], evaluation, window, rolled)
        write_readings(connection, [StoredReading(series, window.name, at, now, reading) for at, reading in readings])
    return len(readings)


def is_open(there: list[Written], window: str, at: datetime) -> bool:
    """Whether no reading of that window was made in its own time within half a day of the instant."""
    return not any(
        one.window == window and one.computed_at - one.as_of < PAST and abs(one.as_of - at) <= PAST / 2 for one in there
    )


def _readings(
    name: SeriesName, evaluation: Evaluation, window: Window, rolled: Iterable[tuple[datetime, RollingWindow]]
) -> list[tuple[datetime, Reading]]:
    found = [(at, state) for at, state in rolled if len(state.sketch.cells) and defect_of(state.sketch) is None]
    subjects = [subject_of(name, window.name, state.span, at, evaluation.maturity) for at, state in found]
    readings = read_many([state.sketch for _, state in found], evaluation.reading, subjects)
    return [(at, reading) for (at, _), reading in zip(found, readings, strict=True)]


def windows_at(
    connection: Connection, series: int, window: Window, wanted: Iterable[datetime], maturity: timedelta
) -> Iterator[tuple[datetime, RollingWindow]]:
    """The window at each instant, ascending, rolled from one to the next."""

    def total(spans: Iterable[Span]) -> Sketch:
        read = [span_sums(connection, np.array([series], np.int64), span).stack for span in spans]
        return merge(*(sketch for stack in read for _, sketch in sketches(stack)))

    state: RollingWindow | None = None
    for at in wanted:
        move = plan(None if state is None else state.span, span_at(window, at, maturity))
        state = advance(state, move, total(move.entering), total(move.leaving))
        yield at, state
