"""Folding `pane_history`: what was known before the horizon is one base row a pane, so later states stay exact.

What the detectors were fed before it can no longer be told from it, so the list of those panes ends there too.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from monitor.postgres.database import Connection
from monitor.postgres.tables import DELAY_COLUMNS, SUM_COLUMNS

SERIES_A_STEP: Final = 100

_FIRST_EXCESS: Final = SUM_COLUMNS.index("excess_w")
_SUMMED: Final = ", ".join(f"sum(u.{name})::bigint AS {name}" for name in SUM_COLUMNS)
_NOT_ALL_ZERO: Final = " OR ".join(f"sum(u.{name}) <> 0" for name in SUM_COLUMNS)
_ARRAYS: Final = ", ".join(f"array_agg(coalesce({name}, 0) ORDER BY cell) AS {name}" for name in SUM_COLUMNS)
_STORED: Final = ", ".join(
    f"coalesce(c.{name}, '{{}}')" if place < _FIRST_EXCESS else f"CASE WHEN 0 <> ANY (c.{name}) THEN c.{name} END"
    for place, name in enumerate(SUM_COLUMNS)
)
_NAMES: Final = ", ".join(SUM_COLUMNS)
_DELAY_NAMES: Final = ", ".join(DELAY_COLUMNS)
_DELAYS_SUMMED: Final = ", ".join(f"coalesce(sum(u.{name}), 0)::bigint AS {name}" for name in DELAY_COLUMNS)
_NOT_ALL_ZERO_DELAYS: Final = " OR ".join(f"sum(u.{name}) <> 0" for name in DELAY_COLUMNS)
_DELAY_ARRAYS: Final = ", ".join(f"array_agg({name} ORDER BY bucket) AS {name}" for name in DELAY_COLUMNS)
_UNSPLIT: Final = (
    "CASE WHEN gone.right_delays IS NULL THEN ARRAY(SELECT abs(n) FROM unnest(gone.delays) WITH ORDINALITY AS o (n, at)"
    " ORDER BY at) ELSE gone.unsplit_delays END"
)
"""What `monitor.postgres.sketches` makes of rows from before right answers were kept."""

_FOLD: Final = f"""
WITH row_of AS (
    SELECT series, pane_start, known_at, width,
        CASE WHEN pane_start < %(days_before)s
            THEN date_trunc('day', pane_start, 'UTC') ELSE pane_start END AS base_start,
        CASE WHEN pane_start < %(days_before)s THEN 86400 ELSE width END AS base_width
    FROM pane_history
    WHERE series BETWEEN %(first)s AND %(last)s AND known_at <= %(known_before)s
), base AS (
    SELECT series, base_start, max(base_width) AS base_width FROM row_of
    GROUP BY series, base_start HAVING count(*) > 1 OR bool_or(width <> base_width)
), gone AS (
    DELETE FROM pane_history AS h USING row_of AS r JOIN base AS b USING (series, base_start)
    WHERE h.series = r.series AND h.pane_start = r.pane_start AND h.known_at = r.known_at
    RETURNING b.base_start, h.*
), cell_sum AS (
    SELECT series, base_start, u.cell, {_SUMMED}
    FROM gone, unnest(gone.cells, {", ".join(f"gone.{name}" for name in SUM_COLUMNS)}) AS u (cell, {_NAMES})
    GROUP BY series, base_start, u.cell HAVING {_NOT_ALL_ZERO}
), c AS (
    SELECT series, base_start, array_agg(cell ORDER BY cell) AS cells, {_ARRAYS}
    FROM cell_sum GROUP BY series, base_start
), d AS (
    SELECT series, base_start,
        array_agg(bucket ORDER BY bucket) AS delay_buckets, {_DELAY_ARRAYS}
    FROM (
        SELECT series, base_start, u.bucket, {_DELAYS_SUMMED}
        FROM gone, unnest(gone.delay_buckets, gone.delays, gone.right_delays, {_UNSPLIT})
            AS u (bucket, {_DELAY_NAMES})
        GROUP BY series, base_start, u.bucket HAVING {_NOT_ALL_ZERO_DELAYS}
    ) AS bucket_sum GROUP BY series, base_start
), added AS (
    INSERT INTO pane_history (series, pane_start, known_at, width, cells, {_NAMES}, delay_buckets, {_DELAY_NAMES})
    SELECT series, base_start, %(known_before)s, base_width, coalesce(c.cells, '{{}}'), {_STORED},
        coalesce(d.delay_buckets, '{{}}'), coalesce(d.delays, '{{}}'), coalesce(d.right_delays, '{{}}'),
        CASE WHEN 0 <> ANY (d.unsplit_delays) THEN d.unsplit_delays END
    FROM base LEFT JOIN c USING (series, base_start) LEFT JOIN d USING (series, base_start)
    WHERE (SELECT count(*) FROM gone) > 0 AND (c.cells IS NOT NULL OR d.delays IS NOT NULL)
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) - (SELECT count(*) FROM added)
"""


def fold(connection: Connection, known_before: datetime, days_before: datetime) -> int:
    """Replace all rows of a pane known up to `known_before` by their sum, known at that instant.

    The sum over known_at <= T is unchanged for every T >= known_before. Hour panes that start before `days_before` (a
    UTC midnight) fold into their day. One transaction a hundred series; returns by how many rows the table shrank.
    """
    return sum(_fold_some(connection, *some, known_before, days_before) for some in _steps(connection))


def forget_fed(connection: Connection, known_before: datetime) -> int:
    """Remove the fed panes that were known up to an instant; returns how many there were."""
    return sum(
        connection.execute(
            "DELETE FROM fed_pane WHERE series BETWEEN %s AND %s AND pane_start < %s AND known_at <= %s",
            (*some, known_before, known_before),
        ).rowcount
        for some in _steps(connection)
    )


def _steps(connection: Connection) -> Iterator[tuple[int, int]]:
    """The first and the last number of a hundred series, up to the newest."""
    row = connection.execute("SELECT coalesce(max(id), 0) FROM series").fetchone()
    for first in range(0, (int(row[0]) if row else 0) + 1, SERIES_A_STEP):
        yield first, first + SERIES_A_STEP - 1


def _fold_some(connection: Connection, first: int, last: int, known_before: datetime, days_before: datetime) -> int:
    values = {"first": first, "last": last, "known_before": known_before, "days_before": days_before}
    row = connection.execute(_FOLD.encode(), values).fetchone()
    return int(row[0]) if row else 0
