"""The last alarm of each series and tier, and what came since: what rules on alarms are judged by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from psycopg.rows import class_row

from monitor.alerting.judgement import Standing
from monitor.drift.alarms import Alarm, Tier
from monitor.drift.bands import Band
from monitor.postgres.arrays import Int4Array
from monitor.postgres.database import Connection
from monitor.rolling.panes import hour_of

READ: Final = """
SELECT a.series, a.tier, a.pane_start, a.band, a.sign, a.onset_at, a.onset_low_at, a.onset_high_at, a.size, a.size_low,
    a.size_high, a.value, a.labels, a.slope, a.intercept, k.alarm IS NOT NULL AS acknowledged,
    CASE WHEN d.baseline IS NOT NULL THEN d.began_at END AS taught_at,
    coalesce((SELECT sum(f.labels) FROM fed_pane AS f WHERE f.series = a.series AND f.pane_start > a.pane_start), 0)
        AS labels_since
FROM (
    SELECT DISTINCT ON (series, tier) * FROM alarm
    WHERE series IN (SELECT series FROM alarm WHERE raised_at >= %(since)s UNION SELECT unnest(%(series)s))
    ORDER BY series, tier, pane_start DESC
) AS a
JOIN detector AS d ON d.series = a.series LEFT JOIN acknowledgement AS k ON k.alarm = a.id
"""


@dataclass(frozen=True, slots=True)
class _Row:
    series: int
    tier: Tier
    pane_start: datetime
    band: Band
    sign: int
    onset_at: datetime
    onset_low_at: datetime
    onset_high_at: datetime
    size: float
    size_low: float
    size_high: float
    value: float
    labels: float
    slope: float
    intercept: float
    acknowledged: bool
    taught_at: datetime | None
    labels_since: float


def standings(
    connection: Connection, series: Sequence[int], since: datetime, calm_labels: int
) -> dict[tuple[int, Tier], Standing]:
    """How the detectors of these series stand, and of those that raised an alarm since then, by series and tier."""
    given = {"series": Int4Array(np.array(series, np.int64)), "since": since}
    with connection.cursor(row_factory=class_row(_Row)) as cursor:
        rows = cursor.execute(READ, given).fetchall()
    return {(row.series, row.tier): _standing(row, calm_labels) for row in rows}


def _standing(row: _Row, calm_labels: int) -> Standing:
    alarm = Alarm(
        series=row.series,
        tier=row.tier,
        pane=hour_of(row.pane_start),
        band=row.band,
        sign=row.sign,
        onset=hour_of(row.onset_at),
        onset_interval=(hour_of(row.onset_low_at), hour_of(row.onset_high_at)),
        size=row.size,
        size_interval=(row.size_low, row.size_high),
        value=row.value,
        labels=row.labels,
        slope=row.slope,
        intercept=row.intercept,
    )
    taught = None if row.taught_at is None else hour_of(row.taught_at)
    return Standing(
        alarm=alarm,
        labels_since=row.labels_since,
        calm_labels=calm_labels,
        taught_from=taught,
        acknowledged=row.acknowledged,
    )
