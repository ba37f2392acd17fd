"""Passes: reading the windows that changed, a pass at each instant of the grid and whenever nothing new comes."""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from monitor.calibration.reading import Reading, ReadingSettings, Subject
from monitor.calibration.readout import read, read_many
from monitor.calibration.sketch import Sketch, checked
from monitor.errors import Refused
from monitor.postgres import windows
from monitor.postgres.database import Connection
from monitor.postgres.detectors import read_references
from monitor.postgres.evaluation import Pass, note_evaluated
from monitor.postgres.leader import leading
from monitor.postgres.readings import StoredReading, drop_readings, write_readings
from monitor.rolling.stacks import sketches
from monitor.rolling.subjects import subject_of
from monitor.workers.judging import admit, note_readings
from monitor.workers.standing import Evaluation, Standing, grid_instant

WINDOWS_AT_ONCE: Final = 800
"""Windows that one transaction reads."""
PASS_SECONDS: Final = 0.5
"""Wall time that a pass may take of one turn; what is left of it waits for the next."""
EXACT_AT_MOST: Final = 200
"""Windows whose bands are resampled, as `caldrift reading` does it, when a pass has time; else in closed form."""
EAGER_SECONDS: Final = 5.0
"""With few windows, changes wait no longer than this for a pass, even while more come."""
SECOND: Final = timedelta(seconds=1)

log = logging.getLogger("caldrift.evaluate")


def read_windows(connection: Connection, standing: Standing, evaluation: Evaluation, now: datetime) -> int:
    """Begin a pass when one is due, and go on with the one under way for its share of the turn; returns the readings.

    While deltas come, bands are in closed form: thousands of windows in a period. Once none come, the windows are read
    as `caldrift reading` would, to the last digit.
    """
    if standing.began is None and not _begin(standing, evaluation, now):
        return 0
    started, done = time.monotonic(), 0
    while standing.queue and (not done or time.monotonic() - started < PASS_SECONDS):
        keys = [standing.queue.pop() for _ in range(min(WINDOWS_AT_ONCE, len(standing.queue)))]
        done += _read_some(connection, standing, evaluation, keys, now)
    standing.pass_seconds += time.monotonic() - started
    if not standing.queue:
        _finish(connection, standing)
    return done


def _begin(standing: Standing, evaluation: Evaluation, now: datetime) -> bool:
    """Whether a pass begins: at an instant of the grid, or because something is left to read and time to do so."""
    calm = standing.quiet_turns > 1
    waiting = standing.changed | (standing.rough if calm and len(standing.rough) <= EXACT_AT_MOST else set())
    due = standing.due_at is None or now >= standing.due_at
    unread = standing.unread_at is not None
    eager = unread and time.monotonic() - (standing.unread_at or 0.0) >= EAGER_SECONDS and len(waiting) <= EXACT_AT_MOST
    if standing.to_roll or not (due or eager or (calm and (waiting or unread))):
        return False
    standing.due_at = grid_instant(now, evaluation.every) + evaluation.every
    standing.queue, standing.changed = sorted(waiting, reverse=True), set()
    standing.exact = calm and len(waiting) <= EXACT_AT_MOST
    standing.began, standing.pass_seconds, standing.unread_at = now, 0.0, None
    if standing.judging is not None:
        admit(standing.judging, standing.series, evaluation.main_signal)
    return True


def _finish(connection: Connection, standing: Standing) -> None:
    if standing.began is None:
        return
    done = Pass(standing.began, standing.rows_read, standing.bytes_read, standing.pass_seconds)
    with leading(connection, standing.epoch):
        note_evaluated(connection, done)
    standing.began, standing.rows_read, standing.bytes_read = None, 0, 0
    if standing.judging is not None:
        standing.judging.is_due = True


def _read_some(
    connection: Connection, standing: Standing, evaluation: Evaluation, keys: list[int], now: datetime
) -> int:
    """Store the readings of some windows; of one period the last stays."""
    as_of = grid_instant(now, SECOND)
    with leading(connection, standing.epoch):
        stack = windows.read_windows(connection, evaluation.names, np.array(sorted(keys), np.int64))
        due = {
            key: sketch
            for key, sketch in sketches(stack)
            if _is_due(standing, evaluation, key, sketch) and _sound(standing, evaluation, key, sketch)
        }
        subjects = [_subject(standing, evaluation, key, as_of) for key in due]
        if standing.exact:
            found = _exactly(connection, evaluation.reading, due, subjects)
        else:
            found = read_many(list(due.values()), evaluation.reading, subjects)
        stored = [StoredReading(key >> 32, one.window, as_of, now, one) for key, one in zip(due, found, strict=True)]
        drop_readings(connection, keys, evaluation.names, grid_instant(now, evaluation.every), as_of)
        write_readings(connection, stored)
    if standing.judging is not None:
        note_readings(standing.judging, stored)
    standing.read_before.update((one.series, one.window) for one in stored)
    if standing.exact:
        standing.rough.difference_update(keys)
    else:
        standing.rough.update(due)
    return len(stored)


def _exactly(
    connection: Connection, how: ReadingSettings, due: Mapping[int, Sketch], subjects: Sequence[Subject]
) -> list[Reading]:
    """The readings as `caldrift reading` gives them."""
    references = read_references(connection, sorted({key >> 32 for key in due}))
    before = [
        reference.before(subject.window_start) if (reference := references.get(key >> 32)) else None
        for key, subject in zip(due, subjects, strict=True)
    ]
    return [
        read(sketch, how, subject, reference)
        for sketch, subject, reference in zip(due.values(), subjects, before, strict=True)
    ]


def _is_due(standing: Standing, evaluation: Evaluation, key: int, sketch: Sketch) -> bool:
    """Whether the window holds anything, or has been read while it did."""
    return len(sketch.cells) > 0 or (key >> 32, evaluation.windows[key & 0xFFFFFFFF].name) in standing.read_before


def _subject(standing: Standing, evaluation: Evaluation, key: int, as_of: datetime) -> Subject:
    window = evaluation.windows[key & 0xFFFFFFFF].name
    return subject_of(standing.series[key >> 32], window, standing.spans[key], as_of, evaluation.maturity)


def _sound(standing: Standing, evaluation: Evaluation, key: int, sketch: Sketch) -> bool:
    defect = defect_of(sketch)
    if defect is not None:
        shown = {"series": standing.series[key >> 32], "window": evaluation.windows[key & 0xFFFFFFFF].name}
        log.warning("no reading", extra={**shown, "reason": defect})
    return defect is None


def defect_of(sketch: Sketch) -> str | None:
    """Why no sequence of events leads to these sums; None when one may."""
    try:
        checked(sketch)
    except Refused as defect:
        return str(defect)
    return None
