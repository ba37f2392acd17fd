"""What is fixed once for a database: the layout of ids, and the one clock that every role reads."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, cast

from monitor.errors import Refused, Unavailable
from monitor.postgres.database import Connection

Layout: TypeAlias = Literal["hashed", "time-ordered"]


@dataclass(frozen=True, slots=True)
class StoredClock:
    """The clock showed `epoch_at` at the wall time `started_at` and runs `rate` clock seconds per wall second.

    The wall clock is rate 1 with epoch_at = started_at.
    """

    epoch_at: datetime
    started_at: datetime
    rate: float

    def at(self, wall_at: datetime) -> datetime:
        """What the clock shows at a wall time."""
        return self.epoch_at + timedelta(seconds=(wall_at - self.started_at).total_seconds() * self.rate)


@dataclass(frozen=True, slots=True)
class Installation:
    """The single row of `installation`."""

    ids: Layout
    clock: StoredClock
    created_at: datetime


def read_installation(connection: Connection) -> Installation:
    """The layout and the clock. Raises Unavailable while the row is missing."""
    row = connection.execute(
        "SELECT ids, clock_epoch_at, clock_started_at, clock_rate, created_at FROM installation"
    ).fetchone()
    if row is None:
        raise Unavailable("the database has no installation row yet: run `caldrift db upgrade`")
    ids, epoch_at, started_at, rate, created_at = row
    return Installation(cast(Layout, ids), StoredClock(epoch_at, started_at, float(rate)), created_at)


def read_clock(connection: Connection) -> StoredClock:
    """The one clock. Raises Unavailable while the row is missing."""
    return read_installation(connection).clock


def set_clock(connection: Connection, clock: StoredClock) -> None:
    """Fix the clock of a database that has not read or evaluated anything yet; setting the same again is no change.

    Raises Refused when the database is in use with another clock: instants that are stored would change their meaning.
    Needs the rights of the owner of the tables.
    """
    with connection.transaction():
        connection.execute("SELECT FROM installation FOR UPDATE")
        if read_clock(connection) == clock:
            return
        used = connection.execute(
            "SELECT EXISTS (SELECT FROM kafka_offset WHERE next_offset > 0) OR EXISTS (SELECT FROM segment_set)"
            " OR EXISTS (SELECT FROM reading)"
        ).fetchone()
        if used is not None and used[0]:
            raise Refused(
                "the clock of this database is fixed, because it already holds events; a new database starts with a "
                "clock of its own"
            )
        connection.execute(
            "UPDATE installation SET clock_epoch_at = %s, clock_started_at = %s, clock_rate = %s",
            (clock.epoch_at, clock.started_at, clock.rate),
        )
