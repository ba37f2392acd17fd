"""Upkeep by the leader: what is old is merged, thinned or removed. Every step may be repeated after a crash."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from monitor.postgres import panes, retention
from monitor.postgres.database import Connection
from monitor.postgres.leader import leading
from monitor.postgres.readings import thin
from monitor.postgres.retention import Horizons
from monitor.postgres.windows import first_hours
from monitor.rolling.spans import merge_before

SERIES_A_TRANSACTION: Final = 20
HOUR: Final = timedelta(hours=1)

log = logging.getLogger("caldrift.evaluate")


@dataclass(slots=True)
class Kept:
    """How far upkeep has come, by the clock; None: not since this process leads."""

    merged_before: int | None = None
    thinned_at: datetime | None = None
    retained_at: datetime | None = None


def upkeep(connection: Connection, epoch: int, horizons: Horizons, kept: Kept, now: datetime) -> None:
    """Do what the clock makes due: merge hour panes once a day, thin readings and apply retention once an hour."""
    before = merge_before(now, horizons.hour_panes, first_hours(connection))
    if kept.merged_before is None or before > kept.merged_before:
        merged = merge_days(connection, epoch, before)
        kept.merged_before = before
        if merged:
            log.info("merged", extra={"hour_panes": merged})
    if kept.thinned_at is None or now - kept.thinned_at >= HOUR:
        kept.thinned_at, thinned = thin(connection, now, kept.thinned_at)
        if thinned:
            log.info("thinned", extra={"readings": thinned})
    if kept.retained_at is None or now - kept.retained_at >= HOUR:
        removed = retention.run(connection, now, horizons)
        if removed.finished:
            kept.retained_at = now
        if removed.pairs or removed.partitions_dropped or removed.readings or removed.history_rows:
            log.info(
                "removed", extra={"pairs": removed.pairs, "readings": removed.readings, "finished": removed.finished}
            )


def merge_days(connection: Connection, epoch: int, before_hour: int) -> int:
    """Merge the hour panes of every series before an hour; some series in each transaction."""
    ids = [int(number) for (number,) in connection.execute("SELECT id FROM series ORDER BY id").fetchall()]
    merged = 0
    for first in range(0, len(ids), SERIES_A_TRANSACTION):
        with leading(connection, epoch):
            some = np.array(ids[first : first + SERIES_A_TRANSACTION], np.int64)
            merged += panes.merge_days(connection, some, before_hour)
    return merged
