"""The newest reading of every series, ranked: what the overview, the lists of the API and /metrics read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

from psycopg.rows import class_row

from monitor.postgres.database import Connection

RANKS: Final = ("excess", "gap", "ece", "n", "name")
"""How series may be ordered: by the lower bound of ECE above the null band, |signed gap|, ECE, labels, or name."""


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
class Page:
    """What a page of an overview rests on: the rows of it, and the totals of all."""

    rows: list[SeriesRow]
    totals: Totals


@dataclass(frozen=True, slots=True)
class MetricRow:
    """The newest reading of one series in one window, as /metrics shows it."""

    series: int
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
    smooth_ece: float | None
    calibration_slope: float | None
    calibration_intercept: float | None
    auroc: float | None
    aurc: float | None
    confident_error_share: float | None
    delay_seconds: float | None

    def is_whole(self, main_signal: str) -> bool:
        """Whether it stands for the whole model: all events, the main signal, primary labels."""
        return not self.segment and self.signal == main_signal and not self.source_group


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

_FROM_BODY: Final = ", ".join(
    f"(r.body->>'{name}')::float8 AS {name}"
    for name in (
        "brier", "smooth_ece", "calibration_slope", "calibration_intercept", "auroc", "aurc", "confident_error_share",
    )
)  # fmt: skip
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


_TOTALS: Final = len(fields(Totals))


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


def metric_rows(connection: Connection, chosen: Selection, main_signal: str, limit: int) -> list[MetricRow]:
    """Whole models, then the worst series by the bound of their ECE, then those without enough labels; bounded."""
    statement = f"""
        WITH chosen AS (
            SELECT * FROM ({_LATEST}) latest
            ORDER BY {_WHOLE} DESC, {_ORDER["excess"]}, series
            LIMIT %(limit)s
        )
        SELECT c.series, c.model, c.signal, c.segment, c.source_group, %(window)s::text AS window, c.as_of, c.n,
               c.n_predictions, c.ece, c.ece_low, c.ece_high, c.null_low, c.null_high, c.signed_gap, c.coverage,
               {_FROM_BODY},
               (r.body->>'label_delay_seconds')::float8 AS delay_seconds
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


def models(connection: Connection) -> list[str]:
    """Names of all models, sorted."""
    return [str(name) for (name,) in connection.execute("SELECT DISTINCT model FROM series ORDER BY model").fetchall()]


def signals(connection: Connection) -> list[str]:
    """Names of all signals, sorted."""
    return [
        str(name) for (name,) in connection.execute("SELECT DISTINCT signal FROM series ORDER BY signal").fetchall()
    ]
