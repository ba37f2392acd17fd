"""Sessions whose process is frozen in the middle of a batch: they are ended, so that others get the rows they hold.

The server's own limit, idle_in_transaction_session_timeout, does not reach them: its clock starts with the answer to a
Sync and stops with the next message, and a pipeline sends a Flush after its Sync.
"""

from typing import Final

from monitor.postgres.database import Connection

FROZEN_SECONDS: Final = 10.0

_END: Final = """
    WITH frozen AS MATERIALIZED (
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND usename = current_user
          AND application_name = current_setting('application_name') AND pid <> pg_backend_pid()
          AND xact_start IS NOT NULL AND wait_event_type = 'Client'
          AND state_change < clock_timestamp() - make_interval(secs => %s)
    )
    SELECT pid FROM frozen WHERE pg_terminate_backend(pid)
"""


def end_frozen(connection: Connection, seconds: float = FROZEN_SECONDS) -> list[int]:
    """End the sessions of the caller's user and name that wait for their process inside a transaction, since so many
    seconds. Returns their process ids on the server."""
    return [int(pid) for (pid,) in connection.execute(_END, (seconds,)).fetchall()]
