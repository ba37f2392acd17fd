"""Bringing the database to a revision of the schema, and comparing it with the schema that this version needs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Final

import psycopg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.rows import TupleRow
from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.schema import SchemaItem

from monitor.errors import BadSettings, Refused
from monitor.postgres import roles
from monitor.postgres.database import connect
from monitor.postgres.schema import whole_schema
from monitor.postgres.tables import HASHED, LAYOUTS

UPGRADE_LOCK: Final = 0x63616C6472696674
"""Key of the advisory lock under which the schema changes: the bytes of "caldrift"."""

PARTITION_PREFIXES: Final = ("pair_hash_", "pair_day_")


def _silent(_line: str) -> None:
    """Say nothing."""


def upgrade(dsn: str, ids: str | None = None, revision: str = "head", say: Callable[[str], None] = _silent) -> str:
    """Bring the schema up to `revision`, give the roles their privileges, and return the layout of ids that holds.

    `ids` is hashed or time-ordered and fixes the layout of a fresh database (None: hashed). What the user is not
    allowed to do about roles is told through `say`; the schema does not depend on it. Two upgrades at once are safe:
    the second waits, then finds nothing to do. Raises Refused when `ids` differs from the layout that is fixed, or when
    the user may not change the tables; Unavailable when the server does not answer.
    """
    if ids is not None and ids not in LAYOUTS:
        raise BadSettings([f"--ids: must be one of {', '.join(LAYOUTS)}, got {ids}"])
    with _locked(dsn) as connection:
        fixed = layout(connection)
        if ids is not None and fixed is not None and ids != fixed:
            raise Refused(
                f"this database stores {fixed} ids, and the layout is fixed when it is made; for {ids} ids create a "
                "new database and read the topics again"
            )
        chosen = fixed or ids or HASHED
        raw = _raw(connection)
        schema = current_schema(connection)
        roles.create_roles(raw, say)
        roles.become_owner(raw, schema)
        command.upgrade(_config(connection, chosen), revision)
        if layout(connection) is not None:
            roles.grant(raw, schema)
        connection.commit()
    return chosen


def downgrade(dsn: str, revision: str) -> None:
    """Take the schema down to `revision` (`base` removes everything, data included)."""
    with _locked(dsn) as connection:
        command.downgrade(_config(connection, layout(connection) or HASHED), revision)
        connection.commit()


def head() -> str:
    """The revision that this version of caldrift needs."""
    revision = ScriptDirectory.from_config(_config(None, HASHED)).get_current_head()
    assert revision is not None  # noqa: S101 - the package carries its migrations
    return revision


def current(connection: Connection) -> str | None:
    """The revision of the database; None when it holds no schema."""
    return MigrationContext.configure(connection).get_current_revision()


def differences(connection: Connection) -> list[str]:
    """What alembic would change to make the database equal to the metadata; empty when they agree."""
    context = MigrationContext.configure(connection, opts={"include_object": compared, "compare_server_default": True})
    return [repr(change) for change in compare_metadata(context, whole_schema)]


def current_schema(connection: Connection) -> str:
    """The schema that holds the tables, or will: the first of the search path. Raises Refused when there is none."""
    schema: str | None = connection.execute(text("SELECT current_schema()")).scalar()
    if schema is None:
        raise Refused("none of the schemas in the search_path exists; create one, or set search_path in the DSN")
    return schema


def layout(connection: Connection) -> str | None:
    """The layout of ids, once it is fixed."""
    if connection.execute(text("SELECT to_regclass('installation')")).scalar() is None:
        return None
    ids: str | None = connection.execute(text("SELECT ids FROM installation")).scalar()
    return ids


def compared(_item: SchemaItem, name: str | None, kind: str, reflected: bool, _against: SchemaItem | None) -> bool:  # noqa: FBT001 - alembic calls it
    """Whether alembic compares this object: everything but the partitions of `pair`, which come and go."""
    return not (kind == "table" and reflected and name is not None and name.startswith(PARTITION_PREFIXES))


def engine_of(dsn: str) -> Engine:
    """A SQLAlchemy engine that connects as `monitor.postgres.database.connect` does."""

    def creator() -> psycopg.Connection[tuple[object, ...]]:
        connection = connect(dsn, "caldrift db")
        connection.autocommit = False
        return connection

    return create_engine("postgresql+psycopg://", creator=creator, poolclass=NullPool)


@contextmanager
def _locked(dsn: str) -> Iterator[Connection]:
    with engine_of(dsn).connect() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
        try:
            yield connection
        except (ProgrammingError, psycopg.errors.InsufficientPrivilege) as failure:
            cause = failure.orig if isinstance(failure, ProgrammingError) else failure
            if isinstance(cause, psycopg.errors.InsufficientPrivilege):
                reason = cause.diag.message_primary
                raise Refused(f"{reason}: only the owner of the tables may change the schema") from None
            raise


def _config(connection: Connection | None, ids: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("monitor.migrations")))
    config.attributes.update({"connection": connection, "ids": ids})
    return config


def _raw(connection: Connection) -> psycopg.Connection[TupleRow]:
    raw = connection.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        raise TypeError(f"expected a psycopg connection, got {type(raw).__name__}")
    return raw
