"""Events on their way to a broker: on a real one, on none, and through a fork."""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.client import Client
from monitor.client.sender import address_of
from monitor.demo.broker import start_broker
from monitor.events.decoding import decode_label, decode_prediction, label_decoder, prediction_decoder
from monitor.events.messages import Label, Prediction
from monitor.events.rules import EventRules
from tests.client.conftest import Make, eventually, reply
from tests.client.promoting import artefact, document
from tests.embedded import Topics
from tests.notify.receivers import Receiver


@contextmanager
def reading(bootstrap: str, topic: str) -> Iterator[Any]:
    """A consumer of all that a topic holds."""
    from kafka import KafkaConsumer

    with closing(KafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")) as consumer:
        yield consumer


def bodies(bootstrap: str, topic: str, n: int) -> list[tuple[bytes, bytes]]:
    """Keys and bodies of n messages of a topic, and of those that come within half a second after."""
    found: list[tuple[bytes, bytes]] = []
    with reading(bootstrap, topic) as consumer:
        until = time.monotonic() + 20
        while len(found) < n and time.monotonic() < until:
            for records in consumer.poll(500).values():
                found += [(record.key, record.value) for record in records]
        for records in consumer.poll(500).values():
            found += [(record.key, record.value) for record in records]
    return found


def predictions(bootstrap: str, topics: Topics, n: int, rules: EventRules | None = None) -> list[Prediction]:
    decoder = prediction_decoder(rules or EventRules())
    now = datetime.now(UTC)
    found = bodies(bootstrap, topics.predictions, n)
    read = [decode_prediction(body, decoder, now) for _, body in found]
    assert [key.decode() for key, _ in found] == [each.prediction_id for each in read]
    return read


def labels(bootstrap: str, topics: Topics, n: int) -> list[Label]:
    decoder = label_decoder(EventRules(id_scope="model"))
    return [decode_label(body, decoder, datetime.now(UTC)) for _, body in bodies(bootstrap, topics.labels, n)]


def on(broker: str, topics: Topics) -> dict[str, Any]:
    return {
        "bootstrap_servers": broker,
        "predictions_topic": topics.predictions,
        "labels_topic": topics.labels,
    }


def test_a_prediction_and_its_label_meet_in_the_service(
    make: Make, server: Receiver, broker: str, topics: Topics
) -> None:
    server.answering = lambda _: reply(document(artefact()))
    client = make(server=server.url, model_version="7", **on(broker, topics))
    eventually(lambda: client.version == 3)
    before = datetime.now(UTC)
    logged = client.log_prediction(
        0.93, segments={"lang": "l1", "size": 3}, signals={"logprob": 0.5}, predicted="refund"
    )
    assert client.log_label(logged.prediction_id, label="refund", source="human", propensity=0.1)
    assert client.flush()
    (prediction,) = predictions(broker, topics, 1)
    (label,) = labels(broker, topics, 1)
    assert prediction.prediction_id == label.prediction_id == logged.prediction_id
    assert (prediction.model, prediction.model_version, prediction.confidence) == ("m1", "7", 0.93)
    assert prediction.signals == {"logprob": 0.5, "calibrated": logged.calibrated}
    assert prediction.segments == {"lang": "l1", "size": 3.0, "calibrator": "3"}
    assert abs(prediction.predicted_at / 1e6 - before.timestamp()) < 10
    assert (label.text, label.source, label.propensity, label.model) == ("refund", "human", 0.1, "m1")
    assert (client.stats.queued, client.stats.acknowledged) == (2, 2)


def test_without_a_map_an_event_bears_no_calibrated_value(make: Make, broker: str, topics: Topics) -> None:
    client = make(signal="stated", **on(broker, topics))
    client.log_prediction(0.93, segments={"lang": "de"})
    assert client.flush()
    (prediction,) = predictions(broker, topics, 1, EventRules(main_signal="stated"))
    assert (prediction.confidence, prediction.signals, prediction.segments) == (0.93, {}, {"lang": "de"})


def test_an_event_that_the_intake_would_reject_is_not_sent(
    make: Make, broker: str, topics: Topics, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(**on(broker, topics))
    for _ in range(3):
        client.log_prediction(0.5)
        assert client.flush()
        client.log_prediction(1.5)
        client.log_prediction(0.5, prediction_id="x" * 300)
        client.log_prediction(0.5, predicted_at=datetime.now(UTC) + timedelta(days=2))
        client.log_label("p", correct=True, label="both")
        client.log_label("", correct=True)
    assert client.flush()
    assert (client.stats.refused, client.stats.acknowledged, client.stats.lost) == (15, 3, 0)
    assert len(predictions(broker, topics, 3)) == 3
    said = [record.getMessage() for record in caplog.records if "was not sent" in record.getMessage()]
    assert len(said) == 5  # each kind once


def test_where_there_is_no_room_for_the_calibrated_value_the_event_still_arrives(
    make: Make, server: Receiver, broker: str, topics: Topics
) -> None:
    server.answering = lambda _: reply(document(artefact()))
    client = make(server=server.url, **on(broker, topics))
    eventually(lambda: client.version == 3)
    client.log_prediction(
        0.5,
        signals={f"s{number}": 0.5 for number in range(16)},
        segments={f"d{number}": number for number in range(64)},
    )
    assert client.flush()
    (prediction,) = predictions(broker, topics, 1)
    assert (len(prediction.signals), len(prediction.segments)) == (16, 64)


def test_many_threads_lose_nothing(make: Make, broker: str, topics: Topics) -> None:
    client = make(**on(broker, topics))

    def work(number: int) -> None:
        for place in range(500):
            client.log_prediction(0.5, prediction_id=f"{number}-{place}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(30)
    assert client.stats.acknowledged == 3_000
    assert {each.prediction_id for each in predictions(broker, topics, 3_000)} == {
        f"{number}-{place}" for number in range(6) for place in range(500)
    }


def test_what_the_broker_has_makes_room_for_more(make: Make, broker: str, topics: Topics) -> None:
    client = make(buffer_bytes=6_000, **on(broker, topics))
    for _ in range(5):
        for _ in range(10):
            assert client.log_label("p", correct=True)
        assert client.flush()
    assert (client.stats.acknowledged, client.stats.dropped) == (50, 0)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_broker_that_is_away_holds_up_nobody_and_what_does_not_fit_is_counted(
    hangs: bool, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        client = make(bootstrap_servers=f"127.0.0.1:{listener.getsockname()[1]}", buffer_bytes=20_000)
        if not hangs:
            listener.close()
        slowest = 0.0
        for _ in range(500):
            began = time.monotonic()
            client.log_prediction(0.5)
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 0.2
        said = client.stats
        assert said.queued + said.dropped == 500
        assert 30 < said.queued < 70
        assert not client.flush(0.1)
        eventually(lambda: client.stats.last_failure is not None)
        began = time.monotonic()
        client.close(0.5)
        assert time.monotonic() - began < 5
        eventually(lambda: client.stats.lost == said.queued)
    assert not client.log_label("p", correct=True)
    assert sum("the buffer" in record.getMessage() for record in caplog.records) == 1
    ours = [record for record in caplog.records if record.name == "caldrift.client"]
    assert {record.levelno for record in ours} == {logging.WARNING}
    if not hangs:
        assert ours == caplog.records  # kafka-python, which says a lot, is not even tried
        assert any("no broker listens at 127.0.0.1" in record.getMessage() for record in ours)


def test_events_wait_for_a_broker_that_comes_later(make: Make, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    client = make(bootstrap_servers=f"127.0.0.1:{port}")
    client.log_prediction(0.5)
    eventually(lambda: client.stats.last_failure is not None)
    broker = start_broker(tmp_path / "broker", port)
    try:
        from monitor.kafka.access import KafkaAccess
        from monitor.kafka.topics import create_topics

        assert broker.port == port
        create_topics(KafkaAccess((broker.address,)), ["predictions", "labels"], 1)
        client.log_label("p", correct=True)
        assert client.flush(30)
        assert (client.stats.acknowledged, client.stats.lost) == (2, 0)
    finally:
        client.close()
        broker.stop()


class Half:
    """A producer one of whose two partitions is away: it takes every second event, and the broker has it at once."""

    def __init__(self, **_: object) -> None:
        self.sent = 0

    def send(self, *_: object, **__: object) -> Any:
        from kafka.future import Future

        self.sent += 1
        return Future() if self.sent % 2 else Future().success(None)

    def flush(self, timeout: float) -> None:
        pass

    def close(self, timeout: float) -> None:
        pass


def test_a_partition_that_is_away_keeps_no_room_of_what_the_others_have(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kafka.KafkaProducer", Half)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        client = make(bootstrap_servers=f"127.0.0.1:{listener.getsockname()[1]}", buffer_bytes=40_000)
        for _ in range(70):
            assert client.log_label("p", correct=True)
        eventually(lambda: client.stats.acknowledged >= 20)
        for _ in range(40):  # more than there would be room for
            assert client.log_label("p", correct=True)


def test_a_broker_that_went_away_is_not_waited_for_when_a_service_ends(make: Make, tmp_path: Path) -> None:
    from monitor.kafka.access import KafkaAccess
    from monitor.kafka.topics import create_topics

    before = set(threading.enumerate())
    broker = start_broker(tmp_path / "broker")
    try:
        create_topics(KafkaAccess((broker.address,)), ["predictions", "labels"], 1)
        client = make(bootstrap_servers=broker.address)
        client.log_prediction(0.5)
        assert client.flush(30)
    finally:
        broker.stop()
    client.log_prediction(0.5)
    time.sleep(0.2)
    began = time.monotonic()
    client.close(0.5)
    assert time.monotonic() - began < 3
    eventually(lambda: client.stats.lost == 1)
    eventually(lambda: set(threading.enumerate()) <= before)


def test_a_forked_process_logs_for_itself_and_sends_nothing_twice(
    make: Make, server: Receiver, broker: str, topics: Topics
) -> None:
    server.answering = lambda _: reply(document(artefact()))
    client = make(server=server.url, **on(broker, topics))
    eventually(lambda: client.version == 3)
    client.log_prediction(0.9, prediction_id="before")
    client.flush()
    children = []
    for number in range(3):
        client.log_prediction(0.9, prediction_id=f"parent-{number}")  # still in the parent's buffer
        child = os.fork()
        if child == 0:
            good = client.version == 3  # the map came along
            client.log_prediction(0.9, prediction_id=f"child-{number}")
            good = good and client.flush(20) and client.stats.acknowledged == 1 and client.stats.queued == 1
            good = good and client.wait_until_ready(10)
            client.close()
            os._exit(0 if good else 1)
        children.append(child)
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client.log_prediction(0.9, prediction_id="after")
    assert client.flush()
    wanted = ["after", "before", *(f"{who}-{number}" for who in ("child", "parent") for number in range(3))]
    assert sorted(each.prediction_id for each in predictions(broker, topics, 8)) == wanted


@pytest.mark.parametrize(
    ("server", "address"),
    [("b:1", ("b", 1)), (" b ", ("b", 9092)), ("[::1]:7", ("::1", 7)), ("[::1]", ("::1", 9092))],
)
def test_a_broker_may_be_named_without_its_port(server: str, address: tuple[str, int]) -> None:
    assert address_of(server) == address


ENDS = """
import os, sys, time
from monitor.client import Client
client = Client(
    "m1", bootstrap_servers=sys.argv[1], predictions_topic=sys.argv[2], labels_topic=sys.argv[3],
    kafka={"linger_ms": 1500},
)
client.log_prediction(0.9, prediction_id="parent")
client.flush()
client.log_prediction(0.9, prediction_id="in the parent's producer")
time.sleep(0.3)
if os.fork() == 0:
    client.log_prediction(0.9, prediction_id="child")
    sys.exit(0)
os.wait()
client.log_prediction(0.9, prediction_id="last words")
"""


def test_what_waits_when_a_process_ends_is_sent_first(broker: str, topics: Topics) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", ENDS, broker, *topics], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    wanted = ["child", "in the parent's producer", "last words", "parent"]
    assert sorted(each.prediction_id for each in predictions(broker, topics, 4)) == wanted


def test_importing_the_client_brings_no_server_with_it() -> None:
    asked = "import sys, monitor.client; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    found = subprocess.run([sys.executable, "-P", "-c", asked], capture_output=True, text=True, check=True).stdout
    heavy = {"fastapi", "starlette", "sqlalchemy", "psycopg", "pydantic", "scipy", "httpx", "duckdb", "kafka", "river"}
    assert heavy & set(found.split()) == set()


def test_a_client_without_servers_only_decides() -> None:
    client = Client("m1")
    assert client.decide(0.95, accept=0.9) == "accept"
    assert client.log_prediction(0.95).prediction_id
    assert not client.log_label("p", correct=True)
    assert client.flush()
    assert not client.wait_until_ready(0.1)
    client.close()


def test_a_client_that_was_closed_before_its_first_call_begins_nothing(broker: str, server: Receiver) -> None:
    client = Client("m1", server=server.url, bootstrap_servers=broker)
    client.close()
    assert client.log_prediction(0.95).value == 0.95
    assert not client.log_label("p", correct=True)
    assert client.stats.queued == 0
    assert not client.wait_until_ready(0.3)
    assert server.seen == []


def test_the_ten_lines_of_the_page_work(server: Receiver, broker: str, topics: Topics) -> None:
    page = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    code = code.replace("http://127.0.0.1:8321", server.url).replace(
        '"localhost:9092"', f'"{broker}", predictions_topic="{topics.predictions}", labels_topic="{topics.labels}"'
    )
    names: dict[str, Any] = {}
    exec(code, names)
    with names["client"] as client:
        assert names["answer"]("4711") == ("refund", True)
        names["truth"]("4711", "refund")
        assert client.flush()
    assert [each.prediction_id for each in predictions(broker, topics, 1)] == ["4711"]
    assert [each.text for each in labels(broker, topics, 1)] == ["refund"]
