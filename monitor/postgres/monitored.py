"""What rules about the monitor itself look at: labels, intake, evaluation, the outbox. Times by the service's clock.

Only what waits to be sent is measured by the wall, as it is sent by the wall.
"""

from datetime import timedelta
from typing import Final

from monitor.postgres.database import Connection

_NOW: Final = """
(SELECT clock_epoch_at + (clock_timestamp() - clock_started_at) * clock_rate FROM installation)
"""


def evaluation_age(connection: Connection) -> timedelta | None:
    """Time since the last evaluation began; None if there never was one."""
    row = connection.execute(f"SELECT {_NOW} - evaluated_at FROM evaluation WHERE id = 1".encode()).fetchone()
    found: timedelta | None = row[0] if row else None
    return found
