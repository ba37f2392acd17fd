"""What the detectors know and said, for those who read it: the command line, the pages, the API and /metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import msgspec
import numpy as np
from psycopg.rows import class_row

from monitor.postgres.arrays import Int4Array
from monitor.postgres.database import Connection

SCHEMA: Final = 1

_NAMED: Final = "s.model, s.signal, s.segment, s.source_group AS source"
_OF: Final = """
(%(model)s::text IS NULL OR s.model = %(model)s) AND (%(series)s::int[] IS NULL OR s.id = ANY(%(series)s))
"""
DETECTORS: Final = f"""
SELECT d.series, {_NAMED}, CASE WHEN d.baseline IS NULL THEN 'learning' ELSE 'watching' END AS stage, d.began_at,
    d.until_at, CASE WHEN d.baseline IS NULL THEN (SELECT coalesce(sum(n), 0) FROM unnest(d.n) AS u (n))
        ELSE (d.baseline -> 'labels' ->> 0)::float8 END::bigint AS baseline_labels,
    d.labels, d.residual, d.page_evidence, d.page_limit, d.warn_evidence, d.warn_limit, d.shift_at, d.shift,
    d.late_labels, d.renew
FROM detector AS d JOIN series AS s ON s.id = d.series WHERE {_OF}
ORDER BY s.model, s.signal, s.segment_text
"""
ALARMS: Final = f"""
SELECT a.id, a.series, {_NAMED}, a.tier, a.raised_at, a.pane_start, a.band, a.sign, a.onset_at, a.onset_low_at,
    a.onset_high_at, a.size, a.size_low, a.size_high, a.value, a.alpha, a.labels, a.slope, a.intercept
FROM alarm AS a JOIN series AS s ON s.id = a.series
WHERE {_OF} AND (%(until)s::timestamptz IS NULL OR a.raised_at <= %(until)s)
ORDER BY a.raised_at DESC, a.id DESC LIMIT %(limit)s
"""
LAST: Final = f"""
SELECT DISTINCT ON (a.series, a.tier) a.id, a.series, {_NAMED}, a.tier, a.raised_at, a.pane_start, a.band, a.sign,
    a.onset_at, a.onset_low_at, a.onset_high_at, a.size, a.size_low, a.size_high, a.value, a.alpha, a.labels, a.slope,
    a.intercept
FROM alarm AS a JOIN series AS s ON s.id = a.series WHERE a.series = ANY(%(series)s)
ORDER BY a.series, a.tier, a.pane_start DESC
"""
WATCHED: Final = """
SELECT s.model, count(*) FILTER (WHERE baseline IS NULL) AS learning, count(*) FILTER (WHERE baseline IS NOT NULL)
    AS watching, sum(late_labels)::bigint AS late_labels
FROM detector AS d JOIN series AS s ON s.id = d.series GROUP BY s.model ORDER BY s.model
"""
RAISED: Final = """
SELECT s.model, k.tier, (SELECT count(*) FROM alarm AS a JOIN series AS t ON t.id = a.series
    WHERE t.model = s.model AND a.tier = k.tier)
FROM (SELECT DISTINCT model FROM series AS x JOIN detector AS d ON d.series = x.id) AS s
CROSS JOIN (VALUES ('page'), ('warn')) AS k (tier) ORDER BY s.model, k.tier
"""


@dataclass(frozen=True, slots=True)
class DetectorRow:
    """The detectors of one series.

    `baseline_labels`: those that taught the baseline, or have taught it so far. `labels` were fed since, with the mean
    `residual`, expected minus outcome. Evidence and limits are logarithms; a tier that is off has no limit.
    """

    series: int
    model: str
    signal: str
    segment: Mapping[str, str]
    source: str
    stage: Literal["learning", "watching"]
    began_at: datetime | None
    until_at: datetime
    baseline_labels: int
    labels: float
    residual: float | None
    page_evidence: float | None
    page_limit: float | None
    warn_evidence: float | None
    warn_limit: float | None
    shift_at: datetime | None
    shift: float | None
    late_labels: int
    renew: bool


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One alarm as it was raised; see `monitor.drift.alarms.Alarm`."""

    id: int
    series: int
    model: str
    signal: str
    segment: Mapping[str, str]
    source: str
    tier: Literal["page", "warn"]
    raised_at: datetime
    pane_start: datetime
    band: str
    sign: int
    onset_at: datetime
    onset_low_at: datetime
    onset_high_at: datetime
    size: float
    size_low: float
    size_high: float
    value: float
    alpha: float
    labels: float
    slope: float
    intercept: float

    @property
    def tier_name(self) -> str:
        """`page`, `warning`."""
        return "warning" if self.tier == "warn" else self.tier

    @property
    def what(self) -> str:
        """Which side, in which band of confidence."""
        side = "over-confident" if self.sign > 0 else "under-confident"
        return f"{side} in {self.band} confidences"


def evidence_words(evidence: float | None, limit: float | None, unknown: str) -> str:
    """How far the evidence is on the way to an alarm. Both are logarithms: it grows evenly while a drift lasts."""
    if limit is None:
        return "off"
    return unknown if evidence is None else f"{max(0.0, evidence):.1f} of {limit:.1f}"


def detectors(
    connection: Connection, *, model: str | None = None, series: Sequence[int] | None = None
) -> list[DetectorRow]:
    """The detectors of all series, of a model, or of some series."""
    with connection.cursor(row_factory=class_row(DetectorRow)) as cursor:
        return cursor.execute(DETECTORS.encode(), _given(model, series)).fetchall()


def alarms(
    connection: Connection,
    *,
    model: str | None = None,
    series: Sequence[int] | None = None,
    until: datetime | None = None,
    limit: int = 1_000,
) -> list[AlarmRow]:
    """The alarms of all series, of a model, or of some series, newest first; with `until` none that is younger."""
    given = {**_given(model, series), "until": until, "limit": limit}
    with connection.cursor(row_factory=class_row(AlarmRow)) as cursor:
        return cursor.execute(ALARMS.encode(), given).fetchall()


def last(connection: Connection, series: Sequence[int]) -> list[AlarmRow]:
    """The newest alarm of each tier of some series."""
    with connection.cursor(row_factory=class_row(AlarmRow)) as cursor:
        return cursor.execute(LAST.encode(), {"series": Int4Array(np.array(series, np.int64))}).fetchall()


@dataclass(frozen=True, slots=True)
class WatchedRow:
    """How many series of a model learn a baseline and are watched, and how many labels came late for them."""

    model: str
    learning: int
    watching: int
    late_labels: int


def watched(connection: Connection) -> list[WatchedRow]:
    """Every model of which some series is watched."""
    with connection.cursor(row_factory=class_row(WatchedRow)) as cursor:
        return cursor.execute(WATCHED).fetchall()


def to_json(found: Sequence[DetectorRow], raised: Sequence[AlarmRow]) -> bytes:
    """Detectors and alarms as the command line and the API give them, UTF-8."""
    return msgspec.json.encode({"schema": SCHEMA, "detectors": found, "alarms": raised})


def raised(connection: Connection) -> dict[tuple[str, str], int]:
    """How many alarms each model ever had, by (model, tier); 0 for a model that is watched and had none."""
    return {(model, tier): n for model, tier, n in connection.execute(RAISED).fetchall()}


def _given(model: str | None, series: Sequence[int] | None) -> dict[str, object]:
    return {"model": model, "series": None if series is None else Int4Array(np.array(series, np.int64))}
