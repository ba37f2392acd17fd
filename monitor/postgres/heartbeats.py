"""Signs of life: one row a process in `role`, by the wall clock."""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from monitor.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Process:
    """Which process beats: its role, and what tells it from others of that role."""

    role: str
    pid: int
    host: str

    @property
    def instance(self) -> str:
        """Its name among the processes of its role."""
        return f"{self.host}:{self.pid}"


def beat(connection: Connection, process: Process, detail: Mapping[str, str | int | float | bool | None]) -> None:
    """Say that the process is alive, and what it does."""
    connection.execute(
        """
        INSERT INTO role (name, instance, pid, host, beat_at, detail) VALUES (%s, %s, %s, %s, clock_timestamp(), %s)
        ON CONFLICT (name, instance) DO UPDATE SET beat_at = EXCLUDED.beat_at, detail = EXCLUDED.detail
        """,
        (process.role, process.instance, process.pid, process.host, Jsonb(dict(detail))),
    )


def forget(connection: Connection, process: Process) -> None:
    """Take back the row of a process that ends in order."""
    connection.execute("DELETE FROM role WHERE name = %s AND instance = %s", (process.role, process.instance))
