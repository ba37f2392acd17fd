"""A few connections to Postgres that requests share. A request reads one snapshot; what it changes is one piece."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg
from psycopg.pq import TransactionStatus

from monitor.errors import BadInput, Unavailable
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

        Raises Unavailable when the database does not answer, takes too long, or has no tables yet, and BadInput for
        text that it cannot hold.
        """
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection inside a transaction at READ COMMITTED, committed at the end unless something was raised.

        Raises Unavailable as `reading` does, and when the commit fails: then nothing was changed, or nobody knows.
        """
        with self._transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        if not self._slots.acquire(timeout=WAIT_SECONDS):
            raise Unavailable("every connection to the database is busy")
        try:
            connection = self._begun(begin)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException as failure:
                self._put_back(connection)
                if type(failure) is psycopg.DataError or isinstance(failure, psycopg.errors.UntranslatableCharacter):
                    raise BadInput("text must not hold the character U+0000") from failure
                if isinstance(failure, psycopg.Error):
                    raise _unavailable(failure) from failure
                raise
            self._put_back(connection)
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _begun(self, begin: str) -> Connection:
        """A connection that has begun its transaction; idle ones that a restart of the server broke are skipped."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            fresh = connection is None
            if connection is None:
                connection = self._connect()
            try:
                connection.execute(begin.encode())
            except psycopg.Error as failure:
                connection.close()
                if fresh or not is_lost(failure):
                    raise _unavailable(failure) from failure
            else:
                return connection

    def _put_back(self, connection: Connection) -> None:
        """Keep the connection; a transaction that is still open is rolled back."""
        with suppress(psycopg.Error):
            if connection.info.transaction_status != TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
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
