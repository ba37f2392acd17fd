"""Panes: what each series holds by hour of prediction time (later by day), and what was known of it when.

Everything here runs inside a transaction of the leader (`monitor.postgres.leader.leading`), except reading.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from monitor.calibration.sketch import Sketch, empty
from monitor.postgres.arrays import Int4Array, TimestamptzArray
from monitor.postgres.database import Connection
from monitor.postgres.sketches import COLUMNS, REPLACED, SLICED, SLICED_AS, SLICES, Read, read_stack, slices
from monitor.rolling.panes import BEGINNING, DAY_HOURS, FOREVER, Span, start_of
from monitor.rolling.spans import snapped
from monitor.rolling.stacks import (
    Ints,
    Stack,
    code,
    defective,
    no_sketches,
    numbers_of,
    pieces,
    plus,
    regrouped,
    series_of,
    sketches,
)

HOUR_US: Final = 3_600_000_000
HOUR_SECONDS: Final = 3_600
PIECE: Final = 1_000
"""Panes held in memory at a time to be changed,"""
PANES_AT_ONCE: Final = 20_000
"""and to be added up."""

KEY: Final = "series::bigint << 32 | (extract(epoch FROM pane_start) / 3600)::bigint"
HOURS: Final = "(width / 3600)::bigint"

READ_CHANGED: Final = f"""
SELECT p.{KEY}, {COLUMNS}, {HOURS}
FROM unnest(%(series)s, %(start)s) AS k (series, pane_start) JOIN pane AS p USING (series, pane_start)
WHERE p.width = {HOUR_SECONDS}
UNION ALL
SELECT p.{KEY}, {COLUMNS}, {HOURS}
FROM unnest(%(day_series)s, %(day_start)s) AS k (series, pane_start) JOIN pane AS p USING (series, pane_start)
WHERE p.width > {HOUR_SECONDS}
"""
WRITE_PANES: Final = f"""
INSERT INTO pane (series, pane_start, width, {COLUMNS})
SELECT k.series, k.pane_start, k.width, {SLICES}
FROM unnest(%(series)s, %(start)s, %(width)s, {SLICED}) AS k (series, pane_start, width, {SLICED_AS})
ON CONFLICT (series, pane_start) DO UPDATE SET width = EXCLUDED.width, {REPLACED}
"""
READ_HISTORY: Final = f"""
SELECT h.{KEY}, {COLUMNS}
FROM unnest(%(series)s, %(start)s) AS k (series, pane_start) JOIN pane_history AS h USING (series, pane_start)
WHERE h.known_at = %(known_at)s
"""
WRITE_HISTORY: Final = f"""
INSERT INTO pane_history (series, pane_start, known_at, width, {COLUMNS})
SELECT k.series, k.pane_start, %(known_at)s, {HOUR_SECONDS}, {SLICES}
FROM unnest(%(series)s, %(start)s, {SLICED}) AS k (series, pane_start, {SLICED_AS})
ON CONFLICT (series, pane_start, known_at) DO UPDATE SET {REPLACED}
"""
READ_SPAN: Final = f"""
SELECT series::bigint << 32, {COLUMNS} FROM pane
WHERE series = ANY(%(series)s) AND pane_start >= %(start)s AND pane_start < %(end)s
"""
ENDS: Final = """
SELECT (extract(epoch FROM min(first)) / 3600)::bigint, (extract(epoch FROM max(last)) / 3600)::bigint
FROM unnest(%(series)s) AS k (series) CROSS JOIN LATERAL (
    SELECT min(pane_start) AS first, max(pane_start) AS last FROM pane AS p
    WHERE p.series = k.series AND pane_start >= %(start)s AND pane_start < %(end)s
) AS ends
"""
READ_SERIES: Final = f"""
SELECT series::bigint << 32, {COLUMNS}, (extract(epoch FROM pane_start) / 3600)::bigint, {HOURS}
FROM %(table)s
WHERE series = %(series)s AND pane_start >= %(from)s AND pane_start < %(end)s
    AND pane_start + make_interval(secs => width) > %(start)s
