"""One leader for evaluation and upkeep: a session lock says who may try, an epoch in every transaction says who does.

The lock belongs to a connection and can be lost without its holder noticing. So each transaction of a leader also locks
the row of `leader_epoch` that holds its epoch: a leader that has been replaced finds another number and writes nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg

from monitor.errors import CaldriftError
from monitor.postgres.database import Connection

_LOCK = (0x63616C64, 1)  # "cald", leader


class LeadershipLostError(CaldriftError):
    """Another process leads by now; this one must write nothing more with its epoch."""


def take_lead(connection: Connection) -> int | None:
    """Try to become the leader: the new epoch, or None while another session leads.

    The lock is held until the connection ends. It needs a direct connection, not one through a pooler that shares
    sessions. The epoch rises with each leader, which ends the authority of all earlier ones.
    """
    with connection.transaction():
        row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", _LOCK).fetchone()
        if row is None or not row[0]:
            return None
        raised = connection.execute("UPDATE leader_epoch SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch").fetchone()
    connection.execute("SET enable_seqscan = off")  # its statements touch few rows of tables that grow
    if raised is None:
        raise LeadershipLostError("the row of leader_epoch is missing")
    return int(raised[0])


@contextmanager
def leading(connection: Connection, epoch: int) -> Iterator[None]:
    """One transaction of the leader with this epoch; transactions of leaders follow one another.

    Raises LeadershipLostError, and writes nothing, when another leader has taken over.
    """
    with connection.transaction():
        held = connection.execute(
            "SELECT 1 FROM leader_epoch WHERE id = 1 AND epoch = %s FOR UPDATE", (epoch,)
        ).fetchone()
        if held is None:
            raise LeadershipLostError(f"epoch {epoch} has passed: another process leads")
        yield


def settle(connection: Connection) -> None:
    """Wait for the leader's transaction under way, if there is one; the next begins after this transaction ends.

    What is read afterwards in this transaction holds everything that was known up to now, whatever comes later.
    """
    connection.execute("SELECT FROM leader_epoch FOR SHARE")


def wall_time(connection: Connection) -> datetime:
    """The database's own wall time: the same for every host."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    if row is None:
        raise psycopg.DataError("no row came")
    at: datetime = row[0]
    return at
