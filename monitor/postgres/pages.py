"""What the pages and /metrics read: rows that the leader computed beforehand, never an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from monitor.postgres.database import Connection

RANKS: Final = ("excess", "gap", "ece", "n", "name")
"""How series may be ordered: by the lower bound of ECE above the null band, |signed gap|, ECE, labels, or name."""

_HISTORY_POINTS: Final = 240
_BUCKETS_SECONDS: Final = (1, 60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 604_800)


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """The newest reading of one series in one window, without its bins. `enough`: it has the labels to be judged."""

    series: int
    model: str
    signal: str
    segment: Mapping[str, str]
    source_group: str
    as_of: datetime
    n: int
    n_predictions: int
    enough: bool
    ece: float | None
    ece_low: float | None
    ece_high: float | None
    null_low: float | None
    null_high: float | None
    signed_gap: float | None
    coverage: float | None


@dataclass(frozen=True, slots=True)
class Totals:
    """All series of a window together. `n` and `n_predictions` count each event once: whole models, main signal."""

    series: int
    outside: int
    clearly_outside: int
    judged: int
    n: int
    n_predictions: int


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


@dataclass(frozen=True, slots=True)
class Partition:
    """How far one partition has been read. `high_water` None: its end has not been seen yet."""

    topic: str
    part: int
    next_offset: int
    high_water: int | None
    updated_at: datetime

    @property
    def lag(self) -> int | None:
        """Records behind the end, never negative; None while the end is unknown."""
        return None if self.high_water is None else max(0, self.high_water - self.next_offset)


@dataclass(frozen=True, slots=True)
class DeadLetterCount:
    """Dead letters that are kept now, by topic and reason."""

    topic: str
    reason: str
    n: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that could not be used, without its payload."""

    id: int
    topic: str
    part: int
    kafka_offset: int
    reason: str
    message: str
    size: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life of a process; `silent_seconds` is wall time since."""

    name: str
    instance: str
    beat_at: datetime
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class Count:
    """An exactly-once counter."""

    name: str
    model: str
    n: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What the leader did last and what waits for it. `now` is the service's clock."""

    now: datetime
    evaluated_at: datetime | None
    applied_at: datetime | None
    applied_deltas: int
    took_seconds: float | None
    deltas_waiting: int


_LATEST: Final = """
    SELECT s.id AS series, s.model, s.signal, s.segment, s.source_group, r.as_of, r.n, r.n_predictions,
           r.ece IS NOT NULL AND r.n >= %(min_labels)s AS enough,
           r.ece, r.ece_low, r.ece_high, r.null_low, r.null_high, r.signed_gap, r.coverage
    FROM series s
    CROSS JOIN LATERAL (
        SELECT * FROM reading
        WHERE reading.series = s.id AND reading.window_name = %(window)s
        ORDER BY reading.as_of DESC LIMIT 1
    ) r
    WHERE (%(model)s::text IS NULL OR s.model = %(model)s)
      AND (%(signal)s::text IS NULL OR s.signal = %(signal)s)
      AND (%(any_source)s OR s.source_group = '')
      AND (%(search)s::text IS NULL OR strpos(lower(s.segment_text), lower(%(search)s)) > 0)
"""

