"""Detectors: what they know of each series, written back with the panes they were fed and the alarms they raised.

What writes runs inside a transaction of the leader, but for `ask_anew`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

import numpy as np
from psycopg.rows import class_row

from monitor.calibration.cells import FloatArray
from monitor.calibration.sketch import Sketch, empty
from monitor.drift.adwin import SecondOpinion, Shift, restored
from monitor.drift.alarms import Alarm
from monitor.drift.baseline import Baseline, decoded, encoded, stacked
from monitor.drift.state import NOTHING_FED, WIDTH, begun, numbers
from monitor.drift.watches import FedPane, Learning, Taken, Watch, Watching, anew, evidence_of
from monitor.errors import Refused
from monitor.postgres.arrays import (
    ByteaArray,
    Float8Array,
    Int2Array,
    Int4Array,
    Int8Array,
    JsonbArray,
    TextArray,
    TimestamptzArray,
)
from monitor.postgres.database import Connection
from monitor.postgres.panes import HOUR_US
from monitor.postgres.sketches import COLUMNS, SLICED, SLICED_AS, SLICES, read_stack, slices
from monitor.postgres.tables import SKETCH_COLUMNS
from monitor.rolling.panes import HOUR, start_of
from monitor.rolling.stacks import sketches
from monitor.rolling.stacks import stacked as stack_of

_HOUR_OF: Final = "(extract(epoch FROM {}) / 3600)::bigint"
READ: Final = f"""
SELECT series, {_HOUR_OF.format("first_at")} AS first, {_HOUR_OF.format("began_at")} AS began,
    {_HOUR_OF.format("until_at")} AS until, panes, baseline_panes, {_HOUR_OF.format("taught_until_at")} AS taught_until,
    baseline::text, numbers, opinion,
    {_HOUR_OF.format("shift_at")} AS shift_pane, shift, shift_mean, shift_panes, renew
FROM detector WHERE series = ANY(%(series)s) FOR UPDATE
"""
READ_TEACHING: Final = f"""
SELECT series::bigint, {COLUMNS} FROM detector WHERE series = ANY(%(series)s) AND baseline IS NULL
"""
READ_REFERENCES: Final = f"""
SELECT series::bigint, {COLUMNS}, {_HOUR_OF.format("taught_until_at")}
FROM detector WHERE series = ANY(%(series)s) AND taught_until_at IS NOT NULL
"""
PROGRESS: Final = f"""
SELECT series, {_HOUR_OF.format("first_at")}, {_HOUR_OF.format("began_at")}, {_HOUR_OF.format("until_at")}, panes
FROM detector
"""
_COLUMNS: Final = (
    "first_at", "began_at", "until_at", "panes", "baseline_panes", "taught_until_at", "baseline", "numbers", "opinion",
    "shift_at", "shift", "shift_mean", "shift_panes", "labels", "residual", "page_evidence", "page_limit",
    "warn_evidence", "warn_limit", "late_labels",
)  # fmt: skip
_NAMES: Final = ", ".join(_COLUMNS)
_TAUGHT: Final = "EXCLUDED.baseline IS NOT NULL AND d.baseline IS NOT NULL AND EXCLUDED.began_at = d.began_at"
"""The sketch that taught the baseline stays as it is: it is large, and is not read again to be written."""
WRITE: Final = f"""
INSERT INTO detector AS d (series, {_NAMES}, {COLUMNS})
SELECT k.series, {", ".join(f"k.{name}" for name in _COLUMNS)}, {SLICES}
FROM unnest(%(series)s, {", ".join(f"%({name})s" for name in _COLUMNS)}, {SLICED}) AS k (series, {_NAMES}, {SLICED_AS})
ON CONFLICT (series) DO UPDATE SET {", ".join(f"{name} = EXCLUDED.{name}" for name in _COLUMNS[:-1])},
    {", ".join(f"{name} = CASE WHEN {_TAUGHT} THEN d.{name} ELSE EXCLUDED.{name} END" for name in SKETCH_COLUMNS)},
    late_labels = EXCLUDED.late_labels + CASE WHEN EXCLUDED.began_at = d.began_at THEN d.late_labels ELSE 0 END,
    renew = false
