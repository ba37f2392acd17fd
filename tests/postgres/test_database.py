"""Connections: what they are set to, and what their failures say."""

import time

import psycopg
import pytest

from monitor.errors import BadSettings, Refused, Unavailable
from monitor.postgres.database import (
    Connection,
    Database,
    answering,
    connect,
    connect_waiting,
    is_conflict,
    is_lost,
    place_of,
)

NOBODY = "postgresql://someone:s3cret-word@127.0.0.1:1/nothing?connect_timeout=2"


def show(connection: Connection, setting: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", (setting,)).fetchone()
    assert row is not None
    return str(row[0])


def test_a_session_is_in_utc_at_read_committed_and_bears_its_name(postgres: str) -> None:
    with connect(postgres, "caldrift ingest", statement_timeout_seconds=1.5) as connection:
        assert connection.autocommit
        assert show(connection, "TimeZone") == "UTC"
        assert show(connection, "application_name") == "caldrift ingest"
        assert show(connection, "statement_timeout") == "1500ms"
        with connection.transaction():
            connection.execute("SET default_transaction_isolation = 'serializable'")
        with connection.transaction():
            assert show(connection, "transaction_isolation") == "read committed"


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(Unavailable) as caught:
        connect(NOBODY, "test")
    text = str(caught.value)
    assert "127.0.0.1:1" in text
    assert "database nothing" in text
    assert "user someone" in text
    assert "refused" in text.lower()
    assert "s3cret-word" not in text
    assert caught.value.__cause__ is None


def test_a_wrong_password_is_not_repeated(postgres: str) -> None:
    password = psycopg.conninfo.conninfo_to_dict(postgres)["password"]
    wrong = postgres.replace(str(password), "s3cret-word")
    with pytest.raises(Unavailable) as caught:
        connect(wrong, "test")
    assert "password authentication failed" in str(caught.value)
    assert "s3cret-word" not in str(caught.value)


def test_a_dsn_that_is_none_is_a_bad_setting_and_is_not_repeated() -> None:
    with pytest.raises(BadSettings) as caught:
        connect("host s3cret-word", "test")
    assert "postgres.dsn" in str(caught.value)
    assert "s3cret-word" not in str(caught.value)


def test_a_database_does_not_show_its_password() -> None:
    assert "s3cret-word" not in repr(Database(NOBODY))
    assert Database(NOBODY).place == "127.0.0.1:1 (database nothing, user someone)"


def test_a_socket_folder_is_a_place_too() -> None:
    assert place_of("host=/var/run/pg port=5433 dbname=d") == "/var/run/pg (port 5433) (database d)"
    assert place_of("dbname=d") == "the local socket (port 5432) (database d)"


def test_waiting_says_why_and_pauses_longer_each_time_until_the_server_answers(postgres: str) -> None:
    pauses: list[float] = []
    said: list[str] = []
    with pytest.raises(Unavailable):
        connect_waiting(NOBODY, "test", sleep=pauses.append, say=said.append, stopped=lambda: len(pauses) >= 7)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert len(said) == 7
    assert "next try in 0.5 s" in said[0]
    with connect_waiting(postgres, "test", sleep=pauses.append, say=said.append) as connection:
        assert show(connection, "application_name") == "test"
    assert len(pauses) == 7


def test_a_connection_that_is_cut_is_lost_and_becomes_unavailable(postgres: str) -> None:
    with connect(postgres, "test") as connection, connect(postgres, "test") as other:
        other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
        with pytest.raises(Unavailable, match="hung up"), answering(postgres):
            connection.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError) as again:
            connection.execute("SELECT 1")
        assert is_lost(again.value)


def test_other_failures_pass_unchanged(plain: Connection, postgres: str) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero) as caught, answering(postgres):
        plain.execute("SELECT 1/0")
    assert not is_lost(caught.value)
    assert not is_conflict(caught.value)


@pytest.mark.parametrize("failure", [psycopg.errors.DeadlockDetected(), psycopg.errors.SerializationFailure()])
def test_deadlocks_and_serialisation_failures_may_be_tried_again(failure: psycopg.Error) -> None:
    assert is_conflict(failure)
    assert not is_lost(failure)


def test_a_database_without_the_schema_says_how_to_get_it(empty_database: str) -> None:
    with (
        pytest.raises(Refused, match=r"is not this version's .* run `caldrift db upgrade`"),
        connect(empty_database, "test") as connection,
        answering(empty_database),
    ):
        connection.execute("SELECT * FROM pane")


def test_a_session_that_idled_too_long_in_a_transaction_is_lost(postgres: str) -> None:
    connection = connect(postgres, "test")
    connection.execute("SET idle_in_transaction_session_timeout = '50ms'")
    connection.execute("BEGIN")
    time.sleep(0.5)
    with pytest.raises(psycopg.Error) as caught:
        connection.execute("SELECT 1")
    assert is_lost(caught.value)
