"""One leader at a time, and nothing written by one that has been replaced."""

import threading

import pytest

from monitor.postgres.database import Connection, connect
from monitor.postgres.leader import LeadershipLostError, leading, settle, take_lead


def test_only_one_session_leads_and_the_next_one_follows_when_it_ends(database: str) -> None:
    with connect(database, "first") as first, connect(database, "second") as second:
        epoch = take_lead(first)
        assert epoch is not None
        assert take_lead(second) is None
        first.close()
        following = _wait_for_lead(second)
        assert following > epoch


def test_a_leader_that_was_replaced_without_noticing_writes_nothing(database: str) -> None:
    with connect(database, "old") as old, connect(database, "new") as new:
        epoch = take_lead(old)
        assert epoch is not None
        old.execute("SELECT pg_advisory_unlock_all()")  # as when a pooler gave its session to another
        newer = take_lead(new)
        assert newer is not None
        with pytest.raises(LeadershipLostError), leading(old, epoch):
            old.execute("INSERT INTO count (name, n) VALUES ('late', 1)")
        with leading(new, newer):
            new.execute("INSERT INTO count (name, n) VALUES ('timely', 1)")
        assert _names(new) == ["timely"]


def test_a_transaction_under_way_ends_before_another_leader_begins(database: str) -> None:
    with connect(database, "old") as old, connect(database, "new") as new:
        epoch = take_lead(old)
        assert epoch is not None
        found: list[int | None] = []
        with leading(old, epoch):
            old.execute("SELECT pg_advisory_unlock_all()")
            old.execute("INSERT INTO count (name, n) VALUES ('timely', 1)")
            thread = threading.Thread(target=lambda: found.append(take_lead(new)))
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
            assert found == []
        thread.join(10)
        assert found == [epoch + 1]
        assert _names(new) == ["timely"]


def _names(connection: Connection) -> list[str]:
    return [str(name) for (name,) in connection.execute("SELECT name FROM count").fetchall()]


def _wait_for_lead(connection: Connection) -> int:
    for _ in range(100):
        epoch = take_lead(connection)
        if epoch is not None:
            return epoch
        threading.Event().wait(0.05)
    raise AssertionError("no lead within 5 s")


def test_who_asks_what_is_known_waits_for_the_transaction_under_way(database: str) -> None:
    with connect(database, "leader") as leader, connect(database, "reader") as reader:
        epoch = take_lead(leader)
        assert epoch is not None
        found: list[list[str]] = []

        def ask() -> None:
            with reader.transaction():
                settle(reader)
                found.append(_names(reader))

        with leading(leader, epoch):
            leader.execute("INSERT INTO count (name, n) VALUES ('known', 1)")
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
        thread.join(10)
        assert found == [["known"]]