"""
WRITE_FED: Final = """
INSERT INTO fed_pane (series, pane_start, known_at, labels, residual, page_alpha, warn_alpha)
SELECT k.series, k.pane_start, %(known_at)s, k.labels, nullif(k.residual, 'NaN'), k.page_alpha, k.warn_alpha
FROM unnest(%(series)s, %(start)s, %(labels)s, %(residual)s, %(page_alpha)s, %(warn_alpha)s)
    AS k (series, pane_start, labels, residual, page_alpha, warn_alpha)
"""
WRITE_ALARMS: Final = """
INSERT INTO alarm (series, tier, raised_at, pane_start, band, sign, onset_at, onset_low_at, onset_high_at, size,
    size_low, size_high, value, alpha, labels, slope, intercept)
SELECT k.series, k.tier, %(raised_at)s, k.pane_start, k.band, k.sign, k.onset_at, k.onset_low_at, k.onset_high_at,
    k.size, k.size_low, k.size_high, k.value, k.alpha, k.labels, k.slope, k.intercept
FROM unnest(%(series)s, %(tier)s, %(pane)s, %(band)s, %(sign)s, %(onset)s, %(onset_low)s, %(onset_high)s, %(size)s,
    %(size_low)s, %(size_high)s, %(value)s, %(alpha)s, %(labels)s, %(slope)s, %(intercept)s)
    AS k (series, tier, pane_start, band, sign, onset_at, onset_low_at, onset_high_at, size, size_low, size_high, value,
        alpha, labels, slope, intercept)
