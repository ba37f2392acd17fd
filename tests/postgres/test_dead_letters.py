"""Dead letters: stored once, kept as they came, listed, counted and taken out."""

from datetime import UTC, datetime

import pytest

from monitor.postgres import dead_letters
from monitor.postgres.database import Connection
from monitor.postgres.dead_letters import DeadLetter, StoredDeadLetter

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def letter(kafka_offset: int, reason: str = "undecodable", topic: str = "labels", message: str = "m") -> DeadLetter:
    return DeadLetter(topic, 1, kafka_offset, reason, message, b"\0key", b"\xff\0 not utf-8", NOW)


def offsets(stored: list[StoredDeadLetter]) -> list[int]:
    return [each.letter.kafka_offset for each in stored]


def test_letters_come_back_as_they_were_put_in(connection: Connection) -> None:
    letters = [
        letter(2),
        letter(5, "schema", "predictions"),
        DeadLetter("labels", 0, 1, "expired", "é", None, None, NOW),
    ]
    assert dead_letters.insert(connection, letters) == 3
    assert [stored.letter for stored in dead_letters.read(connection)] == letters


def test_a_message_that_is_read_twice_is_one_letter(connection: Connection) -> None:
    assert dead_letters.insert(connection, [letter(1), letter(2)]) == 2
    assert dead_letters.insert(connection, [letter(2, "schema"), letter(3)]) == 1
    assert [stored.letter.kafka_offset for stored in dead_letters.read(connection)] == [1, 2, 3]
    assert dead_letters.counts(connection) == {"undecodable": 3}


def test_another_cluster_begins_its_offsets_anew_and_no_letter_is_lost(connection: Connection) -> None:
    for cluster in ("one", "two"):
        connection.execute("DELETE FROM kafka_offset")
        connection.execute(
            "INSERT INTO kafka_offset (group_id, topic, part, next_offset, cluster_id)"
            " VALUES ('g', 'labels', 1, 0, %s)",
            (cluster,),
        )
        assert dead_letters.insert(connection, [letter(1)]) == 1
        assert dead_letters.insert(connection, [letter(1)]) == 0
    assert dead_letters.counts(connection) == {"undecodable": 2}


def test_no_letters_are_no_statement(connection: Connection) -> None:
    assert dead_letters.insert(connection, []) == 0


@pytest.mark.parametrize("message", ["a\0b", "a\ud800b", "x" * 100_000])
def test_a_message_that_postgres_cannot_hold_is_made_storable(connection: Connection, message: str) -> None:
    assert dead_letters.insert(connection, [letter(1, message=message)]) == 1
    stored = dead_letters.read(connection)[0].letter.message
    assert stored[0] == message[0]
    assert len(stored) <= dead_letters.MESSAGE_LENGTH


def test_letters_are_listed_by_reason_topic_and_page(connection: Connection) -> None:
    dead_letters.insert(connection, [letter(n, "schema" if n % 2 else "expired") for n in range(6)])
    dead_letters.insert(connection, [letter(9, "schema", "predictions")])

    by_reason = dead_letters.read(connection, reason="schema")
    by_both = dead_letters.read(connection, reason="schema", topic="labels")
    newest = dead_letters.read(connection, limit=2, newest_first=True)
    page = dead_letters.read(connection, limit=3)
    rest = dead_letters.read(connection, after=page[-1].id)
    assert offsets(by_reason) == [1, 3, 5, 9]
    assert offsets(by_both) == [1, 3, 5]
    assert offsets(newest) == [9, 5]
    assert offsets(page) + offsets(rest) == [0, 1, 2, 3, 4, 5, 9]
    assert dead_letters.counts(connection) == {"expired": 3, "schema": 4}


def test_replayed_letters_are_taken_out(connection: Connection) -> None:
    dead_letters.insert(connection, [letter(n) for n in range(4)])
    ids = [stored.id for stored in dead_letters.read(connection)]
    assert dead_letters.delete(connection, ids[:3]) == 3
    assert dead_letters.delete(connection, ids[:3]) == 0
    assert [stored.id for stored in dead_letters.read(connection)] == ids[3:]
