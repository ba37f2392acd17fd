"""Readings: one row a series, window and instant, kept as history and thinned with age."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from monitor.calibration.reading import Reading, reading_from_json, reading_to_json
from monitor.postgres.arrays import Float8Array, Int4Array, Int8Array, JsonbArray, TextArray, TimestamptzArray
from monitor.postgres.database import Connection

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)

THINNED: Final = (
    (timedelta(hours=6), timedelta(hours=1)),
    (timedelta(days=3), timedelta(days=1)),
)
"""Of readings older than the first, one in each of the second stays: the last."""

WRITE: Final = """
INSERT INTO reading (series, window_name, as_of, computed_at, n, n_predictions, ece, ece_low, ece_high, null_low,
    null_high, signed_gap, coverage, body)
SELECT k.series, k.window_name, k.as_of, k.computed_at, k.n, k.n_predictions, nullif(k.ece, 'NaN'),
    nullif(k.ece_low, 'NaN'), nullif(k.ece_high, 'NaN'), nullif(k.null_low, 'NaN'), nullif(k.null_high, 'NaN'),
    nullif(k.signed_gap, 'NaN'), nullif(k.coverage, 'NaN'), k.body
FROM unnest(%(series)s, %(window)s, %(as_of)s, %(computed_at)s, %(n)s, %(n_predictions)s, %(ece)s, %(ece_low)s,
    %(ece_high)s, %(null_low)s, %(null_high)s, %(signed_gap)s, %(coverage)s, %(body)s)
    AS k (series, window_name, as_of, computed_at, n, n_predictions, ece, ece_low, ece_high, null_low, null_high,
        signed_gap, coverage, body)
ON CONFLICT (series, window_name, as_of) DO UPDATE SET computed_at = EXCLUDED.computed_at, n = EXCLUDED.n,
    n_predictions = EXCLUDED.n_predictions, ece = EXCLUDED.ece, ece_low = EXCLUDED.ece_low,
    ece_high = EXCLUDED.ece_high, null_low = EXCLUDED.null_low, null_high = EXCLUDED.null_high,
    signed_gap = EXCLUDED.signed_gap, coverage = EXCLUDED.coverage, body = EXCLUDED.body
