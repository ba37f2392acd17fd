"""The intake on a real broker and a real Postgres: what it does when something changes under it."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
import pytest

from monitor.cli.ingest import ingest_plan
from monitor.config.loading import load_settings
from monitor.demo.ports import free_port
from monitor.errors import Refused
from monitor.kafka.access import KafkaAccess
from monitor.kafka.consumer import Intake, Polled
from monitor.kafka.publisher import Publisher
from monitor.kafka.records import UnreadableBatch
from monitor.kafka.topics import create_topics
from monitor.postgres import offsets
from monitor.postgres.database import Connection, connect
from monitor.workers.ingest import Ingest
from tests.embedded import Topics
from tests.workers.feeding import NOW_US, total
from tests.workers.forwarding import Forwarder

BODY = {"model": "m", "predicted_at": NOW_US // 1000, "confidence": 0.9, "segments": {"lang": "de"}}


class Running:
    """An intake in a thread of this process."""

    def __init__(self, ingest: Ingest, stop: threading.Event) -> None:
        self.failure: BaseException | None = None
        self._stop = stop
        self._ingest = ingest
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._ingest.run()
        except BaseException as failure:  # noqa: BLE001 - the test looks at it
            self.failure = failure

    def ends(self, seconds: float = 60) -> BaseException:
        """The failure that it ends with by itself."""
        self._thread.join(seconds)
        self._stop.set()
        assert self.failure is not None
        return self.failure

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, "test") as connected:
        yield connected


@pytest.fixture
def access(broker: str) -> KafkaAccess:
    return KafkaAccess((broker,))


@pytest.fixture
def group() -> str:
    """A group of the test's own."""
    return f"group-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def start(broker: str, topics: Topics, database: str, group: str) -> Callable[..., Running]:
    """Starts an intake; further settings by dotted key."""

    def starts(threads: int = 2, **more: object) -> Running:
        overrides: dict[str, object] = {
            "kafka.bootstrap_servers": [broker],
            "kafka.predictions_topic": topics.predictions,
            "kafka.labels_topic": topics.labels,
            "kafka.group_id": group,
            "kafka.session_timeout": "6s",
            "kafka.heartbeat_interval": "500ms",
            "ingest.batch_size": 50,
            "postgres.dsn": database,
        }
        overrides |= {name.replace("__", "."): value for name, value in more.items()}
        stop = threading.Event()
        return Running(Ingest(ingest_plan(load_settings(None, {}, overrides), threads), stop), stop)

    return starts


@contextmanager
def stopping(running: Running) -> Iterator[Running]:
    try:
        yield running
    finally:
        running.stop()


def publish(access: KafkaAccess, topics: Topics, names: Sequence[str], labels: bool = True) -> None:
    """A prediction and a label for each name."""
    with Publisher(access) as publisher:
        for name in names:
            part = hash(name) % 4
            publisher.send(
                topics.predictions, name.encode(), json.dumps({"prediction_id": name, **BODY}).encode(), part
            )
            label = {"prediction_id": name, "labelled_at": NOW_US // 1000 + 5, "correct": True}
            if labels:
                publisher.send(topics.labels, name.encode(), json.dumps(label).encode(), part)
        publisher.flush()


def names(n: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(n)]


def read_messages(connection: Connection) -> int:
    try:
        return sum(each.next_offset for each in offsets.read_offsets(connection))
    except psycopg.Error:
        return -1


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def joined(connection: Connection) -> tuple[int, int]:
    """Predictions and labels in the statistics."""
    delta = total(connection)
    return int(delta.sums[0].sum()), int(delta.sums[1].sum())


def test_one_that_ends_in_order_says_when(
    start: Callable[..., Running], access: KafkaAccess, topics: Topics, connection: Connection
) -> None:
    publish(access, topics, names(20))
    with stopping(start()):
        wait_for(lambda: read_messages(connection) == 40)
        assert connection.execute("SELECT count(*) FROM kafka_offset WHERE left_at IS NOT NULL").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM role").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM kafka_offset WHERE now() - left_at < '1 min'").fetchone() == (8,)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_published_is_joined_and_its_lag_and_life_are_told(
    start: Callable[..., Running], access: KafkaAccess, topics: Topics, connection: Connection, threads: int
) -> None:
    publish(access, topics, names(300))
    with stopping(start(threads)):
        wait_for(lambda: read_messages(connection) == 600)
        assert joined(connection) == (300, 300)
        publish(access, topics, names(10))
        wait_for(lambda: read_messages(connection) == 620)
        assert joined(connection) == (310, 310)
        assert {each.lag for each in offsets.read_offsets(connection)} == {0}
        row = connection.execute("SELECT name, detail->>'messages' FROM role").fetchone()
        assert row is not None
        assert row[0] == "ingest"
    assert connection.execute("SELECT count(*) FROM role").fetchone() == (0,)


