"""The service's one clock: the wall's, or a scaled one whose hours pass in seconds.

It is stored in the database, so every role and every command tells the same time. Only the shell reads it; the pure
packages are given `now`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from monitor.postgres.database import Connection
from monitor.postgres.installation import StoredClock, read_clock


def wall_now() -> datetime:
    """Wall time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock that showed `epoch_at` at the wall time `started_at`, and since then runs `rate` times as fast."""

    epoch_at: datetime
    started_at: datetime
    rate: float = 1.0

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError(f"a clock runs forward: its rate must be above 0, got {self.rate}")

    @property
    def is_wall(self) -> bool:
        return self.rate == 1.0 and self.epoch_at == self.started_at

    @property
    def stored(self) -> StoredClock:
        """The form in which the database keeps it."""
        return StoredClock(self.epoch_at, self.started_at, self.rate)

    def now(self) -> datetime:
        """What the clock shows now."""
        return self.at(wall_now())

    def at(self, wall_at: datetime) -> datetime:
        """What the clock shows at a wall time; the wall's own clock shows that very time, to the microsecond."""
        return wall_at if self.is_wall else self.stored.at(wall_at)

    def wall(self, duration: timedelta) -> timedelta:
        """How long a duration of this clock takes by the wall."""
        return duration / self.rate


def wall_clock(now: datetime) -> Clock:
    """A clock that shows wall time."""
    return Clock(epoch_at=now, started_at=now, rate=1.0)


def load_clock(connection: Connection) -> Clock:
    """The clock of the database. Raises Unavailable while it has none, that is before `db upgrade`."""
    stored = read_clock(connection)
    return Clock(stored.epoch_at, stored.started_at, stored.rate)
