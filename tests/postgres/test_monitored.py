"""What rules about the monitor itself look at, and that it goes up and down when it should."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from monitor.postgres import monitored, outbox
from monitor.postgres.database import Connection, connect
from monitor.postgres.heartbeats import Process, beat
from monitor.postgres.offsets import ADVANCE, Advance, Reader, advance_parameters, begin, note_high_waters
from tests.postgres.queueing import queue, story

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
READER = Reader("caldrift", "cluster")
PART = ("predictions", 0)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, "test") as connected:
        yield connected


def now(connection: Connection) -> datetime:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    at: datetime = row[0]
    return at


def nearly(found: timedelta | None, expected: timedelta) -> bool:
    return found is not None and abs(found - expected) < MINUTE


def advance(connection: Connection, advances: list[Advance], at: datetime) -> None:
    assert connection.execute(ADVANCE, advance_parameters(READER, advances, at)).rowcount == len(advances)


def test_labels_are_stale_while_predictions_come_without_them(connection: Connection) -> None:
    at = now(connection)
    monitored.note_arrivals(connection, {"m", "mute", "retired"}, {"m", "retired"}, at - 5 * HOUR)
    connection.execute(
        "INSERT INTO series (model, signal, segment, segment_text, created_at)"
        " SELECT m, 'confidence', '{}', '{}', %s FROM unnest(%s::text[]) AS m",
        (at - 7 * HOUR, ["m", "mute", "retired"]),
    )
    monitored.note_arrivals(connection, {"m", "mute"}, set(), at - 1 * HOUR)
    found = monitored.labels_stale(connection)
    assert sorted(found) == ["m", "mute", "retired"]
    assert nearly(found["m"], 4 * HOUR)
    assert nearly(found["mute"], 6 * HOUR), "no label ever came: since the first prediction"
    assert found["retired"] == timedelta(0)
    monitored.note_arrivals(connection, set(), {"m"}, at)
    assert monitored.labels_stale(connection)["m"] == timedelta(0)


def test_the_intake_stands_still_from_when_messages_wait_until_one_is_applied(connection: Connection) -> None:
    at = now(connection)
    begin(connection, READER, {PART: 0}, {PART: 0})
    assert monitored.intake_stopped(connection) == timedelta(0)
    note_high_waters(connection, READER, {PART: 10}, at - 3 * HOUR)
    note_high_waters(connection, READER, {PART: 20}, at - 1 * HOUR)
    assert nearly(monitored.intake_stopped(connection), 3 * HOUR), "further messages do not make it better"
    assert monitored.consumer_lag(connection) == 20
    advance(connection, [Advance(*PART, 0, 15, 20)], at - 1 * HOUR)
    assert nearly(monitored.intake_stopped(connection), 1 * HOUR), "it moved"
    assert monitored.consumer_lag(connection) == 5
    advance(connection, [Advance(*PART, 15, 20, 20)], at - 1 * HOUR)
    assert (monitored.intake_stopped(connection), monitored.consumer_lag(connection)) == (timedelta(0), 0)


def test_an_intake_that_is_not_heard_of_stands_still(connection: Connection) -> None:
    for pid in (1, 2):
        beat(connection, Process("ingest", pid, "host"), {})
    connection.execute("UPDATE role SET beat_at = now() - interval '2 h' WHERE pid = 1")
    assert monitored.intake_stopped(connection) == timedelta(0), "another process still reads"
    connection.execute("UPDATE role SET beat_at = now() - interval '1 h' WHERE pid = 2")
    assert nearly(monitored.intake_stopped(connection), HOUR)


def test_durations_are_of_the_services_clock(connection: Connection) -> None:
    connection.execute(
        "UPDATE installation SET clock_rate = 60, clock_started_at = now() - interval '1 h',"
        " clock_epoch_at = '2020-01-01T00:00Z'"
    )
    clock = datetime(2020, 1, 1, tzinfo=UTC) + 60 * HOUR
    beat(connection, Process("ingest", 1, "host"), {})
    connection.execute("UPDATE role SET beat_at = now() - interval '2 min'")
    assert abs(monitored.intake_stopped(connection) - 2 * HOUR) < 30 * MINUTE
    connection.execute("UPDATE evaluation SET evaluated_at = %s", (clock - 5 * HOUR,))
    age = monitored.evaluation_age(connection)
    assert age is not None
    assert abs(age - 5 * HOUR) < 60 * MINUTE


def test_a_lag_that_was_never_seen_and_an_evaluation_that_never_was_are_unknown(connection: Connection) -> None:
    assert monitored.consumer_lag(connection) is None
    assert monitored.evaluation_age(connection) is None


def test_dead_letters_count_for_a_day(connection: Connection) -> None:
    for age in (HOUR, 23 * HOUR, 25 * HOUR):
        connection.execute(
            "INSERT INTO dead_letter (topic, part, kafka_offset, reason, message, received_at)"
            " VALUES ('predictions', 0, %s, 'schema', 'bad', %s)",
            (int(age / HOUR), now(connection) - age),
        )
    assert monitored.dead_letters_of_a_day(connection) == 2


def test_the_outbox_is_stuck_from_when_a_notice_is_due_until_it_is_told(connection: Connection) -> None:
    assert monitored.outbox_stuck(connection) == timedelta(0)
    queue(connection, story("fired"), "slack", after=HOUR)
    assert monitored.outbox_stuck(connection) == timedelta(0), "what waits for others is not stuck"
    connection.execute("UPDATE notice SET queued_at = queued_at - interval '3 h'")
    connection.execute("UPDATE delivery SET due_at = due_at - interval '3 h'")
    assert nearly(monitored.outbox_stuck(connection), 2 * HOUR)
    batch = outbox.lease(connection, "slack", MINUTE)
    assert batch is not None
    outbox.put_off(connection, batch, 5 * MINUTE, None, "HTTP 503")
    assert nearly(monitored.outbox_stuck(connection), 3 * HOUR), "that it is tried again makes it no younger"
    connection.execute("UPDATE delivery SET state = 'told'")
    assert monitored.outbox_stuck(connection) == timedelta(0)