"""

LATEST: Final = """
SELECT s.id, w.name, r.as_of, r.computed_at, r.body::text
FROM series AS s CROSS JOIN unnest(%(windows)s) WITH ORDINALITY AS w (name, place)
CROSS JOIN LATERAL (
    SELECT as_of, computed_at, body FROM reading
    WHERE series = s.id AND window_name = w.name ORDER BY as_of DESC LIMIT 1
) AS r
WHERE %(model)s::text IS NULL OR s.model = %(model)s
ORDER BY s.model, s.signal, s.source_group, s.segment_text, w.place
"""
NEWEST: Final = """
SELECT k.series, k.window_name, r.body::text
FROM unnest(%(series)s, %(window)s) AS k (series, window_name)
CROSS JOIN LATERAL (
    SELECT body FROM reading WHERE series = k.series AND window_name = k.window_name ORDER BY as_of DESC LIMIT 1
) AS r
"""
READ_BEFORE: Final = """
SELECT s.id, w.name FROM series AS s CROSS JOIN unnest(%(windows)s) AS w (name)
WHERE EXISTS (SELECT FROM reading AS r WHERE r.series = s.id AND r.window_name = w.name)
"""
THIN: Final = """
DELETE FROM reading AS r USING (
    SELECT series, window_name, as_of, lead(as_of) OVER (
        PARTITION BY series, window_name, date_bin(%(bucket)s, as_of, '2000-01-01 00:00+00') ORDER BY as_of) AS next_of
    FROM reading WHERE as_of >= %(from)s AND as_of < %(until)s
) AS x
WHERE x.next_of IS NOT NULL AND (r.series, r.window_name, r.as_of) = (x.series, x.window_name, x.as_of)
"""


@dataclass(frozen=True, slots=True)
class StoredReading:
    """A reading of a series and a window: what it describes (`as_of`) and when it was computed, in clock time."""

    series: int
    window: str
    as_of: datetime
    computed_at: datetime
    reading: Reading


@dataclass(frozen=True, slots=True)
class LatestReading:
    """The newest stored reading of a series and a window; `body` is its JSON."""

    series: int
    window: str
    as_of: datetime
    computed_at: datetime
    body: str


def write_readings(connection: Connection, readings: Sequence[StoredReading]) -> None:
    """Store readings; one of the same series, window and instant is replaced."""
    if not readings:
        return
    bodies = [stored.reading for stored in readings]
    connection.execute(
        WRITE,
        {
            "series": Int4Array([stored.series for stored in readings]),
            "window": TextArray([stored.window for stored in readings]),
            "as_of": _instants([stored.as_of for stored in readings]),
            "computed_at": _instants([stored.computed_at for stored in readings]),
            "n": Int8Array([body.n for body in bodies]),
            "n_predictions": Int8Array([body.n_predictions for body in bodies]),
            "ece": _numbers([body.ece for body in bodies]),
            "ece_low": _numbers([_bound(body.intervals, 0) for body in bodies]),
            "ece_high": _numbers([_bound(body.intervals, 1) for body in bodies]),
            "null_low": _numbers([_bound(body.null_band, 0) for body in bodies]),
            "null_high": _numbers([_bound(body.null_band, 1) for body in bodies]),
            "signed_gap": _numbers([body.signed_gap for body in bodies]),
            "coverage": _numbers([body.coverage for body in bodies]),
            "body": JsonbArray([reading_to_json(body) for body in bodies]),
        },
    )


def newest(connection: Connection, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Reading]:
    """The newest stored reading of each of these series and windows that has one."""
    if not keys:
        return {}
    given = {"series": Int4Array([series for series, _ in keys]), "window": TextArray([window for _, window in keys])}
    rows = connection.execute(NEWEST, given).fetchall()
    return {(series, window): reading_from_json(body) for series, window, body in rows}


def drop_readings(
    connection: Connection, keys: Sequence[int], windows: Sequence[str], since: datetime, before: datetime
) -> None:
    """Drop the readings as of a stretch of time, of windows given by keys: `stacks.code(series, place in windows)`."""
    connection.execute(
        """
        DELETE FROM reading AS r USING unnest(%(series)s, %(window)s) AS k (series, window_name)
        WHERE r.series = k.series AND r.window_name = k.window_name AND r.as_of >= %(since)s AND r.as_of < %(before)s
        """,
        {
            "series": Int4Array([key >> 32 for key in keys]),
            "window": TextArray([windows[key & 0xFFFFFFFF] for key in keys]),
            "since": since,
            "before": before,
        },
    )


def latest(connection: Connection, windows: Sequence[str], model: str | None = None) -> list[LatestReading]:
    """The newest reading of every series (of one model) in each of the windows, where there is one."""
    rows = connection.execute(LATEST, {"windows": TextArray(windows), "model": model}).fetchall()
    return [LatestReading(*row) for row in rows]


def read_before(connection: Connection, windows: Sequence[str]) -> set[tuple[int, str]]:
    """Which series have a reading in which of the windows."""
    rows = connection.execute(READ_BEFORE, {"windows": TextArray(windows)}).fetchall()
    return {(int(series), str(window)) for series, window in rows}


@dataclass(frozen=True, slots=True)
class Written:
    """That a reading of a window is stored: what it describes, and when it was computed."""

    window: str
    as_of: datetime
    computed_at: datetime


def written(connection: Connection, series: int, since: datetime, until: datetime) -> list[Written]:
    """The stored readings of a series as of a stretch of time."""
    rows = connection.execute(
        "SELECT window_name, as_of, computed_at FROM reading WHERE series = %s AND as_of >= %s AND as_of <= %s",
        (series, since, until),
    ).fetchall()
    return [Written(*row) for row in rows]


def thin(connection: Connection, now: datetime, since: datetime | None) -> tuple[datetime, int]:
    """Of older readings keep one an hour, then one a day. Returns up to where all is thinned, and how many went.

    `since` is what the call before returned; None looks at everything. Instants are of the clock.
    """
    gone = 0
    for age, bucket in THINNED:
        until = _floor(now - age, bucket)
        start = datetime(2000, 1, 1, tzinfo=UTC) if since is None else _floor(since - age, bucket)
        if until > start:
            gone += connection.execute(THIN, {"bucket": bucket, "from": start, "until": until}).rowcount
    return now, gone


def _floor(at: datetime, bucket: timedelta) -> datetime:
    start = datetime(2000, 1, 1, tzinfo=UTC)
    return start + (at - start) // bucket * bucket


def _instants(instants: Sequence[datetime]) -> TimestamptzArray:
    return TimestamptzArray(np.array([(at - EPOCH) // MICROSECOND for at in instants], np.int64))


def _numbers(values: Sequence[float | None]) -> Float8Array:
    return Float8Array(np.array([np.nan if value is None else value for value in values], np.float64))


def _bound(bands: Mapping[str, Sequence[float] | None], side: int) -> float | None:
    band = bands.get("ece")
    return None if band is None else band[side]
