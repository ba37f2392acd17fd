"""One series as its page shows it: its readings, their history, its neighbours. Computed rows, never an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from monitor.postgres.database import Connection

_HISTORY_POINTS: Final = 240
_BUCKETS_SECONDS: Final = (1, 60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 604_800)


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Which series."""

    series: int
    model: str
    signal: str
    segment: Mapping[str, str]
    source_group: str


@dataclass(frozen=True, slots=True)
class PastReading:
    """One point of a series' history; the columns of `SeriesRow` that a time line draws."""

    series: int
    as_of: datetime
    computed_at: datetime
    n: int
    ece: float | None
    ece_low: float | None
    ece_high: float | None
    null_low: float | None
    null_high: float | None
    mature: bool


def schema_revision(connection: Connection) -> str | None:
    """The revision of the schema that the database has; None when it has none."""
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def find_series(
    connection: Connection, model: str, signal: str, segment: Mapping[str, str], source_group: str = ""
) -> SeriesKey | None:
    """The series of a model, signal, segment and group of label sources, if there is one."""
    statement = """
        SELECT id AS series, model, signal, segment, source_group FROM series
        WHERE model = %(model)s AND signal = %(signal)s AND segment = %(segment)s AND source_group = %(source)s
    """
    given = {"model": model, "signal": signal, "segment": Jsonb(dict(segment)), "source": source_group}
    with connection.cursor(row_factory=class_row(SeriesKey)) as cursor:
        return cursor.execute(statement, given).fetchone()


def series_numbered(connection: Connection, series: int) -> SeriesKey | None:
    """The series with this id, if there is one."""
    statement = "SELECT id AS series, model, signal, segment, source_group FROM series WHERE id = %(series)s"
    with connection.cursor(row_factory=class_row(SeriesKey)) as cursor:
        return cursor.execute(statement, {"series": series}).fetchone()


def neighbours(connection: Connection, key: SeriesKey, limit: int = 200) -> list[SeriesKey]:
    """Other series of the model that differ in the signal, or in the segment, but not in both."""
    statement = """
        SELECT id AS series, model, signal, segment, source_group FROM series
        WHERE model = %(model)s AND id <> %(series)s AND (signal = %(signal)s OR segment = %(segment)s)
        ORDER BY signal <> %(signal)s, signal, segment, source_group LIMIT %(limit)s
    """
    given = {
        "model": key.model,
        "series": key.series,
        "signal": key.signal,
        "segment": Jsonb(dict(key.segment)),
        "limit": limit,
    }
    with connection.cursor(row_factory=class_row(SeriesKey)) as cursor:
        return cursor.execute(statement, given).fetchall()


def reading_body(connection: Connection, series: int, window: str, as_of: datetime | None = None) -> str | None:
    """The newest reading in full, as JSON text; with `as_of` the newest that is not younger."""
    statement = """
        SELECT body::text FROM reading
        WHERE series = %(series)s AND window_name = %(window)s
          AND (%(as_of)s::timestamptz IS NULL OR as_of <= %(as_of)s)
        ORDER BY as_of DESC LIMIT 1
    """
    row = connection.execute(statement, {"series": series, "window": window, "as_of": as_of}).fetchone()
    return None if row is None else str(row[0])


def reading_bodies(
    connection: Connection, series: int, window: str, *, limit: int, until: datetime | None = None
) -> list[str]:
    """Readings of one series in full, as JSON text, newest first; with `until` none that is younger."""
    statement = """
        SELECT body::text FROM reading
        WHERE series = %(series)s AND window_name = %(window)s
          AND (%(until)s::timestamptz IS NULL OR as_of <= %(until)s)
        ORDER BY as_of DESC LIMIT %(limit)s
    """
    given = {"series": series, "window": window, "until": until, "limit": limit}
    return [str(body) for (body,) in connection.execute(statement, given).fetchall()]


def windows_of(connection: Connection, series: int) -> list[str]:
    """Names of the windows that the series has readings of."""
    statement = """
        WITH RECURSIVE name AS (
            (SELECT window_name FROM reading WHERE series = %(series)s ORDER BY window_name LIMIT 1)
            UNION ALL
            SELECT (SELECT window_name FROM reading r WHERE r.series = %(series)s AND r.window_name > name.window_name
                    ORDER BY window_name LIMIT 1)
            FROM name WHERE name.window_name IS NOT NULL
        )
        SELECT window_name FROM name WHERE window_name IS NOT NULL
    """
    return [str(name) for (name,) in connection.execute(statement, {"series": series}).fetchall()]


def history(connection: Connection, series: int, window: str, until: datetime | None = None) -> list[PastReading]:
    """Readings of one series in rising order, thinned evenly in time to some 240; the newest is always among them."""
    # The times as an array, not joined: while the table has no statistics, a join thins anew for each reading.
    given: dict[str, object] = {"series": series, "window": window, "until": until}
    where = """
        WHERE series = %(series)s AND window_name = %(window)s
          AND (%(until)s::timestamptz IS NULL OR as_of <= %(until)s)
    """
    span = connection.execute(
        f"SELECT extract(epoch FROM max(as_of) - min(as_of)) FROM reading {where}", given
    ).fetchone()
    seconds = float(span[0]) if span is not None and span[0] is not None else 0.0
    wanted = seconds / _HISTORY_POINTS
    given["bucket"] = next((bucket for bucket in _BUCKETS_SECONDS if bucket >= wanted), _BUCKETS_SECONDS[-1])
    statement = f"""
        SELECT series, as_of, computed_at, n, ece, ece_low, ece_high, null_low, null_high,
               coalesce((body->>'mature')::boolean, true) AS mature
        FROM reading
        WHERE series = %(series)s AND window_name = %(window)s AND as_of = ANY (ARRAY(
            SELECT DISTINCT ON (floor(extract(epoch FROM as_of) / %(bucket)s)) as_of FROM reading {where}
            ORDER BY floor(extract(epoch FROM as_of) / %(bucket)s), as_of DESC
        ))
        ORDER BY as_of
    """
    with connection.cursor(row_factory=class_row(PastReading)) as cursor:
        return cursor.execute(statement, given).fetchall()


def recent(connection: Connection, series: Sequence[int], window: str, points: int = 40) -> list[PastReading]:
    """The last `points` readings of each series, in rising order: for spark lines."""
    statement = """
        SELECT r.* FROM unnest(%(series)s::int[]) wanted(id)
        CROSS JOIN LATERAL (
            SELECT series, as_of, computed_at, n, ece, ece_low, ece_high, null_low, null_high, true AS mature
            FROM reading
            WHERE reading.series = wanted.id AND window_name = %(window)s ORDER BY as_of DESC LIMIT %(points)s
        ) r ORDER BY r.series, r.as_of
    """
    given = {"series": list(series), "window": window, "points": points}
    with connection.cursor(row_factory=class_row(PastReading)) as cursor:
        return cursor.execute(statement, given).fetchall()
