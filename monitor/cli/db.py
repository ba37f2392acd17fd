"""`caldrift db upgrade`, `db downgrade`, `db check`: the schema, its roles, and the server it lies on."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from monitor.cli import context, findings
from monitor.cli.findings import Finding, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.postgres.database import Connection

NO_ANSWER: Final = "start it, or mend postgres.dsn (CALDRIFT_POSTGRES__DSN)"


class Ids(StrEnum):
    """How the ids of predictions are made, which decides how the pairs are laid out."""

    hashed = "hashed"
    time_ordered = "time-ordered"


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="The database: its schema and its roles.", no_args_is_help=True)
    group.command("upgrade")(upgrade)
    group.command("downgrade")(downgrade)
    group.command("check")(check)
    app.add_typer(group, name="db")


def upgrade(
    ids: Annotated[
        Ids | None,
        typer.Option("--ids", help="Layout of a new database: time-ordered only where every id is a UUIDv7 or ULID."),
    ] = None,
    revision: Annotated[str, typer.Option("--revision", help="Where to stop.")] = "head",
) -> None:
    """Create or upgrade the tables, and grant the roles. May be run again at any time."""
    from monitor.postgres import migration, roles
    from monitor.postgres.database import connect

    section = context.settings().postgres
    layout = migration.upgrade(section.dsn, None if ids is None else ids.value, revision, say=_say)
    with connect(section.dsn, "caldrift db") as connection:
        for user, role in ((section.app_role, roles.APP), (section.read_role, roles.READ)):
            if user is not None:
                roles.enrol(connection, user, role, _say)
    print(f"the database is at revision {_current(section.dsn)}, with {layout} ids")


def downgrade(
    revision: Annotated[str, typer.Argument(help="A revision, -1 for one step back, or base for no tables at all.")],
    yes: Annotated[bool, typer.Option("--yes", help="Really: what the later revisions hold is lost.")] = False,
) -> None:
    """Take the schema back to an earlier revision. Tables and columns that it did not have are dropped."""
    from monitor.errors import Refused
    from monitor.postgres import migration
    from monitor.postgres.database import place_of

    dsn = context.settings().postgres.dsn
    if not yes:
        raise Refused(f"this drops tables or columns of {place_of(dsn)}, with what they hold; repeat it with --yes")
    migration.downgrade(dsn, revision)
    print(f"the database is at revision {_current(dsn) or 'none'}")


def check() -> None:
    """Check the schema, the grants and the server. Exit code 1 with a list of what is wrong, 3 when it is away."""
    from monitor.errors import Unavailable
    from monitor.postgres.database import answering, connect

    dsn = context.settings().postgres.dsn
    try:
        with answering(dsn), connect(dsn, "caldrift db") as connection:
            found = [*_server(connection), *_schema(dsn, connection)]
    except Unavailable as failure:
        found = [Finding("postgres", State.AWAY, str(failure), NO_ANSWER)]
    print("\n".join(finding.line for finding in found))
    raise typer.Exit(findings.exit_status(found))


def _server(connection: "Connection") -> "Iterator[Finding]":
    from monitor.postgres import health

    yield findings.postgres_version(connection.info.server_version)
    yield findings.isolation(health.default_isolation(connection))


def _schema(dsn: str, connection: "Connection") -> "Iterator[Finding]":
    """Revision, differences from the metadata, roles and grants."""
    from monitor.postgres import migration, roles

    with migration.engine_of(dsn).connect() as other:
        current, head = migration.current(other), migration.head()
        yield findings.schema(current, head)
        if current is None:
            return
        changes = migration.differences(other) if current == head else []
        schema = migration.current_schema(other)
    if current == head:
        mend = "undo what was changed by hand, or restore a backup"
        equal = Finding("tables", State.OK, "as this version made them")
        yield from [Finding("tables", State.FAIL, change, mend) for change in changes] or [equal]
    missing = [role for role in roles.ROLES if not roles.exists(connection, role)]
    yield findings.database_roles(missing)
    if not missing:
        wrong = roles.findings(connection, schema)
        yield from [Finding("grants", State.FAIL, said) for said in wrong] or [Finding("grants", State.OK, "least")]


def _current(dsn: str) -> str | None:
    from monitor.postgres import migration

    with migration.engine_of(dsn).connect() as connection:
        return migration.current(connection)


def _say(line: str) -> None:
    print(f"caldrift: {line}", file=sys.stderr)
