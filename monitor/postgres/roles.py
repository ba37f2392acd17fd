"""Least privilege: three group roles without login, to which an administrator adds the users that connect.

`caldrift_migrate` owns the tables and changes them; `caldrift_app` reads and writes rows and can change no table;
`caldrift_read` sees the versioned views only. Roles belong to the whole server: databases of one server share them.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

import psycopg
from psycopg import sql

from monitor.postgres.database import Connection
from monitor.postgres.schema import whole_schema

MIGRATE: Final = "caldrift_migrate"
APP: Final = "caldrift_app"
READ: Final = "caldrift_read"
ROLES: Final = (MIGRATE, APP, READ)

READ_TIMEOUT: Final = "30s"
READ_SETTINGS: Final = {"statement_timeout": READ_TIMEOUT, "default_transaction_read_only": "on"}

READ_ONLY_TABLES: Final = frozenset({"installation"})
"""What the app reads but never writes: the layout and the clock are set by whoever owns the tables."""

FUNCTIONS: Final = ("caldrift_add_day(date)", "caldrift_drop_day(date)")
VIEW: Final = re.compile(r"_v\d+$")

BY_HAND: Final = "; ".join(f"CREATE ROLE {role} NOLOGIN" for role in ROLES)


def create_roles(connection: Connection, say: Callable[[str], None]) -> None:
    """Create the roles that are missing, where the user may; otherwise say what an administrator has to run."""
    missing = [role for role in ROLES if not exists(connection, role)]
    for role in missing:
        try:
            with connection.transaction():
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            continue
        except psycopg.errors.InsufficientPrivilege:
            say(
                f"the roles {', '.join(missing)} do not exist and {current_user(connection)} may not create them; to "
                f"separate privileges let an administrator run: {BY_HAND}; then run `caldrift db upgrade` again"
            )
            return


def become_owner(connection: Connection, schema: str) -> None:
    """Act as the owner of the tables for the rest of the transaction.

    That is `caldrift_migrate`, where the user may act as it and it may create in `schema`, unless the tables already
    belong to somebody else: the owner stays the owner.
    """
    if not exists(connection, MIGRATE) or owner(connection) not in {None, MIGRATE}:
        return
    place = sql.Identifier(schema)
    connection.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {}").format(place, sql.Identifier(MIGRATE)))
    may_create = _one(connection, "SELECT has_schema_privilege(%s, %s, 'CREATE')", MIGRATE, schema)
    may_become = _one(connection, f"SELECT pg_has_role(%s, '{_set_option(connection)}')", MIGRATE)
    if may_create and may_become:
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(MIGRATE)))


def grant(connection: Connection, schema: str) -> None:
    """Give the roles that exist exactly their privileges on what the schema holds now."""
    place = sql.Identifier(schema)
    connection.execute(sql.SQL("REVOKE CREATE ON SCHEMA {} FROM PUBLIC").format(place))
    if exists(connection, APP):
        app = sql.Identifier(APP)
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(place, app))
        for table in [*tables(connection, schema), "alembic_version", *views(connection, schema)]:
            rights = "SELECT, INSERT, UPDATE, DELETE" if _written(table) else "SELECT"
            statement = sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(rights), sql.Identifier(schema, table), app)
            connection.execute(statement)
        for function in FUNCTIONS:
            statement = sql.SQL("GRANT EXECUTE ON FUNCTION {}.{} TO {}").format(place, sql.SQL(function), app)
            connection.execute(statement)
    if exists(connection, READ):
        read = sql.Identifier(READ)
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(place, read))
        for view in views(connection, schema):
            statement = sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(schema, view), read)
            connection.execute(statement)


def enrol(connection: Connection, user: str, role: str, say: Callable[[str], None]) -> None:
    """Make `user` a member of one of the roles; a reader also gets its timeout. Says what could not be done."""
    database = str(_one(connection, "SELECT current_database()"))
    statements = [sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(user))]
    if role == READ:
        statements += [
            sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}").format(
                sql.Identifier(user), sql.Identifier(database), sql.Identifier(name), sql.Literal(value)
            )
            for name, value in READ_SETTINGS.items()
        ]
    for statement in statements:
        try:
            with connection.transaction():
                connection.execute(statement)
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedObject) as failure:
            done = statement.as_string(connection)
            say(f"not done, because {failure.diag.message_primary}; let an administrator run: {done}")


def findings(connection: Connection, schema: str) -> list[str]:
    """What is not as `grant` leaves it, one sentence each."""
    missing = [role for role in ROLES if not exists(connection, role)]
    found = [f"role {role} does not exist; run `caldrift db upgrade` as an administrator" for role in missing]
    if APP not in missing:
        found += [f"{APP} may not {what}; run `caldrift db upgrade`" for what in _lacking(connection, schema)]
        if _one(connection, "SELECT has_schema_privilege(%s, %s, 'CREATE')", APP, schema):
            found.append(f"{APP} may create tables; run: REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {APP}")
    if READ not in missing:
        found += [f"{READ} may read {table}, beyond the versioned views" for table in _exposed(connection, schema)]
        found += [
            f"user {user} reads without a statement_timeout; run: ALTER ROLE {user} SET statement_timeout = "
            f"'{READ_TIMEOUT}'"
            for user in _untimed_readers(connection)
        ]
    return found


def exists(connection: Connection, role: str) -> bool:
    """Whether the server has the role."""
    return bool(_one(connection, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", role))


def owner(connection: Connection) -> str | None:
    """Who owns the tables; None before the first upgrade."""
    query = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass('alembic_version')"
    found = _one(connection, query)
    return None if found is None else str(found)


def current_user(connection: Connection) -> str:
    """The user that acts now."""
    return str(_one(connection, "SELECT current_user"))


def tables(connection: Connection, schema: str) -> list[str]:
    """The tables of the metadata that the schema has."""
    return [name for name in _relations(connection, schema, ["r", "p"]) if name in whole_schema.tables]


def views(connection: Connection, schema: str) -> list[str]:
    """The versioned views that the schema has."""
    return [name for name in _relations(connection, schema, ["v"]) if VIEW.search(name)]


def _written(table: str) -> bool:
    return table in whole_schema.tables and table not in READ_ONLY_TABLES


def _relations(connection: Connection, schema: str, kinds: Sequence[str]) -> list[str]:
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = ANY (%s) ORDER BY relname",
        (f'"{schema}"', list(kinds)),
    )
    return [str(row[0]) for row in rows]


def _lacking(connection: Connection, schema: str) -> list[str]:
    missing = [
        f"{right} {table}"
        for table in tables(connection, schema)
        for right in (("SELECT", "INSERT", "UPDATE", "DELETE") if _written(table) else ("SELECT",))
        if not _one(connection, "SELECT has_table_privilege(%s, %s, %s)", APP, f'"{schema}"."{table}"', right)
    ]
    return missing + [
        f"EXECUTE {function}"
        for function in FUNCTIONS
        if not _one(connection, "SELECT has_function_privilege(%s, %s, 'EXECUTE')", APP, f'"{schema}".{function}')
    ]


def _exposed(connection: Connection, schema: str) -> list[str]:
    return [
        table
        for table in _relations(connection, schema, ["r", "p", "v"])
        if not VIEW.search(table)
        and _one(connection, "SELECT has_table_privilege(%s, %s, 'SELECT')", READ, f'"{schema}"."{table}"')
    ]


def _untimed_readers(connection: Connection) -> list[str]:
    rows = connection.execute(
        """
        SELECT rolname FROM pg_roles AS r
        WHERE rolcanlogin AND NOT rolsuper AND pg_has_role(r.oid, %(read)s, 'USAGE')
        AND NOT EXISTS (
            SELECT FROM pg_db_role_setting AS s, unnest(s.setconfig) AS c
            WHERE s.setrole IN (r.oid, 0) AND c LIKE 'statement_timeout=%%'
            AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())))
        ORDER BY rolname
        """,
        {"read": READ},
    )
    return [str(row[0]) for row in rows]


def _set_option(connection: Connection) -> str:
    return "SET" if connection.info.server_version >= 160_000 else "MEMBER"


def _one(connection: Connection, query: str, *values: object) -> object:
    row = connection.execute(query.encode(), values).fetchone()
    return None if row is None else row[0]