def test_two_share_the_partitions_and_count_nothing_twice(
    start: Callable[..., Running], access: KafkaAccess, topics: Topics, connection: Connection
) -> None:
    publish(access, topics, names(200))
    with stopping(start()):
        wait_for(lambda: read_messages(connection) == 400)
        second = start(kafka__client_id="second")
        for _ in range(8):
            publish(access, topics, names(50))
            time.sleep(0.5)
        wait_for(lambda: read_messages(connection) == 1200)
        second.stop()
        publish(access, topics, names(50))
        wait_for(lambda: read_messages(connection) == 1300)
    assert joined(connection) == (650, 650)


def test_a_flood_of_bad_messages_stops_it_at_the_same_message_however_often_it_is_started(
    start: Callable[..., Running], access: KafkaAccess, topics: Topics, connection: Connection, group: str
) -> None:
    publish(access, topics, names(100))
    with Publisher(access) as publisher:
        for _ in range(200):
            publisher.send(topics.labels, b"k", b"not json", 1)
        publisher.flush()
    for _ in range(2):
        failure = start(ingest__dead_letter_run=60).ends()
        assert isinstance(failure, Refused)
        assert "too many bad messages" in str(failure)
        assert f"{topics.labels}/1" in str(failure)
        row = connection.execute("SELECT count(*), count(DISTINCT reason) FROM dead_letter").fetchone()
        assert row == (59, 1)
    skipped = offsets.load(connection, offsets.Reader(group, _cluster(connection)), [(topics.labels, 1)])
    offsets.reset(connection, group, topics.labels, 1, skipped[topics.labels, 1] + 141)
    with stopping(start(ingest__dead_letter_run=60)):
        wait_for(lambda: read_messages(connection) == 400)
    assert joined(connection) == (100, 100)


def _cluster(connection: Connection) -> str:
    return offsets.read_offsets(connection)[0].cluster_id


def test_bad_messages_among_good_ones_lose_no_good_one(
    start: Callable[..., Running], access: KafkaAccess, topics: Topics, connection: Connection
) -> None:
    wrong = [b"{", b"", b"\xff", b"[]", b'{"prediction_id": 5}', b'{"prediction_id": "a", "confidence": "high"}']
    with Publisher(access) as publisher:
        for body in [*wrong, None]:
            publisher.send(topics.predictions, b"k", body, 2)
        publisher.flush()
    publish(access, topics, names(50))
    with stopping(start()):
        wait_for(lambda: read_messages(connection) == 107)
    assert joined(connection) == (50, 50)
    rows = connection.execute("SELECT value FROM dead_letter ORDER BY kafka_offset").fetchall()
    assert [row[0] for row in rows] == [*wrong, None]


def test_a_stored_offset_that_the_topic_does_not_have_is_refused_with_the_way_on(
    start: Callable[..., Running], access: KafkaAccess, topics: Topics, connection: Connection
) -> None:
    publish(access, topics, names(50))
    with stopping(start()):
        wait_for(lambda: read_messages(connection) == 100)
    connection.execute("UPDATE kafka_offset SET next_offset = 5000 WHERE topic = %s AND part = 1", (topics.labels,))
    failure = start().ends()
    assert isinstance(failure, Refused)
    assert f"`caldrift offsets reset --topic {topics.labels} --partition 1 --to 0`" in str(failure)


def test_the_offsets_of_another_cluster_are_refused(
    start: Callable[..., Running], access: KafkaAccess, topics: Topics, connection: Connection, group: str
) -> None:
    reader = offsets.Reader(group, "somewhere else")
    offsets.begin(connection, reader, {(topics.labels, 0): 0}, {(topics.labels, 0): 0})
    failure = start().ends()
    assert isinstance(failure, Refused)
    assert "somewhere else" in str(failure)


def test_offsets_moved_under_it_are_followed(
    start: Callable[..., Running], access: KafkaAccess, topics: Topics, connection: Connection
) -> None:
    """Another owner of a partition, or an operator: the fence is lost, and it reads on from what is stored."""
    publish(access, topics, names(100))
    with stopping(start()):
        wait_for(lambda: read_messages(connection) == 200)
        connection.execute("UPDATE kafka_offset SET next_offset = 0")
        publish(access, topics, names(20))
        wait_for(lambda: read_messages(connection) == 240)
    assert joined(connection) == (120, 120)
    assert dict(total(connection).counts)["duplicate_prediction"] > 0


