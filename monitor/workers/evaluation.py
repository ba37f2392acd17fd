"""One turn of the leader: waiting deltas into panes and windows, windows up to the clock, readings of what changed.

Each step is a transaction of its own under the leader's epoch, so a crash between any two of them repeats or goes on,
and never counts twice. What the leader remembers between turns is only a memory of what is stored.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from monitor.calibration.reading import ReadingSettings, read
from monitor.calibration.sketch import Sketch, checked
from monitor.errors import Refused
from monitor.postgres import panes, windows
from monitor.postgres.counts import add_counts
from monitor.postgres.database import Connection
from monitor.postgres.evaluation import Pass, note_applied, note_evaluated, take_deltas
from monitor.postgres.leader import leading
from monitor.postgres.readings import StoredReading, read_before, write_readings
from monitor.postgres.series import Routes, read_series
from monitor.postgres.windows import Held
from monitor.rolling.deltas import decode, merge
from monitor.rolling.fanout import by_series, routes
from monitor.rolling.panes import Span, hour_after
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import code, numbers_of, series_of, sketches
from monitor.rolling.subjects import subject_of
from monitor.rolling.windows import Window, span_at

DELTAS_A_TRANSACTION: Final = 64
WINDOWS_A_TRANSACTION: Final = 500
READINGS_A_TRANSACTION: Final = 50
STEP_SECONDS: Final = 0.5
"""Wall time that rolling and reading may each take of one turn; the rest of the work waits for the next."""

SECOND: Final = timedelta(seconds=1)

NEGATIVE: Final = "negative_pane"
"""The counter of panes that fell below zero, a defect."""

log = logging.getLogger("caldrift.evaluate")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is evaluated, and how."""

    windows: tuple[Window, ...]
    maturity: timedelta
    every: timedelta
    reading: ReadingSettings
    main_signal: str

    @property
    def names(self) -> list[str]:
        """Names of the windows; keys of windows count places in this list."""
        return [window.name for window in self.windows]

    def targets(self, now: datetime) -> list[Span]:
        """Where each window belongs at `now`."""
        return [span_at(window, now, self.maturity) for window in self.windows]