_WHOLE: Final = "segment = '{}'::jsonb AND signal = %(main)s AND source_group = ''"
_NAME: Final = "model, signal <> 'confidence', signal, segment, series"
_ORDER: Final = {
    "excess": "enough DESC, ece_low - null_high DESC NULLS LAST, ece - null_high DESC NULLS LAST",
    "gap": "enough DESC, abs(signed_gap) DESC NULLS LAST",
    "ece": "enough DESC, ece DESC NULLS LAST",
    "n": "n DESC",
    "name": "model",
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which series to list: of one window, and of a model, a signal and a text in the segment where they are given.

    A reading of fewer than `min_labels` labels is listed, and not judged. Without `any_source` only series of
    the primary label sources are listed.
    """

    window: str
    min_labels: int
    model: str | None = None
    signal: str | None = None
    search: str | None = None
    any_source: bool = True

    def parameters(self) -> dict[str, str | int | None]:
        return {
            "window": self.window,
            "min_labels": self.min_labels,
            "model": self.model,
            "signal": self.signal,
            "search": self.search,
            "any_source": self.any_source,
        }


def schema_revision(connection: Connection) -> str | None:
    """The revision of the schema that the database has; None when it has none."""
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def latest_rows(
    connection: Connection, chosen: Selection, *, rank: str = "excess", limit: int = 50, offset: int = 0
) -> list[SeriesRow]:
    """The newest reading of each series, worst first (see RANKS); series without enough labels stand last."""
    statement = f"""
        SELECT * FROM ({_LATEST}) latest
        ORDER BY {_ORDER[rank]}, {_NAME} LIMIT %(limit)s OFFSET %(offset)s
    """
    with connection.cursor(row_factory=class_row(SeriesRow)) as cursor:
        return cursor.execute(statement, {**chosen.parameters(), "limit": limit, "offset": offset}).fetchall()


@dataclass(frozen=True, slots=True)
class Page:
    """What a page of an overview rests on: the rows of it, and the totals of all."""

    rows: list[SeriesRow]
    totals: Totals


def overview_page(connection: Connection, chosen: Selection, main_signal: str, rank: str, place: slice) -> Page:
    """The rows at `place` (start and stop) of the ranked list with the totals of the whole list, in one pass."""
    statement = f"""
        WITH latest AS MATERIALIZED ({_LATEST}),
        listed AS (SELECT * FROM latest ORDER BY {_ORDER[rank]}, {_NAME} LIMIT %(limit)s OFFSET %(offset)s)
        SELECT total.*, listed.* FROM (
            SELECT count(*) AS n_series,
                   count(*) FILTER (WHERE enough AND ece > null_high) AS outside,
                   count(*) FILTER (WHERE enough AND ece_low > null_high) AS clearly_outside,
                   count(*) FILTER (WHERE enough AND null_high IS NOT NULL) AS judged,
                   coalesce(sum(n) FILTER (WHERE {_WHOLE}), 0)::bigint AS n_whole,
                   coalesce(sum(n_predictions) FILTER (WHERE {_WHOLE}), 0)::bigint AS n_predictions_whole
            FROM latest
        ) total LEFT JOIN listed ON true
        ORDER BY {_ORDER[rank]}, {_NAME}
    """
    given = {
        **chosen.parameters(),
        "main": main_signal,
        "offset": place.start or 0,
        "limit": place.stop - (place.start or 0),
    }
    found = connection.execute(statement, given).fetchall()
    rows = [SeriesRow(*row[_TOTALS:]) for row in found if row[_TOTALS] is not None]
    return Page(rows, Totals(*found[0][:_TOTALS]))


_TOTALS: Final = len(fields(Totals))


def latest_bodies(connection: Connection, chosen: Selection, *, limit: int, offset: int = 0) -> list[str]:
    """The newest readings in full, as JSON text, in order of name."""
    statement = f"""
        WITH chosen AS (
            SELECT series, as_of FROM ({_LATEST}) latest
            ORDER BY {_NAME} LIMIT %(limit)s OFFSET %(offset)s
        )
        SELECT r.body::text FROM chosen JOIN series s ON s.id = chosen.series
        JOIN reading r ON r.series = chosen.series AND r.window_name = %(window)s AND r.as_of = chosen.as_of
        ORDER BY s.model, s.signal <> 'confidence', s.signal, s.segment, s.id
    """
    rows = connection.execute(statement, {**chosen.parameters(), "limit": limit, "offset": offset}).fetchall()
    return [str(body) for (body,) in rows]


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
        WITH kept AS (
            SELECT DISTINCT ON (floor(extract(epoch FROM as_of) / %(bucket)s)) as_of FROM reading {where}
            ORDER BY floor(extract(epoch FROM as_of) / %(bucket)s), as_of DESC
        )
        SELECT series, as_of, computed_at, n, ece, ece_low, ece_high, null_low, null_high,
               coalesce((body->>'mature')::boolean, true) AS mature
        FROM kept JOIN reading USING (as_of) WHERE series = %(series)s AND window_name = %(window)s ORDER BY as_of
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


def models(connection: Connection) -> list[str]:
    """Names of all models, sorted."""
    return [str(name) for (name,) in connection.execute("SELECT DISTINCT model FROM series ORDER BY model").fetchall()]


def signals(connection: Connection) -> list[str]:
    """Names of all signals, sorted."""
    return [
        str(name) for (name,) in connection.execute("SELECT DISTINCT signal FROM series ORDER BY signal").fetchall()
    ]


def partitions(connection: Connection, group_id: str) -> list[Partition]:
    """How far the group has read each partition."""
    statement = """
        SELECT topic, part, next_offset, high_water, updated_at FROM kafka_offset
        WHERE group_id = %(group)s ORDER BY topic, part
    """
    with connection.cursor(row_factory=class_row(Partition)) as cursor:
        return cursor.execute(statement, {"group": group_id}).fetchall()


def dead_letter_counts(connection: Connection) -> list[DeadLetterCount]:
    """Dead letters by topic and reason, most first."""
    statement = """
        SELECT topic, reason, count(*) AS n, max(received_at) AS last_at FROM dead_letter
        GROUP BY topic, reason ORDER BY n DESC, topic, reason
    """
    with connection.cursor(row_factory=class_row(DeadLetterCount)) as cursor:
        return cursor.execute(statement).fetchall()


def dead_letters(
    connection: Connection, *, reason: str | None = None, before: int | None = None, limit: int = 100
) -> list[DeadLetter]:
    """Dead letters without their payloads, newest first; `before` is the id to go on from."""
    statement = """
        SELECT id, topic, part, kafka_offset, reason, left(message, 500) AS message,
               coalesce(octet_length(value), 0) AS size, received_at
        FROM dead_letter
        WHERE (%(reason)s::text IS NULL OR reason = %(reason)s) AND (%(before)s::bigint IS NULL OR id < %(before)s)
        ORDER BY id DESC LIMIT %(limit)s
    """
    with connection.cursor(row_factory=class_row(DeadLetter)) as cursor:
        return cursor.execute(statement, {"reason": reason, "before": before, "limit": limit}).fetchall()


def beats(connection: Connection) -> list[Beat]:
    """The last sign of life of every process, by role."""
    statement = """
        SELECT name, instance, beat_at,
               greatest(0, extract(epoch FROM clock_timestamp() - beat_at))::float8 AS silent_seconds
        FROM role ORDER BY name, instance
    """
    with connection.cursor(row_factory=class_row(Beat)) as cursor:
        return cursor.execute(statement).fetchall()


def counts(connection: Connection) -> list[Count]:
    """The exactly-once counters."""
    with connection.cursor(row_factory=class_row(Count)) as cursor:
        return cursor.execute("SELECT name, model, n FROM count ORDER BY name, model").fetchall()


def progress(connection: Connection) -> Progress:
    """The service's clock, the last evaluation, and the deltas that wait for it."""
    statement = """
        SELECT coalesce((SELECT clock_epoch_at + (clock_timestamp() - clock_started_at) * clock_rate FROM installation),
                        clock_timestamp()) AS now,
               e.evaluated_at, e.applied_at, coalesce(e.applied_deltas, 0) AS applied_deltas, e.took_seconds,
               (SELECT count(*) FROM statistics_delta) AS deltas_waiting
        FROM (SELECT 1) one LEFT JOIN evaluation e ON true
    """
    with connection.cursor(row_factory=class_row(Progress)) as cursor:
        return cursor.execute(statement).fetchall()[0]


@dataclass(frozen=True, slots=True)
class MetricRow:
    """The newest reading of one series in one window, as /metrics shows it."""

    model: str
    signal: str
    segment: Mapping[str, str]
    source_group: str
    window: str
    as_of: datetime
    n: int
    n_predictions: int
    ece: float | None
    ece_low: float | None
    ece_high: float | None
    null_low: float | None
    null_high: float | None
    signed_gap: float | None
    coverage: float | None
    brier: float | None
    delay_seconds: float | None

    def is_whole(self, main_signal: str) -> bool:
        """Whether it stands for the whole model: all events, the main signal, primary labels."""
        return not self.segment and self.signal == main_signal and not self.source_group


def metric_rows(connection: Connection, chosen: Selection, main_signal: str, limit: int) -> list[MetricRow]:
    """Whole models, then the worst series by the bound of their ECE, then those without enough labels; bounded."""
    statement = f"""
        WITH chosen AS (
            SELECT * FROM ({_LATEST}) latest
            ORDER BY {_WHOLE} DESC, {_ORDER["excess"]}, series
            LIMIT %(limit)s
        )
        SELECT c.model, c.signal, c.segment, c.source_group, %(window)s::text AS window, c.as_of, c.n,
               c.n_predictions, c.ece, c.ece_low, c.ece_high, c.null_low, c.null_high, c.signed_gap, c.coverage,
               (r.body->>'brier')::float8 AS brier, (r.body->>'label_delay_seconds')::float8 AS delay_seconds
        FROM chosen c JOIN reading r ON r.series = c.series AND r.window_name = %(window)s AND r.as_of = c.as_of
        ORDER BY c.model, c.signal, c.segment, c.source_group
    """
    given = {**chosen.parameters(), "main": main_signal, "limit": limit}
    with connection.cursor(row_factory=class_row(MetricRow)) as cursor:
        return cursor.execute(statement, given).fetchall()


def active_series(connection: Connection) -> dict[str, int]:
    """How many series of each model have a reading."""
    statement = """
        SELECT model, count(*) FROM series
        WHERE EXISTS (SELECT FROM reading WHERE reading.series = series.id) GROUP BY model ORDER BY model
    """
    return {str(model): int(n) for model, n in connection.execute(statement).fetchall()}
