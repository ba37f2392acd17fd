"""The last alarm of each series and tier, and what came since: what rules on alarms are judged by."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np
from psycopg.rows import dict_row

from monitor.alerting.judgement import Standing
from monitor.drift.alarms import Alarm, Tier
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


def standings(
    connection: Connection, series: Sequence[int], since: datetime, calm_labels: int
) -> dict[tuple[int, Tier], Standing]:
    """How the detectors of these series stand, and of those that raised an alarm since then, by series and tier."""
    given = {"series": Int4Array(np.array(series, np.int64)), "since": since}
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(READ, given).fetchall()
    return {(row["series"], row["tier"]): _standing(row, calm_labels) for row in rows}


def _standing(row: dict[str, object], calm_labels: int) -> Standing:
    def hour(name: str) -> int:
        at = row[name]
        assert isinstance(at, datetime)
        return hour_of(at)

    def number(name: str) -> float:
        value = row[name]
        assert isinstance(value, float | int)
        return float(value)

    alarm = Alarm(
        series=int(number("series")),
        tier="page" if row["tier"] == "page" else "warn",
        pane=hour("pane_start"),
        band=row["band"],  # type: ignore[arg-type]  # as it was written
        sign=int(number("sign")),
        onset=hour("onset_at"),
        onset_interval=(hour("onset_low_at"), hour("onset_high_at")),
        size=number("size"),
        size_interval=(number("size_low"), number("size_high")),
        value=number("value"),
        labels=number("labels"),
        slope=number("slope"),
        intercept=number("intercept"),
    )
    return Standing(
        alarm=alarm,
        labels_since=number("labels_since"),
        calm_labels=calm_labels,
        taught_from=None if row["taught_at"] is None else hour("taught_at"),
        acknowledged=bool(row["acknowledged"]),
    )