@dataclass(slots=True)
class Standing:
    """What the leader of one epoch remembers. After any failure it is dropped, and loaded again from the database."""

    epoch: int
    routes: Routes
    series: dict[int, SeriesName]
    spans: Held
    read_before: set[tuple[int, str]]
    """Series and windows that have a reading; once they are empty, they get one that says so."""
    changed: set[int]
    """Windows whose sums changed after their last reading was begun."""
    touched: dict[int, int] = field(default_factory=dict)
    """The oldest pane hour that changed of each series since its past was last filled in."""
    queue: list[int] = field(default_factory=list)
    """Windows that the evaluation under way has still to read."""
    began: tuple[datetime, float] | None = None
    """The clock when the evaluation under way began, and the wall time it has taken."""
    due_at: datetime | None = None
    """When the next evaluation begins, or earlier once nothing new comes; None: at once."""
    quiet_turns: int = 0
    behind: bool = True
    """Whether a window may be elsewhere than the clock wants it."""
    targets: list[Span] = field(default_factory=list)
    rows_read: int = 0
    bytes_read: int = 0
    defects: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn did."""

    deltas: int = 0
    panes: int = 0
    windows_rolled: int = 0
    readings: int = 0
    more: bool = False
    """Deltas are waiting still."""


def load(connection: Connection, epoch: int, evaluation: Evaluation) -> Standing:
    """What is stored. Every window counts as changed, because its last reading may not have been finished."""
    with leading(connection, epoch):
        spans = windows.held(connection, evaluation.names)
    series = {stored.id: stored.name for stored in read_series(connection)}
    before = read_before(connection, evaluation.names)
    return Standing(epoch, Routes(evaluation.main_signal), series, spans, before, set(spans))


def turn(connection: Connection, standing: Standing, evaluation: Evaluation, now: datetime) -> Turn:
    """Do what is due at `now`. After an exception `standing` must not be used again."""
    n_deltas, n_panes = apply_deltas(connection, standing, evaluation, now)
    standing.quiet_turns = 0 if n_deltas else standing.quiet_turns + 1
    n_rolled = roll_windows(connection, standing, evaluation, now)
    n_readings = read_windows(connection, standing, evaluation, now)
    return Turn(n_deltas, n_panes, n_rolled, n_readings, n_deltas == DELTAS_A_TRANSACTION)


def apply_deltas(connection: Connection, standing: Standing, evaluation: Evaluation, now: datetime) -> tuple[int, int]:
    """Take waiting deltas and add them to panes, history, windows and counters, all in one transaction.

    Returns how many deltas and panes there were.
    """
    with leading(connection, standing.epoch):
        bodies = take_deltas(connection, DELTAS_A_TRANSACTION)
        if not bodies:
            return 0, 0
        delta = merge(*(decode(body) for body in bodies))
        created = standing.routes.learn(connection, routes(delta))
        spans = _begin_windows(connection, created, evaluation, now)
        standing.spans.update(spans)
        standing.series.update((stored.id, stored.name) for stored in read_series(connection, created))
        stack = by_series(delta, standing.routes.by_route)
        for applied in panes.apply(connection, stack, hour_after(now)):
            absorbed = windows.absorb(connection, evaluation.names, standing.spans, applied.delta)
            standing.changed.update(absorbed.changed.tolist())
            standing.rows_read += applied.n_rows + absorbed.n_rows
            standing.bytes_read += applied.n_bytes + absorbed.n_bytes
            _report(connection, standing, applied.defects.tolist())
        add_counts(connection, delta.counts)
        note_applied(connection, len(bodies), now)
    for series, hour in zip(series_of(stack.keys).tolist(), numbers_of(stack.keys).tolist(), strict=True):
        standing.touched[series] = min(hour, standing.touched.get(series, hour))
    return len(bodies), len(stack)


def _begin_windows(connection: Connection, created: Sequence[int], evaluation: Evaluation, now: datetime) -> Held:
    """Empty windows for series that have just been made."""
    targets = evaluation.targets(now)
    spans = {
        key: target for place, target in enumerate(targets) for key in code(np.array(created, np.int64), place).tolist()
    }
    if spans:
        windows.roll(connection, evaluation.names, {}, spans)
    return spans


def _report(connection: Connection, standing: Standing, defects: list[int]) -> None:
    new = [key for key in defects if key not in standing.defects]
    if not new:
        return
    standing.defects.update(new)
    add_counts(connection, {NEGATIVE: len(new)})
    shown = [{"series": key >> 32, "pane_hour": key & 0xFFFFFFFF} for key in new[:5]]
    log.error("counts below zero: run `caldrift doctor --recount`", extra={"panes": len(new), "first": shown})


def roll_windows(connection: Connection, standing: Standing, evaluation: Evaluation, now: datetime) -> int:
    """Move windows to where the clock wants them; returns how many, some perhaps left for the next turn."""
    targets = evaluation.targets(now)
    if targets == standing.targets and not standing.behind:
        return 0
    standing.targets = targets
    wanted = [
        (key, target)
        for place, target in enumerate(targets)
        for key in code(np.fromiter(standing.series, np.int64, len(standing.series)), place).tolist()
        if standing.spans.get(key) != target
    ]
    wanted.sort(key=lambda item: item[0] & 0xFFFFFFFF)  # windows of one name move alike
    started, done = time.monotonic(), 0
    while done < len(wanted) and (not done or time.monotonic() - started < STEP_SECONDS):
        some = dict(wanted[done : done + WINDOWS_A_TRANSACTION])
        with leading(connection, standing.epoch):
            rolled = windows.roll(connection, evaluation.names, standing.spans, some)
        standing.spans.update(some)
        standing.changed.update(rolled.changed.tolist())
        standing.rows_read += rolled.n_rows
        standing.bytes_read += rolled.n_bytes
        done += len(some)
    standing.behind = done < len(wanted)
    return done


def read_windows(connection: Connection, standing: Standing, evaluation: Evaluation, now: datetime) -> int:
    """Read the windows that changed, at each instant of the grid and whenever nothing new comes; returns how many.

    An evaluation that takes longer than its share of a turn goes on in the next.
    """
    if standing.began is None:
        calm = standing.quiet_turns > 1 and bool(standing.changed)
        if standing.behind or not (calm or standing.due_at is None or now >= standing.due_at):
            return 0
        standing.due_at = grid_instant(now, evaluation.every) + evaluation.every
        standing.queue, standing.changed = sorted(standing.changed, reverse=True), set()
        standing.began = (now, 0.0)
    started, done = time.monotonic(), 0
    while standing.queue and (not done or time.monotonic() - started < STEP_SECONDS):
        keys = [standing.queue.pop() for _ in range(min(READINGS_A_TRANSACTION, len(standing.queue)))]
        done += _read_some(connection, standing, evaluation, keys, now)
    began_at, took = standing.began
    standing.began = (began_at, took + time.monotonic() - started)
    if not standing.queue:
        _finish(connection, standing)
    return done


def _finish(connection: Connection, standing: Standing) -> None:
    if standing.began is None:
        return
    done = Pass(standing.began[0], standing.rows_read, standing.bytes_read, standing.began[1])
    with leading(connection, standing.epoch):
        note_evaluated(connection, done)
    standing.began, standing.rows_read, standing.bytes_read = None, 0, 0


def _read_some(
    connection: Connection, standing: Standing, evaluation: Evaluation, keys: list[int], now: datetime
) -> int:
    """Store the readings of some windows."""
    with leading(connection, standing.epoch):
        stack = windows.read_windows(connection, evaluation.names, np.array(sorted(keys), np.int64))
        found = [
            _stored(standing, evaluation, key, sketch, now)
            for key, sketch in sketches(stack)
            if _is_due(standing, evaluation, key, sketch) and _sound(standing, evaluation, key, sketch)
        ]
        write_readings(connection, found)
    standing.read_before.update((stored.series, stored.window) for stored in found)
    return len(found)


def _is_due(standing: Standing, evaluation: Evaluation, key: int, sketch: Sketch) -> bool:
    """Whether the window holds anything, or has been read while it did."""
    return len(sketch.cells) > 0 or (key >> 32, evaluation.windows[key & 0xFFFFFFFF].name) in standing.read_before


def _stored(standing: Standing, evaluation: Evaluation, key: int, sketch: Sketch, now: datetime) -> StoredReading:
    series, window = key >> 32, evaluation.windows[key & 0xFFFFFFFF].name
    as_of = grid_instant(now, SECOND)
    subject = subject_of(standing.series[series], window, standing.spans[key], as_of, evaluation.maturity)
    return StoredReading(series, window, as_of, now, read(sketch, evaluation.reading, subject))


def _sound(standing: Standing, evaluation: Evaluation, key: int, sketch: Sketch) -> bool:
    try:
        checked(sketch)
    except Refused as defect:
        shown = {"series": standing.series[key >> 32], "window": evaluation.windows[key & 0xFFFFFFFF].name}
        log.warning("no reading", extra={**shown, "reason": str(defect)})
        return False
    return True


def grid_instant(now: datetime, every: timedelta) -> datetime:
    """The last instant up to `now` that is a whole number of periods after the beginning of 1970."""
    return now - (now - datetime(1970, 1, 1, tzinfo=UTC)) % every
