"""Least privilege: what each role can and cannot do."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from monitor.errors import Refused
from monitor.postgres import migration, roles
from monitor.postgres.database import Connection, connect
from monitor.postgres.recount import recount
from tests.postgres.traffic import evaluate, ingest

PASSWORD = "pass-word"


@dataclass(frozen=True, slots=True)
class User:
    """A user of the server and how it connects to the test's database."""

    name: str
    dsn: str


@contextmanager
def user(dsn: str, name: str, role: str | None = None) -> Iterator[User]:
    """A user that may log in, a member of the role; gone afterwards."""
    quoted = sql.Identifier(name)
    with connect(dsn, "test") as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(quoted, sql.Literal(PASSWORD)))
        try:
            if role is not None:
                admin.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), quoted))
            yield User(name, make_conninfo(dsn, user=name, password=PASSWORD))
        finally:
            admin.execute(sql.SQL("DROP OWNED BY {}").format(quoted))
            admin.execute(sql.SQL("DROP ROLE {}").format(quoted))


@pytest.fixture
def app(database: str) -> Iterator[Connection]:
    with user(database, "test_app", roles.APP) as member, connect(member.dsn, "test") as connection:
        yield connection


@pytest.fixture
def reader(database: str) -> Iterator[Connection]:
    with user(database, "test_reader", roles.READ) as member, connect(member.dsn, "test") as connection:
        yield connection