"""
ADD_LATE: Final = """
UPDATE detector AS d SET late_labels = d.late_labels + k.n
FROM unnest(%(series)s, %(n)s) AS k (series, n) WHERE d.series = k.series
"""


def read_progress(connection: Connection) -> dict[int, Taken]:
    """What every series gave so far."""
    rows = connection.execute(PROGRESS.encode()).fetchall()
    return {series: _taken(*rest) for series, *rest in rows}


@dataclass(frozen=True, slots=True)
class Reference:
    """The sketch that taught a baseline: its predictions were made before `until_at`."""

    sketch: Sketch
    until_at: datetime

    def before(self, start_at: datetime | None) -> Sketch | None:
        """The sketch, where it shares no prediction with a window that starts then; None: from the beginning."""
        return self.sketch if start_at is not None and start_at >= self.until_at else None


@dataclass(frozen=True, slots=True)
class _Stored:
    """A row of the table, the instants as hours."""

    series: int
    first: int
    began: int | None
    until: int
    panes: int
    baseline_panes: int
    taught_until: int | None
    baseline: str | None
    numbers: bytes
    opinion: bytes
    shift_pane: int | None
    shift: float | None
    shift_mean: float
    shift_panes: int
    renew: bool


def read_watches(connection: Connection, series: Sequence[int]) -> list[Watch]:
    """The watch of each series, in that order; a series without one begins.

    A stored state of another version begins anew from its baseline, and one without a baseline that can be read learns.
    """
    given = {"series": Int4Array(np.array(series, np.int64))}
    teaching = dict(sketches(read_stack(connection, READ_TEACHING, given).stack))
    with connection.cursor(row_factory=class_row(_Stored), binary=True) as cursor:
        rows = cursor.execute(READ.encode(), given).fetchall()
    found = {row.series: _watch(row, teaching.get(row.series)) for row in rows}
    return [found.get(one) or anew() for one in series]


Alphas: TypeAlias = Mapping[int, tuple[float, float]]
"""Of each series, the false pages and warnings to expect a pane."""


def write_watches(connection: Connection, judged: Mapping[int, Watch], alphas: Alphas, late: Mapping[int, int]) -> None:
    """Store the watches of series, all of which were fed something, and add the labels that came late for it."""
    if not judged:
        return
    each = sorted(judged)
    watches = [judged[one] for one in each]
    watching = [watch if isinstance(watch, Watching) else None for watch in watches]
    shifts = [None if watch is None else watch.shift for watch in watching]
    limits = np.array([alphas[one] for one in each])
    stack = stack_of({one: _teaching(watch) for one, watch in zip(each, watches, strict=True)})
    connection.execute(
        WRITE,
        {
            "series": Int4Array(np.array(each, np.int64)),
            "first_at": _hours([watch.taken.first for watch in watches]),
            "began_at": _hours([watch.taken.began for watch in watches]),
            "until_at": _hours([watch.taken.until for watch in watches]),
            "panes": Int8Array([watch.taken.n for watch in watches]),
            "baseline_panes": Int4Array([watch.baseline_panes for watch in watches]),
            "taught_until_at": _hours([NOTHING_FED if watch is None else watch.taught_until for watch in watching]),
            "baseline": JsonbArray([None if watch is None else encoded(watch.baseline) for watch in watching]),
            "numbers": ByteaArray(
                [None if watch is None else watch.numbers.astype("<f8").tobytes() for watch in watching]
            ),
            "opinion": ByteaArray([None if watch is None else watch.opinion.stored() for watch in watching]),
            "shift_at": _hours([NOTHING_FED if watch is None else watch.shift_pane for watch in watching]),
            "shift": _numbers([None if shift is None else shift.size for shift in shifts]),
            "shift_mean": _numbers([None if shift is None else shift.mean for shift in shifts]),
            "shift_panes": Int4Array(
                [0 if shift is None else shift.panes for shift in shifts], np.array([shift is None for shift in shifts])
            ),
            **_evidence(watching),
            "page_limit": _limits(limits[:, 0]),
            "warn_limit": _limits(limits[:, 1]),
            "late_labels": Int8Array([late.get(one, 0) for one in each]),
            **slices(stack),
        },
    )


def write_fed(connection: Connection, panes: Sequence[FedPane], alphas: Alphas, known_hour: int) -> None:
    """Store which panes were fed, as known at an hour."""
    if panes:
        connection.execute(
            WRITE_FED,
            {
                "series": Int4Array([pane.series for pane in panes]),
                "start": _hours([pane.hour for pane in panes]),
                "known_at": start_of(known_hour),
                "labels": Float8Array([pane.labels for pane in panes]),
                "residual": Float8Array([np.nan if pane.residual is None else pane.residual for pane in panes]),
                "page_alpha": Float8Array([alphas[pane.series][0] for pane in panes]),
                "warn_alpha": Float8Array([alphas[pane.series][1] for pane in panes]),
            },
        )


def write_alarms(connection: Connection, alarms: Sequence[Alarm], alphas: Alphas, raised_at: datetime) -> None:
    """Store alarms, whose `series` is the number of the series."""
    if not alarms:
        return
    connection.execute(
        WRITE_ALARMS,
        {
            "series": Int4Array([alarm.series for alarm in alarms]),
            "tier": TextArray([alarm.tier for alarm in alarms]),
            "raised_at": raised_at,
            "pane": _hours([alarm.pane for alarm in alarms]),
            "band": TextArray([alarm.band for alarm in alarms]),
            "sign": Int2Array([alarm.sign for alarm in alarms]),
            "onset": _hours([alarm.onset for alarm in alarms]),
            "onset_low": _hours([alarm.onset_interval[0] for alarm in alarms]),
            "onset_high": _hours([alarm.onset_interval[1] for alarm in alarms]),
            "size": Float8Array([alarm.size for alarm in alarms]),
            "size_low": Float8Array([alarm.size_interval[0] for alarm in alarms]),
            "size_high": Float8Array([alarm.size_interval[1] for alarm in alarms]),
            "value": Float8Array([alarm.value for alarm in alarms]),
            "alpha": Float8Array([alphas[alarm.series][alarm.tier != "page"] for alarm in alarms]),
            "labels": Float8Array([alarm.labels for alarm in alarms]),
            "slope": Float8Array([alarm.slope for alarm in alarms]),
            "intercept": Float8Array([alarm.intercept for alarm in alarms]),
        },
    )


def add_late(connection: Connection, labels: Mapping[int, int]) -> None:
    """Count labels that changed after the pane they belong to was fed, by series."""
    if labels:
        connection.execute(ADD_LATE, {"series": Int4Array(list(labels)), "n": Int8Array(list(labels.values()))})


def read_references(connection: Connection, series: Sequence[int]) -> dict[int, Reference]:
    """What taught the baselines of those series that have one."""
    read = read_stack(connection, READ_REFERENCES, {"series": Int4Array(np.array(series, np.int64))})
    ends = dict(zip(read.keys.tolist(), read.others[:, 0].tolist(), strict=True))
    return {one: Reference(sketch, start_of(ends[one]) + HOUR) for one, sketch in sketches(read.stack)}


def ask_anew(connection: Connection, series: Sequence[int]) -> int:
    """Let the next panes of these series teach new baselines; returns how many had begun one."""
    asked = connection.execute(
        "UPDATE detector SET renew = true WHERE series = ANY(%s)", (Int4Array(np.array(series, np.int64)),)
    )
    return asked.rowcount


def _teaching(watch: Watch) -> Sketch:
    """What teaches the baseline, or taught it just now."""
    return watch.labels if isinstance(watch, Learning) else watch.taught or empty()


def _evidence(watching: Sequence[Watching | None]) -> dict[str, Float8Array]:
    """The columns of what the detectors hold; NULL, and no labels, where a baseline is being taught."""
    taught = np.array([watch is not None for watch in watching])
    columns = np.full((4, len(watching)), np.nan)
    if taught.any():
        found = evidence_of([watch for watch in watching if watch is not None])
        columns[:, taught] = found.labels[:, 0], found.residual[:, 0], found.page, found.warn
    labels, residual, page, warn = columns
    return {
        "labels": Float8Array(np.nan_to_num(labels)),
        "residual": Float8Array(residual, ~(labels > 0)),
        "page_evidence": Float8Array(page, ~taught),
        "warn_evidence": Float8Array(warn, ~taught),
    }


def _hours(hours: Sequence[int]) -> TimestamptzArray:
    """Starts of panes; NULL for none yet."""
    at = np.array(hours, np.int64)
    return TimestamptzArray(at * HOUR_US, at == NOTHING_FED)


def _numbers(values: Sequence[float | None]) -> Float8Array:
    return Float8Array(
        np.array([np.nan if value is None else value for value in values]), np.array([each is None for each in values])
    )


def _limits(alphas: FloatArray) -> Float8Array:
    """-log(alpha); NULL where the tier is off."""
    return Float8Array(-np.log(np.where(alphas > 0, alphas, 1.0)), alphas == 0)


def _taken(first: int, began: int | None, until: int, panes: int) -> Taken:
    return Taken(first, NOTHING_FED if began is None else began, until, panes)


def _watch(row: _Stored, teaching: Sketch | None) -> Watch:
    taken = _taken(row.first, row.began, row.until, row.panes)
    if row.renew:
        return anew(taken)
    if row.baseline is None:
        return Learning(taken, teaching or empty(), row.baseline_panes)
    try:
        baseline = decoded(row.baseline)
    except Refused:
        return anew(taken)
    shift = None if row.shift is None else Shift(row.shift_mean, row.shift_panes, row.shift)
    shift_pane = NOTHING_FED if row.shift_pane is None else row.shift_pane
    state, opinion = _numbers_of(row.numbers, baseline), _opinion_of(row.opinion)
    taught_until = NOTHING_FED if row.taught_until is None else row.taught_until
    return Watching(taken, row.baseline_panes, taught_until, None, baseline, state, opinion, shift, shift_pane)


def _numbers_of(stored: bytes, baseline: Baseline) -> FloatArray:
    if len(stored) != WIDTH * 8:
        return np.asarray(numbers(begun(stacked([baseline])))[0])
    return np.asarray(np.frombuffer(stored, "<f8"), np.float64)


def _opinion_of(stored: bytes) -> SecondOpinion:
    try:
        return restored(stored)
    except Refused:
        return SecondOpinion()
