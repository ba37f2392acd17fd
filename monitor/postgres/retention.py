"""What is kept for how long. Ingest reads the floor in every batch; here it is raised, and what lies under it removed.

The order is what makes it safe: first the floor is raised and committed, which waits for the batches that hold it; from
then on no batch stores anything under it; only then rows go.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg

from monitor.postgres import history, partitions, reviews
from monitor.postgres.database import Connection
from monitor.postgres.installation import read_installation
from monitor.postgres.tables import HASHED

PAGES_A_STEP: Final = 512
"""Pages of each partition that one transaction searches: 8 times 4 MB, some 300,000 rows."""
STEPS_A_RUN: Final = 64
ROWS_A_STEP: Final = 5000


@dataclass(frozen=True, slots=True)
class Horizons:
    """How long things are kept, in clock time. A pair stays for `label` + `correction` after its prediction.

    `history` is how far back states can be read as they were known; `hour_panes` the age at which hours become days.
    """

    label: timedelta
    correction: timedelta
    history: timedelta
    readings: timedelta
    dead_letters: timedelta
    hour_panes: timedelta

    @property
    def pair(self) -> timedelta:
        """Age at which a pair is removed."""
        return self.label + self.correction


@dataclass(frozen=True, slots=True)
class Removed:
    """What one run did. `finished` is false while rows under the floor may be left: the next run goes on."""

    floor_at: datetime
    pairs: int = 0
    partitions_added: int = 0
    partitions_dropped: int = 0
    readings: int = 0
    dead_letters: int = 0
    history_rows: int = 0
    finished: bool = True


def midnight(at: datetime) -> datetime:
    """The UTC midnight at or before an instant."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def next_floor(floor_at: datetime, now: datetime, horizon: timedelta) -> datetime:
    """Where the floor belongs: the UTC midnight at or before now - horizon, and never lower than it is."""
    return max(floor_at, midnight(now - horizon))


def read_floor(connection: Connection) -> datetime:
    """The floor. Ingest reads it FOR SHARE in its own transaction instead."""
    row = connection.execute("SELECT floor_at FROM retention_floor").fetchone()
    if row is None:
        raise psycopg.DataError("the row of retention_floor is missing")
    at: datetime = row[0]
    return at


def run(connection: Connection, now: datetime, horizons: Horizons, *, steps: int = STEPS_A_RUN) -> Removed:
    """One round of upkeep in small transactions: raise the floor, remove what lies under it, make partitions ahead.

    Needs the rights of `caldrift_app`. At most `steps` transactions search `pair`, so that a round stays short; call
    again while the result is not `finished`. Every step may be repeated.
    """
    floor_at = raise_floor(connection, next_floor(read_floor(connection), now, horizons.pair))
    reviews.forget_gone(connection, floor_at)
    pairs = added = dropped = 0
    if read_installation(connection).ids == HASHED:
        pairs, finished = _delete_pairs(connection, floor_at, steps)
    else:
        added = partitions.add_days(connection, *partitions.wanted_days(max(floor_at, now - horizons.pair), now))
        dropped, finished = _drop_partitions(connection, floor_at)
    return Removed(
        floor_at=floor_at,
        pairs=pairs,
        partitions_added=added,
        partitions_dropped=dropped,
        readings=_delete_readings(connection, now - horizons.readings),
        dead_letters=_delete_dead_letters(connection, now - horizons.dead_letters),
        history_rows=_fold_history(connection, now, horizons),
        finished=finished,
    )


def raise_floor(connection: Connection, floor_at: datetime) -> datetime:
    """Raise the floor, never lower it, and return where it is. Waits for the batches that hold the old one."""
    with connection.transaction():
        raised = connection.execute(
            "UPDATE retention_floor SET floor_at = %(at)s WHERE floor_at < %(at)s", {"at": floor_at}
        )
        if raised.rowcount:
            connection.execute("UPDATE upkeep SET walked_pages = 0")
        return read_floor(connection)


def _delete_pairs(connection: Connection, floor_at: datetime, steps: int) -> tuple[int, bool]:
    """Walk `pair` page by page, no index needed. Returns the rows deleted, and whether the walk is at its end."""
    deleted = 0
    for _ in range(steps):
        with connection.transaction():
            row = connection.execute("SELECT walked_pages FROM upkeep FOR UPDATE").fetchone()
            if row is None or row[0] is None:
                return deleted, True
            first = int(row[0])
            end = first + PAGES_A_STEP
            done = connection.execute(
                "DELETE FROM pair WHERE ctid >= %(first)s::tid AND ctid < %(end)s::tid AND (predicted_at < %(floor)s"
                " OR predicted_at IS NULL AND labelled_at < %(floor)s)",
                {**partitions.page_bounds(first, end), "floor": floor_at},
            )
            deleted += done.rowcount
            walked = end if end < partitions.leaf_pages(connection)[1] else None
            connection.execute("UPDATE upkeep SET walked_pages = %s", (walked,))
    return deleted, False


def _drop_partitions(connection: Connection, floor_at: datetime) -> tuple[int, bool]:
    try:
        return partitions.drop_days(connection, floor_at), True
    except psycopg.errors.LockNotAvailable:
        return 0, False


def _delete_readings(connection: Connection, before: datetime) -> int:
    deleted = 0
    while True:
        done = connection.execute(
            "DELETE FROM reading AS r"
            " USING (SELECT series, window_name, as_of FROM reading WHERE as_of < %s LIMIT %s) AS o"
            " WHERE r.series = o.series AND r.window_name = o.window_name AND r.as_of = o.as_of",
            (before, ROWS_A_STEP),
        )
        deleted += done.rowcount
        if done.rowcount < ROWS_A_STEP:
            return deleted


def _delete_dead_letters(connection: Connection, before: datetime) -> int:
    """Numbers grow with time, so the oldest are looked at first, and the walk ends where all are young."""
    deleted = 0
    while True:
        done = connection.execute(
            "DELETE FROM dead_letter AS d USING (SELECT id, received_at FROM dead_letter ORDER BY id LIMIT %s) AS o"
            " WHERE d.id = o.id AND o.received_at < %s",
            (ROWS_A_STEP, before),
        )
        deleted += done.rowcount
        if done.rowcount < ROWS_A_STEP:
            return deleted


def _fold_history(connection: Connection, now: datetime, horizons: Horizons) -> int:
    """Once a day of the clock."""
    known_before = midnight(now - horizons.history)
    row = connection.execute("SELECT folded_at FROM upkeep").fetchone()
    if row is None or (row[0] is not None and row[0] >= known_before):
        return 0
    removed = history.fold(connection, known_before, midnight(now - max(horizons.history, horizons.hour_panes)))
    removed += history.forget_fed(connection, known_before)
    connection.execute("UPDATE upkeep SET folded_at = %s", (known_before,))
    return removed
