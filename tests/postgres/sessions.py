"""A second session on the database of a test."""

from psycopg.conninfo import make_conninfo

from monitor.postgres.database import Connection, connect


def dsn_of(connection: Connection) -> str:
    """The DSN of a connection, password included."""
    return make_conninfo(connection.info.dsn, password=connection.info.password)


def another(connection: Connection) -> Connection:
    """One more connection to the same database as the same user."""
    return connect(dsn_of(connection), "other session")
