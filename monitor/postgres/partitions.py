"""The partitions of `pair` in the time-ordered layout: one per UTC day of the id, made ahead and dropped whole.

UUIDv7 and ULID both begin with 48 bits of milliseconds since the Unix epoch, so a day is a range of ids.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from monitor.postgres.database import Connection

DAYS_AHEAD: Final = 7
"""Partitions made ahead: the leader may be away for so long before ids find no place."""

LEAF_PREFIX: Final = "pair_day_"
DAY_MS: Final = 86_400_000
LOCK_TIMEOUT: Final = "2s"
"""Dropping a partition locks `pair`; waiting longer for the lock would hold up every ingest batch behind it."""


@dataclass(frozen=True, slots=True)
class IdRange:
    """Ids that have a partition: 16 bytes each, `low` inclusive, `high` exclusive. Bytes sort as a uuid does."""

    low: bytes
    high: bytes

    def holds(self, event_id: bytes) -> bool:
        """Whether a row with this id can be stored."""
        return self.low <= event_id < self.high


def first_id(day: date) -> bytes:
    """The smallest id of a UTC day, 16 bytes."""
    milliseconds = (day - date(1970, 1, 1)).days * DAY_MS
    return milliseconds.to_bytes(6, "big") + bytes(10)


def id_at(event_id: bytes) -> datetime:
    """When an id of the time-ordered layout was made; year 10889 at most, so later ones read as the last instant."""
    milliseconds = int.from_bytes(event_id[:6], "big")
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def days(connection: Connection) -> list[date]:
    """The days that have a partition, ascending; empty in the hashed layout."""
    rows = connection.execute(
        "SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = 'pair'::regclass AND starts_with(c.relname, %s) ORDER BY c.relname",
        (LEAF_PREFIX,),
    ).fetchall()
    return [datetime.strptime(str(row[0]).removeprefix(LEAF_PREFIX), "%Y%m%d").date() for row in rows]  # noqa: DTZ007


def leaf_pages(connection: Connection) -> tuple[int, int]:
    """How many partitions `pair` has, and the pages of the longest, for walks by ctid."""
    row = connection.execute(
        "SELECT count(*), coalesce(max(pg_relation_size(inhrelid) / current_setting('block_size')::bigint), 0)"
        " FROM pg_inherits WHERE inhparent = 'pair'::regclass"
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def page_bounds(first: int, end: int) -> dict[str, str]:
    """Parameters of `ctid >= %(first)s::tid AND ctid < %(end)s::tid`: the rows of these pages, in every partition."""
    return {"first": f"({first},0)", "end": f"({end},0)"}


def id_range(connection: Connection) -> IdRange | None:
    """The run of days without a gap that ends with the last one; None in the hashed layout, where every id has a place.

    Raises nothing when days are missing: ids in a gap are outside.
    """
    present = days(connection)
    if not present:
        return None
    first = present[-1]
    for day in reversed(present):
        if first - day > timedelta(days=1):
            break
        first = day
    return IdRange(first_id(first), first_id(present[-1] + timedelta(days=1)))


def wanted_days(floor_at: datetime, now: datetime) -> tuple[date, date]:
    """The first and last day that must have a partition: from the retention floor to a week ahead, both included."""
    return floor_at.astimezone(UTC).date(), now.astimezone(UTC).date() + timedelta(days=DAYS_AHEAD)


def droppable_days(present: list[date], floor_at: datetime) -> list[date]:
    """The days whose ids all lie a whole day under the floor.

    The day between keeps the rows whose id was made shortly before the floor and whose prediction came after it.
    """
    last = floor_at.astimezone(UTC).date() - timedelta(days=2)
    return [day for day in present if day <= last]


def add_days(connection: Connection, first: date, last: date) -> int:
    """Make the partitions that are missing between two days, both included. Returns how many were made."""
    present = set(days(connection))
    missing = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    made = 0
    for day in missing:
        if day in present:
            continue
        row = connection.execute("SELECT caldrift_add_day(%s)", (day,)).fetchone()
        made += bool(row and row[0])
    return made


def drop_days(connection: Connection, floor_at: datetime) -> int:
    """Drop the partitions under the floor, each in a transaction of its own. Returns how many were dropped.

    Raises psycopg.errors.LockNotAvailable when a long reader holds `pair`: the next run tries again.
    """
    dropped = 0
    for day in droppable_days(days(connection), floor_at):
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            row = connection.execute("SELECT caldrift_drop_day(%s)", (day,)).fetchone()
        dropped += bool(row and row[0])
    return dropped
