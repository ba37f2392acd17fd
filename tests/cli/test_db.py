"""`caldrift db`, and the recount of `caldrift doctor`, on a real Postgres."""

from pathlib import Path

import pytest

from monitor.postgres.database import connect
from monitor.postgres.migration import head
from tests.cli.commands import Done, Run

AWAY = "postgresql://me:hunter2@127.0.0.1:1/nothing?connect_timeout=2"


@pytest.fixture
def on_database(caldrift: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on the database that is named first."""
    monkeypatch.chdir(tmp_path)

    def run(dsn: str, *args: str) -> Done:
        monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", dsn)
        return caldrift(*args)

    return run


def test_an_empty_database_is_upgraded_checked_and_taken_back(empty_database: str, on_database: Run) -> None:
    before = on_database(empty_database, "db", "check")
    assert before.returncode == 1
    assert "caldrift db upgrade" in before.stdout
    done = on_database(empty_database, "db", "upgrade", "--ids", "time-ordered")
    assert (done.returncode, done.stdout) == (0, f"the database is at revision {head()}, with time-ordered ids\n")
    after = on_database(empty_database, "db", "check")
    assert after.returncode == 0, after.stdout
    assert {line.split()[0] for line in after.stdout.splitlines()} == {"ok"}
    refused = on_database(empty_database, "db", "upgrade", "--ids", "hashed")
    assert refused.returncode == 1
    assert "stores time-ordered ids" in refused.stderr
    careful = on_database(empty_database, "db", "downgrade", "base")
    assert careful.returncode == 1
    assert "--yes" in careful.stderr
    assert on_database(empty_database, "db", "downgrade", "base", "--yes").returncode == 0
    assert on_database(empty_database, "db", "upgrade", "--revision", "0001").returncode == 0
    half = on_database(empty_database, "db", "check")
    assert half.returncode == 1
    assert f"at revision 0001, needs {head()}" in half.stdout


def test_check_lists_everything_that_was_changed_by_hand(database: str, on_database: Run) -> None:
    with connect(database, "test") as connection:
        connection.execute("ALTER TABLE pair DROP COLUMN reference")
        connection.execute("REVOKE SELECT ON pane FROM caldrift_app")
        connection.execute("GRANT SELECT ON pair TO caldrift_read")
    done = on_database(database, "db", "check")
    assert done.returncode == 1
    assert "reference" in done.stdout
    assert "caldrift_app may not SELECT pane" in done.stdout
    assert "caldrift_read may read pair" in done.stdout


def test_upgrade_enrols_the_users_of_the_settings(database: str, on_database: Run) -> None:
    with connect(database, "test") as connection:
        connection.execute("CREATE ROLE test_grafana LOGIN")
        try:
            done = on_database(
                database, "db", "upgrade", "--set", "postgres.read_role=test_grafana",
                "--set", "postgres.app_role=test_nobody_at_all",
            )  # fmt: skip
            member = connection.execute("SELECT pg_has_role('test_grafana', 'caldrift_read', 'USAGE')").fetchone()
        finally:
            connection.execute("DROP ROLE test_grafana")
    assert done.returncode == 0
    assert member == (True,)
    assert "test_nobody_at_all" in done.stderr


@pytest.mark.parametrize("command", [("db", "upgrade"), ("db", "check")])
def test_a_server_that_is_away_is_exit_code_3_and_no_password(command: tuple[str, ...], on_database: Run) -> None:
    done = on_database(AWAY, *command)
    assert done.returncode == 3
    assert "127.0.0.1:1" in done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_doctor_recounts_and_names_the_integer_that_differs(database: str, on_database: Run) -> None:
    assert "recount: 0 pairs against 0 panes" in on_database(database, "doctor", "--recount").stdout
    with connect(database, "test") as connection:
        connection.execute(
            "INSERT INTO series (model, signal, segment, segment_text) VALUES ('m', 'confidence', '{}', '{}')"
        )
        connection.execute(
            "INSERT INTO pane (series, pane_start, width, cells, n_pred, n, sum_c, sum_c2, sum_y, sum_cy,"
            " delay_buckets, delays)"
            " SELECT id, '2026-05-01 00:00+00', 3600, '{7}', '{1}', '{0}', '{0}', '{0}', '{0}', '{0}', '{}', '{}'"
            " FROM series"
        )
    done = on_database(database, "doctor", "--recount")
    assert "1 integers differ" in done.stdout
    assert "pane 2026-05-01T00:00Z (1 h), cell 7, n_pred: the pairs say 0, the panes 1" in done.stdout