def test_the_app_reads_and_writes_rows(app: Connection) -> None:
    app.execute("INSERT INTO segment_set (key, model, segments, signals) VALUES ('k', 'm', '{}', '{}')")
    app.execute("INSERT INTO pair (id, confidence) VALUES (gen_random_uuid(), 0.5)")
    app.execute("UPDATE pair SET label_number = 1")
    app.execute("INSERT INTO statistics_delta (body) VALUES ('')")
    app.execute("DELETE FROM statistics_delta")
    with app.transaction():
        assert app.execute("SELECT floor_at FROM retention_floor FOR SHARE").rowcount == 1
    assert app.execute("SELECT ids FROM installation, alembic_version").fetchone() == ("hashed",)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE stray (id int)",
        "ALTER TABLE pair ADD COLUMN stray int",
        "DROP TABLE reading",
        "TRUNCATE pair",
        "DROP TABLE pair_hash_0",
        "CREATE ROLE stray",
        "UPDATE installation SET clock_rate = 2",
        "UPDATE alembic_version SET version_num = '0'",
    ],
)
def test_the_app_cannot_change_the_schema_the_layout_or_the_clock(app: Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute(statement.encode())


def test_the_app_makes_and_drops_partitions_only_through_the_guarded_functions(time_ordered: Connection) -> None:
    dsn = make_conninfo(time_ordered.info.dsn, password=time_ordered.info.password)
    with user(dsn, "test_app", roles.APP) as member, connect(member.dsn, "test") as app:
        assert app.execute("SELECT caldrift_add_day('2030-01-01')").fetchone() == (True,)
        assert app.execute("SELECT caldrift_add_day('2030-01-01')").fetchone() == (False,)
        with pytest.raises(psycopg.errors.RaiseException, match="retention floor"):
            app.execute("SELECT caldrift_drop_day('2030-01-01')")
        app.execute("UPDATE retention_floor SET floor_at = '2030-01-03 00:00+00'")
        assert app.execute("SELECT caldrift_drop_day('2030-01-01')").fetchone() == (True,)
    with (
        user(dsn, "test_nobody") as member,
        connect(member.dsn, "test") as nobody,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        nobody.execute("SELECT caldrift_add_day('2030-01-01')")


def test_ingest_evaluation_and_recount_need_no_more_than_the_app_role(app: Connection, connection: Connection) -> None:
    ingest(app, random.Random(1), n=50)
    evaluate(app)
    found = recount(app, "confidence")
    assert found.panes > 0
    assert found.differences == ()
    row = connection.execute("SELECT count(*), sum(n) FROM pane_v1").fetchone()
    assert row is not None
    assert row[0] == found.panes


@pytest.mark.parametrize("view", ["series_v1", "reading_v1", "pane_v1", "detector_v1", "alarm_v1"])
def test_a_reader_sees_the_versioned_views(reader: Connection, view: str) -> None:
    assert reader.execute(f"SELECT * FROM {view}".encode()).fetchall() == []


@pytest.mark.parametrize("table", ["pair", "pair_hash_0", "dead_letter", "reading", "kafka_offset", "installation"])
def test_a_reader_sees_nothing_else(reader: Connection, table: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute(f"SELECT * FROM {table}".encode())


def test_the_tables_belong_to_the_migrating_role(connection: Connection) -> None:
    assert roles.owner(connection) == roles.MIGRATE
    rows = connection.execute(
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    ).fetchall()
    assert rows == [(roles.MIGRATE,)]


def test_a_member_of_the_migrating_role_can_migrate(database: str) -> None:
    migration.downgrade(database, "-1")
    with user(database, "test_migrator", roles.MIGRATE) as member:
        migration.upgrade(member.dsn)
    with connect(database, "test") as connection:
        assert connection.execute(
            "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'pane_v1'"
        ).fetchone() == (roles.MIGRATE,)


def test_somebody_else_cannot_migrate_and_is_told_who_can(database: str) -> None:
    migration.downgrade(database, "-1")
    with user(database, "test_app", roles.APP) as member, pytest.raises(Refused, match="only the owner of the tables"):
        migration.upgrade(member.dsn)


def test_without_the_right_to_make_roles_the_schema_is_made_and_the_roles_are_asked_for(empty_database: str) -> None:
    said: list[str] = []
    with renamed_roles(empty_database), user(empty_database, "test_owner") as member:
        with connect(empty_database, "test") as admin:
            admin.execute("GRANT CREATE, USAGE ON SCHEMA public TO test_owner")
        migration.upgrade(member.dsn, say=said.append)
        with connect(empty_database, "test") as admin:
            assert roles.owner(admin) == "test_owner"
            found = roles.findings(admin, "public")
        migration.upgrade(empty_database)
        with connect(empty_database, "test") as admin:
            assert roles.owner(admin) == "test_owner"
            assert roles.findings(admin, "public") == []
            assert migration.upgrade(member.dsn) == "hashed"
            for role in roles.ROLES:
                admin.execute(f"DROP OWNED BY {role}".encode())
                admin.execute(f"DROP ROLE {role}".encode())
    assert len(said) == 1
    assert "test_owner may not create them" in said[0]
    assert "CREATE ROLE caldrift_app NOLOGIN" in said[0]
    assert [line for line in found if "does not exist" in line]


@contextmanager
def renamed_roles(dsn: str) -> Iterator[None]:
    """A server that has none of the roles: they bear other names for a while."""
    with connect(dsn, "test") as admin:
        present = [role for role in roles.ROLES if roles.exists(admin, role)]
        for role in present:
            admin.execute(f"ALTER ROLE {role} RENAME TO away_{role}".encode())
        try:
            yield
        finally:
            for role in present:
                admin.execute(f"ALTER ROLE away_{role} RENAME TO {role}".encode())


def test_a_fresh_upgrade_has_no_findings(connection: Connection) -> None:
    assert roles.findings(connection, "public") == []


def test_findings_name_what_is_missing_and_what_is_too_much(connection: Connection) -> None:
    connection.execute("REVOKE DELETE ON pane FROM caldrift_app")
    connection.execute("REVOKE EXECUTE ON FUNCTION caldrift_add_day FROM caldrift_app")
    connection.execute("GRANT SELECT ON pair TO caldrift_read")
    connection.execute("GRANT CREATE ON SCHEMA public TO caldrift_app")
    found = "\n".join(roles.findings(connection, "public"))
    assert "caldrift_app may not DELETE pane" in found
    assert "caldrift_app may not EXECUTE caldrift_add_day(date)" in found
    assert "caldrift_read may read pair" in found
    assert "caldrift_app may create tables" in found


def test_a_reader_without_a_timeout_is_found_and_enrolling_sets_it(connection: Connection, database: str) -> None:
    with user(database, "test_reader", roles.READ) as member:
        assert "user test_reader reads without a statement_timeout" in "\n".join(roles.findings(connection, "public"))
        roles.enrol(connection, member.name, roles.READ, pytest.fail)
        assert roles.findings(connection, "public") == []
        with psycopg.connect(member.dsn) as session:
            assert session.execute("SHOW statement_timeout").fetchone() == ("30s",)
            assert session.execute("SHOW default_transaction_read_only").fetchone() == ("on",)


def test_enrolling_without_the_right_says_what_to_run(database: str) -> None:
    said: list[str] = []
    with user(database, "test_app") as member, connect(member.dsn, "test") as powerless:
        roles.enrol(powerless, "test_app", roles.APP, said.append)
    assert len(said) == 1
    assert 'GRANT "caldrift_app" TO "test_app"' in said[0]


def test_a_user_that_does_not_exist_is_said_and_nothing_fails(connection: Connection) -> None:
    said: list[str] = []
    roles.enrol(connection, "test_missing", roles.APP, said.append)
    assert "does not exist" in said[0]
