"""The history of panes as it came to be known, hour by hour: what a backtest lives through."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from monitor.postgres.database import Connection
from monitor.postgres.panes import KEY
from monitor.postgres.series import read_series
from monitor.postgres.sketches import COLUMNS, read_stack
from monitor.rolling.history import Known
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import Stack, plus, regrouped

ROWS_AT_ONCE: Final = 5_000
STEP: Final = timedelta(days=1)
"""So much is sorted at a time."""

ENDS: Final = "SELECT min(known_at), max(known_at) FROM pane_history WHERE known_at <= %s"
BEGIN: Final = f"""
DECLARE known NO SCROLL CURSOR FOR
SELECT row_number() OVER (), {COLUMNS}, {KEY}, (extract(epoch FROM known_at) / 3600)::bigint
FROM (SELECT * FROM pane_history WHERE known_at > %(after)s AND known_at <= %(until)s ORDER BY known_at) AS h
"""
FETCH: Final = f"FETCH FORWARD {ROWS_AT_ONCE} FROM known"


def known_series(connection: Connection) -> dict[int, SeriesName]:
    """Every series by its number, ascending."""
    return dict(sorted((stored.id, stored.name) for stored in read_series(connection)))


def known_between(connection: Connection, until: datetime) -> tuple[datetime, datetime] | None:
    """When something first became known, and last, up to an instant; None without any history."""
    row = connection.execute(ENDS, (until,)).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


def known_hours(connection: Connection, until: datetime) -> Iterator[Known]:
    """What became known in each hour up to an instant, ascending; all in one snapshot of the database.

    What was known before `history_horizon` has been folded, and comes as one hour.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        ends = known_between(connection, until)
        if ends is None:
            return
        after = ends[0] - STEP
        while after < ends[1]:
            yield from _hours(connection, after, min(after + STEP, ends[1]))
            after += STEP


def _hours(connection: Connection, after: datetime, until: datetime) -> Iterator[Known]:
    connection.execute(BEGIN, {"after": after, "until": until})
    held: list[Stack] = []
    hour = -1
    while True:
        read = read_stack(connection, FETCH, {})
        if not read.n_rows:
            break
        panes, hours = read.others[:, 0], read.others[:, 1]
        for known in np.unique(hours).tolist():
            if known != hour and held:
                yield Known(hour, plus(*held))
                held = []
            hour = known
            held.append(regrouped(read.stack, hours == known, panes))
    if held:
        yield Known(hour, plus(*held))
    connection.execute("CLOSE known")
