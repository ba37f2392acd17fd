"""Connections to Postgres: how they are made, what their failures mean, and how to wait for the server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from monitor.errors import BadSettings, Refused, Unavailable

Connection: TypeAlias = psycopg.Connection[TupleRow]

CONNECT_TIMEOUT_SECONDS: Final = 10
KEEPALIVE: Final = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""A peer that vanished is noticed after one minute instead of two hours."""

FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Database:
    """Where the database is. `dsn` is a libpq connection string; it may hold a password, so `repr` leaves it out."""

    dsn: str = field(repr=False)

    def connect(self, application_name: str) -> Connection:
        """Same as `connect(self.dsn, application_name)`."""
        return connect(self.dsn, application_name)

    @property
    def place(self) -> str:
        """Host, database and user in words, without the password."""
        return place_of(self.dsn)


def connect(dsn: str, application_name: str, *, statement_timeout_seconds: float = 0.0) -> Connection:
    """Open a connection in autocommit mode: transactions are `with connection.transaction():`, at READ COMMITTED.

    The session's time zone is UTC. A timeout of 0 lets statements run as long as they take. Raises Unavailable when the
    server does not answer or refuses, BadSettings when `dsn` is no connection string; neither text holds the password.
    """
    given = _parsed(dsn)
    parameters: dict[str, str | int | None] = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, **KEEPALIVE, **given}
    parameters["application_name"] = application_name
    try:
        connection = psycopg.connect(make_conninfo("", **parameters), autocommit=True)
    except psycopg.OperationalError as failure:
        raise Unavailable(f"Postgres at {place_of(dsn)} does not answer: {_cause(failure, given)}") from None
    try:
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        timeout = round(statement_timeout_seconds * 1000)
        connection.execute(f"SET TimeZone = 'UTC'; SET statement_timeout = {timeout}")
    except psycopg.OperationalError as failure:
        connection.close()
        raise Unavailable(f"Postgres at {place_of(dsn)} hung up: {_cause(failure, given)}") from None
    return connection


def connect_waiting(
    dsn: str,
    application_name: str,
    *,
    sleep: Callable[[float], None],
    say: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> Connection:
    """Like `connect`, again and again until the server answers, saying why it waits.

    Pauses grow from half a second to fifteen. When `stopped()` becomes true the last Unavailable is raised.
    """
    pause = FIRST_WAIT_SECONDS
    while True:
        try:
            return connect(dsn, application_name)
        except Unavailable as failure:
            if stopped():
                raise
            say(f"{failure}; next try in {pause:g} s")
        sleep(pause)
        pause = min(LONGEST_WAIT_SECONDS, 2 * pause)


@contextmanager
def answering(dsn: str) -> Iterator[None]:
    """Turn the loss of the connection inside the block into Unavailable, and a table or column that is not there into
    Refused: the schema is not this version's. Every other failure passes unchanged.
    """
    try:
        yield
    except psycopg.Error as failure:
        if is_lost(failure):
            raise Unavailable(f"Postgres at {place_of(dsn)} hung up: {_cause(failure, _parsed(dsn))}") from failure
        if isinstance(failure, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
            raise Refused(
                f"the schema of {place_of(dsn)} is not this version's ({failure.diag.message_primary}): "
                "run `caldrift db upgrade`"
            ) from failure
        raise


def is_lost(failure: BaseException) -> bool:
    """Whether the failure means that the connection is gone, or that the server is going down: connect again."""
    if isinstance(failure, psycopg.errors.IdleInTransactionSessionTimeout):  # no OperationalError, though it is one
        return True
    if not isinstance(failure, psycopg.OperationalError | psycopg.InterfaceError) or is_conflict(failure):
        return False
    state = failure.sqlstate
    return state is None or state.startswith("08") or state in {"57P01", "57P02", "57P03", "57P05"}


def is_conflict(failure: BaseException) -> bool:
    """Whether the failure is a deadlock or a serialisation failure: the same transaction may be tried again."""
    return isinstance(failure, psycopg.Error) and failure.sqlstate in {"40001", "40P01"}


def place_of(dsn: str) -> str:
    """Host, port, database and user of a connection string in words; never its password."""
    given = _parsed(dsn)
    host = given.get("host") or given.get("hostaddr") or ""
    port = given.get("port") or "5432"
    words = f"{host}:{port}" if host and not host.startswith("/") else f"{host or 'the local socket'} (port {port})"
    details = [f"{name} {given[key]}" for key, name in (("dbname", "database"), ("user", "user")) if given.get(key)]
    return f"{words} ({', '.join(details)})" if details else words


def _parsed(dsn: str) -> dict[str, str]:
    try:
        return {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    except psycopg.ProgrammingError:
        mistake = "postgres.dsn: must be postgresql://user@host:port/database or host=... dbname=..., got neither"
        raise BadSettings([mistake]) from None


def _cause(failure: psycopg.Error, given: dict[str, str]) -> str:
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    cause = lines[0] if lines else type(failure).__name__
    for prefix in ("connection failed: ", "connection is bad: "):
        cause = cause.removeprefix(prefix)
    password = given.get("password")
    return cause.replace(password, "***") if password else cause
