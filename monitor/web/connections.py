"""A few connections to Postgres that requests share. Every request reads one snapshot and writes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg

from monitor.errors import Unavailable
from monitor.postgres.database import Connection, is_lost

WAIT_SECONDS: Final = 5.0
"""How long a request waits for a connection when all are in use."""


class Connections:
    """At most `size` connections, opened when needed and kept; one that broke is thrown away and opened anew."""

    def __init__(self, connect: Callable[[], Connection], size: int = 4) -> None:
        self._connect = connect
        self._slots = threading.BoundedSemaphore(size)
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection inside a read-only transaction that sees one moment.

        Raises Unavailable when the database does not answer, takes too long, or has no tables yet.
        """
        if not self._slots.acquire(timeout=WAIT_SECONDS):
            raise Unavailable("every connection to the database is busy")
        try:
            connection = self._begun()
            try:
                yield connection
            except BaseException as failure:
                self._put_back(connection, failed=True)
                if isinstance(failure, psycopg.Error):
                    raise _unavailable(failure) from failure
                raise
            self._put_back(connection, failed=False)
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _begun(self) -> Connection:
        """A connection that has begun its transaction; idle ones that a restart of the server broke are skipped."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            fresh = connection is None
            if connection is None:
                connection = self._connect()
            try:
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            except psycopg.Error as failure:
                connection.close()
                if fresh or not is_lost(failure):
                    raise _unavailable(failure) from failure
            else:
                return connection

    def _put_back(self, connection: Connection, *, failed: bool) -> None:
        with suppress(psycopg.Error):
            connection.execute("ROLLBACK" if failed else "COMMIT")
        if connection.closed or connection.broken:
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)


def _unavailable(failure: psycopg.Error) -> Unavailable:
    if isinstance(failure, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        return Unavailable("the database does not have this version's tables yet: caldrift db upgrade")
    if isinstance(failure, psycopg.errors.QueryCanceled):
        return Unavailable("the database took too long to answer")
    if is_lost(failure):
        return Unavailable("the database hung up")
    return Unavailable(f"the database refused: {type(failure).__name__}")
