"""Acknowledgements: alarms of the detectors that a person has dealt with, so that their alerts may end."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from monitor.postgres.arrays import Int4Array
from monitor.postgres.audit import note
from monitor.postgres.database import Connection


def acknowledge(connection: Connection, series: Sequence[int], *, by: str, reason: str, now: datetime) -> int:
    """Acknowledge the last alarm of each tier of these series; returns how many had not been acknowledged before."""
    with connection.transaction():
        done = connection.execute(
            """
            INSERT INTO acknowledgement (alarm, at, "by", reason)
            SELECT id, %(now)s, %(by)s, %(reason)s FROM (
                SELECT DISTINCT ON (series, tier) id FROM alarm WHERE series = ANY(%(series)s)
                ORDER BY series, tier, pane_start DESC
            ) AS last
            ON CONFLICT (alarm) DO NOTHING RETURNING alarm
            """,
            {"now": now, "by": by, "reason": reason, "series": Int4Array(np.array(series, np.int64))},
        ).fetchall()
        if done:
            note(connection, by, "drift acknowledge", {"alarms": [row[0] for row in done], "reason": reason})
    return len(done)
