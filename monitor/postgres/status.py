"""What still lies between an applied event and its reading: deltas that wait, and evaluations that began too early."""

from dataclasses import dataclass
from datetime import datetime

from monitor.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Mark:
    """A state to wait for: `delta_id` is the newest waiting delta that was seen, None when none waited."""

    delta_id: int | None


def mark(connection: Connection) -> Mark:
    """The deltas that wait now. Of a batch whose offsets are seen, the delta is seen too: they commit together."""
    row = connection.execute("SELECT max(id) FROM statistics_delta").fetchone()
    return Mark(None if row is None or row[0] is None else int(row[0]))


def is_taken(connection: Connection, seen: Mark) -> bool:
    """Whether the leader has taken every delta of the mark."""
    if seen.delta_id is None:
        return True
    row = connection.execute(
        "SELECT NOT EXISTS (SELECT FROM statistics_delta WHERE id <= %s)", (seen.delta_id,)
    ).fetchone()
    return bool(row and row[0])


def applied_at(connection: Connection) -> datetime | None:
    """Clock time when the leader last added deltas to panes; None when it never has."""
    row = connection.execute("SELECT applied_at FROM evaluation").fetchone()
    found: datetime | None = row[0] if row else None
    return found


def is_evaluated(connection: Connection, since: datetime | None) -> bool:
    """Whether an evaluation that began at `since` or later is complete; None needs none."""
    if since is None:
        return True
    row = connection.execute("SELECT evaluated_at >= %s FROM evaluation", (since,)).fetchone()
    return bool(row and row[0])