"""
READ_OLD: Final = f"""
SELECT p.{KEY}, {COLUMNS}, {HOURS} FROM pane AS p
WHERE series = ANY(%(series)s) AND pane_start < %(before)s AND width = {HOUR_SECONDS}
"""
DROP_OLD: Final = f"""
DELETE FROM pane
WHERE series = ANY(%(series)s) AND pane_start < %(before)s AND width = {HOUR_SECONDS}
"""


@dataclass(frozen=True, slots=True)
class Applied:
    """What a change did: the change itself by stored pane, the panes below zero afterwards, what was read for it."""

    delta: Stack
    defects: Ints
    n_rows: int
    n_bytes: int


def apply(connection: Connection, delta: Stack, known_hour: int) -> list[Applied]:
    """Add signed changes, keyed by `code(series, pane hour)`, to the panes and to what was known from `known_hour` on.

    A change of an hour whose day has been merged goes to the day's pane. A chunk of panes at a time; the caller's
    transaction holds them together. A pane with a count below zero is stored as it is, since a later change may mend
    it, and is named in `defects`: nothing may be read from it.
    """
    return [_apply(connection, piece, known_hour) for piece in pieces(delta, PIECE)]


def _apply(connection: Connection, delta: Stack, known_hour: int) -> Applied:
    days = day_keys(delta.keys)
    held = read_stack(connection, READ_CHANGED, {**places_of(delta.keys), **places_of(np.unique(days), "day_")})
    merged = held.keys[held.others[:, 0] > 1]
    placed = delta
    if len(merged):
        placed = regrouped(delta, np.ones(len(delta), bool), np.where(np.isin(days, merged), days, delta.keys))
    panes = plus(held.stack, placed)
    width = np.where(np.isin(panes.keys, merged), DAY_HOURS, 1) * HOUR_SECONDS
    connection.execute(WRITE_PANES, {**places_of(panes.keys), "width": Int4Array(width), **slices(panes)})
    known = _add_history(connection, delta, known_hour)
    return Applied(placed, defective(panes), held.n_rows + known.n_rows, held.n_bytes + known.n_bytes)


def _add_history(connection: Connection, delta: Stack, known_hour: int) -> Read:
    known_at = start_of(known_hour)
    held = read_stack(connection, READ_HISTORY, {**places_of(delta.keys), "known_at": known_at})
    known = plus(held.stack, delta)
    connection.execute(WRITE_HISTORY, {**places_of(known.keys), "known_at": known_at, **slices(known)})
    return held


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums by `code(series, 0)`, and what was read for them. Series without a pane are absent."""

    stack: Stack
    n_rows: int
    n_bytes: int


def span_sums(connection: Connection, series: Ints, span: Span) -> Sums:
    """What each series holds in the panes that start within the span; a long one is read a piece at a time."""
    total, n_rows, n_bytes = no_sketches(), 0, 0
    for piece in _pieces_of(connection, series, span):
        given = {"series": Int4Array(series), "start": start_of(piece.start_hour), "end": start_of(piece.end_hour)}
        read = read_stack(connection, READ_SPAN, given)
        total, n_rows, n_bytes = plus(total, read.stack), n_rows + read.n_rows, n_bytes + read.n_bytes
    return Sums(total, n_rows, n_bytes)


def _pieces_of(connection: Connection, series: Ints, span: Span) -> Iterator[Span]:
    """The span in pieces of so many hours that few enough panes lie in each; empty ends are left out."""
    hours = max(1, PANES_AT_ONCE // max(1, len(series)))
    if span.hours <= hours:
        yield span
        return
    row = connection.execute(
        ENDS, {"series": Int4Array(series), "start": start_of(span.start_hour), "end": start_of(span.end_hour)}
    ).fetchone()
    if row is None or row[0] is None:
        return
    for start in range(int(row[0]), int(row[1]) + 1, hours):
        yield Span(start, min(start + hours, span.end_hour))


@dataclass(frozen=True, slots=True)
class SpanSum:
    """What the panes of one series hold over `span`, which is the asked one with edges moved out to stored panes."""

    sketch: Sketch
    span: Span


def series_sum(connection: Connection, series: int, asked: Span, known_at: datetime | None = None) -> SpanSum:
    """Everything a series holds over a span: now, or as it was known at `known_at` (to the full hour before it)."""
    table, known = ("pane", "") if known_at is None else ("pane_history", " AND known_at <= %(known_at)s")
    read = read_stack(
        connection,
        READ_SERIES.replace("%(table)s", table) + known,
        {
            "series": series,
            "from": start_of(max(BEGINNING, asked.start_hour - DAY_HOURS)),
            "start": start_of(max(BEGINNING, asked.start_hour)),
            "end": start_of(min(FOREVER, asked.end_hour)),
            "known_at": known_at,
        },
    )
    stored = [Span(start, start + hours) for start, hours in read.others.tolist()]
    sketch = next((sketch for _, sketch in sketches(read.stack)), empty())
    return SpanSum(sketch, snapped(asked, stored))


def merge_days(connection: Connection, series: Ints, before_hour: int) -> int:
    """Make day panes of the series' hour panes before `before_hour`, a UTC midnight. Returns how many hours went."""
    where = {"series": Int4Array(series), "before": start_of(before_hour)}
    hours = read_stack(connection, READ_OLD, where)
    if not hours.n_rows:
        return 0
    found = regrouped(hours.stack, np.ones(len(hours.stack), bool), day_keys(hours.stack.keys))
    held = read_stack(connection, READ_CHANGED, {**places_of(found.keys[:0]), **places_of(found.keys, "day_")})
    merged = plus(held.stack, found)
    connection.execute(DROP_OLD, where)
    width = Int4Array(np.full(len(merged), DAY_HOURS * HOUR_SECONDS))
    connection.execute(WRITE_PANES, {**places_of(merged.keys), "width": width, **slices(merged)})
    return hours.n_rows


def day_keys(keys: Ints) -> Ints:
    """The keys of the UTC days that hold the panes of `keys`."""
    hours = numbers_of(keys)
    return code(series_of(keys), hours - hours % DAY_HOURS)


def places_of(keys: Ints, prefix: str = "") -> dict[str, Int4Array | TimestamptzArray]:
    """Parameters for the keys: series and start of each pane."""
    return {
        f"{prefix}series": Int4Array(series_of(keys)),
        f"{prefix}start": TimestamptzArray(numbers_of(keys) * HOUR_US),
    }