def test_commits_whose_answer_is_lost_take_place_once(
    start: Callable[..., Running], access: KafkaAccess, topics: Topics, connection: Connection, database: str
) -> None:
    forwarder = Forwarder(port_of(database))
    with stopping(start(postgres__dsn=through(database, forwarder.port))):
        wait_for(lambda: bool(offsets.read_offsets(connection)))
        forwarder.cuts_commits = True
        for _ in range(6):
            publish(access, topics, names(50))
            time.sleep(0.5)
        wait_for(lambda: forwarder.cuts > 0)
        forwarder.cuts_commits = False
        wait_for(lambda: read_messages(connection) == 600, 90)
    forwarder.close()
    assert joined(connection) == (300, 300)


def port_of(dsn: str) -> int:
    return int(dsn.rpartition(":")[2].partition("/")[0])


def through(dsn: str, port: int) -> str:
    """The same database by way of another port."""
    return dsn.replace(f":{port_of(dsn)}/", f":{port}/")


def test_it_waits_for_a_database_that_is_away_and_says_so(
    start: Callable[..., Running], database: str, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    with stopping(start(postgres__dsn=through(database, port))):
        wait_for(lambda: "waiting" in caplog.messages)
        assert any("does not answer" in str(getattr(record, "cause", "")) for record in caplog.records)
        forwarder = Forwarder(port_of(database), port)
        wait_for(lambda: bool(offsets.read_offsets(connection)))
    forwarder.close()


def test_it_waits_for_a_topic_that_is_not_there_yet(
    start: Callable[..., Running],
    access: KafkaAccess,
    connection: Connection,
    topics: Topics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    late = "late-" + uuid.uuid4().hex
    publish(access, topics, names(20), labels=False)
    with stopping(start(kafka__labels_topic=late)):
        wait_for(lambda: any(late in str(getattr(record, "cause", "")) for record in caplog.records))
        assert read_messages(connection) == 0
        create_topics(access, [late], 4)
        publish(access, topics._replace(labels=late), names(10))
        wait_for(lambda: read_messages(connection) == 40)
    assert joined(connection) == (30, 10)


def test_a_backend_that_is_terminated_is_replaced(
    start: Callable[..., Running], access: KafkaAccess, topics: Topics, connection: Connection
) -> None:
    with stopping(start()):
        for _ in range(4):
            publish(access, topics, names(25))
            time.sleep(0.5)
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'caldrift ingest'"
            )
        wait_for(lambda: read_messages(connection) == 200, 90)
    assert joined(connection) == (100, 100)


@pytest.mark.parametrize("threads", [1, 2])
def test_told_to_stop_it_rolls_back_a_batch_that_does_not_come_to_its_end(
    start: Callable[..., Running],
    access: KafkaAccess,
    topics: Topics,
    connection: Connection,
    threads: int,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monitor.workers.ingest.FINISH_SECONDS", 1.0)
    publish(access, topics, names(20))
    with connection.transaction():
        connection.execute("SELECT FROM retention_floor FOR UPDATE")
        running = start(threads)
        with connect(connection.info.dsn + f" password={connection.info.password}", "watch") as watch:
            wait_for(lambda: _waits_for_a_lock(watch))
        begun = time.monotonic()
        running.stop()
        assert time.monotonic() - begun < 15
    assert read_messages(connection) == 0
    assert connection.execute("SELECT count(*) FROM pair").fetchone() == (0,)


def _waits_for_a_lock(connection: Connection) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'caldrift ingest' AND wait_event_type = 'Lock'"
    ).fetchone()
    return row == (1,)


def test_an_unreadable_batch_stops_it_behind_the_last_good_message(
    start: Callable[..., Running],
    access: KafkaAccess,
    topics: Topics,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No broker takes such a batch from a client of ours, so the reader's finding is put in its place."""
    publish(access, topics, names(100))
    ask, seen = Intake.poll, [0]

    def poll(intake: Intake, seconds: float) -> Polled:
        polled = ask(intake, seconds)
        seen[0] += sum(map(len, polled.records.values()))
        if seen[0] >= 200 and not polled.records:
            raise UnreadableBatch(topics.labels, 1, 7, 9, "compression codec 5 is unknown")
        return polled

    monkeypatch.setattr(Intake, "poll", poll)
    failure = start().ends()
    assert isinstance(failure, Refused)
    assert "codec 5" in str(failure)
    assert f"`caldrift offsets reset --topic {topics.labels} --partition 1 --to 9`" in str(failure)
    assert joined(connection) == (100, 100)
