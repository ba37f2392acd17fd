"""`caldrift ingest`, `offsets` and `dead-letters`, as their entry point runs them, on a real broker and Postgres."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.kafka.access import KafkaAccess
from monitor.kafka.publisher import Publisher
from monitor.postgres import offsets
from monitor.postgres.database import Connection, connect
from tests.cli.commands import Run
from tests.embedded import Topics

GOOD = b'{"prediction_id": "a", "model": "m", "predicted_at": "2026-06-01T00:00:00Z", "confidence": 0.5}'


@pytest.fixture
def settings(
    tmp_path: Path, broker: str, topics: Topics, database: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The service's settings, in the environment."""
    monkeypatch.chdir(tmp_path)
    given = {
        "CALDRIFT_KAFKA__BOOTSTRAP_SERVERS": broker,
        "CALDRIFT_KAFKA__PREDICTIONS_TOPIC": topics.predictions,
        "CALDRIFT_KAFKA__LABELS_TOPIC": topics.labels,
        "CALDRIFT_KAFKA__GROUP_ID": f"group-{uuid.uuid4().hex[:8]}",
        "CALDRIFT_KAFKA__SESSION_TIMEOUT": "6s",
        "CALDRIFT_KAFKA__HEARTBEAT_INTERVAL": "500ms",
        "CALDRIFT_POSTGRES__DSN": database,
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, "test") as connected:
        yield connected


def publish(broker: str, topic: str, *bodies: bytes, part: int = 0) -> None:
    with Publisher(KafkaAccess((broker,))) as publisher:
        for body in bodies:
            publisher.send(topic, b"key", body, part)
        publisher.flush()


def read_until(connection: Connection, process: subprocess.Popen[bytes], messages: int) -> None:
    deadline = time.monotonic() + 60
    while sum(each.next_offset for each in offsets.read_offsets(connection)) < messages:
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def started(settings: dict[str, str], log: Path, **more: int) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "monitor.cli.app", "ingest", *(["--supervised"] if more else [])],
            env={**os.environ, **settings}, stdout=out, stderr=out, stdin=more.get("stdin", subprocess.DEVNULL),
        )  # fmt: skip


def test_sigterm_ends_it_in_order(
    settings: dict[str, str], broker: str, topics: Topics, connection: Connection, tmp_path: Path
) -> None:
    publish(broker, topics.predictions, GOOD)
    process = started(settings, tmp_path / "log")
    read_until(connection, process, 1)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(25) == 0
    assert time.monotonic() - begun < 25
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert lines[-1]["event"] == "stopped"
    assert [line["predictions"] for line in lines if line["event"] == "batch"] == [1]


def test_a_supervised_one_ends_with_its_supervisor(
    settings: dict[str, str], broker: str, topics: Topics, connection: Connection, tmp_path: Path
) -> None:
    publish(broker, topics.predictions, GOOD)
    process = started(settings, tmp_path / "log", stdin=subprocess.PIPE)
    read_until(connection, process, 1)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(25) == 0


def test_offsets_are_shown_moved_and_forgotten(
    caldrift: Run, settings: dict[str, str], broker: str, topics: Topics, connection: Connection
) -> None:
    group = settings["CALDRIFT_KAFKA__GROUP_ID"]
    assert "has read nothing yet" in caldrift("offsets", "show").stderr
    publish(broker, topics.labels, b"1", b"2", b"3", part=1)
    reader, spans = offsets.Reader(group, "c"), {(topics.labels, 1): 0}
    offsets.begin(connection, reader, spans, spans)
    offsets.note_high_waters(
        connection, reader, {(topics.labels, 1): 3}, offsets.read_offsets(connection)[0].updated_at
    )
    assert f"{topics.labels}/1" in caldrift("offsets", "show").stdout
    shown = json.loads(caldrift("offsets", "show", "--json").stdout)
    assert shown["offsets"][0] | {"updated_at": ""} == {
        "topic": topics.labels, "partition": 1, "next_offset": 0, "high_water": 3, "lag": 3, "cluster_id": "c",
        "updated_at": "",
    }  # fmt: skip
    place = ("offsets", "reset", "--topic", topics.labels, "--partition", "1", "--to")
    assert "2 messages are skipped" in caldrift(*place, "2").stdout
    assert "2 are read again" in caldrift(*place, "earliest").stdout
    assert "3 messages are skipped" in caldrift(*place, "latest").stdout
    assert offsets.load(connection, reader, spans) == {(topics.labels, 1): 3}
    wrong = caldrift(*place, "9")
    assert (wrong.returncode, wrong.stderr) == (1, f"caldrift: {topics.labels}/1 holds the offsets 0 to 3, not 9\n")
    assert caldrift(*place, "soon").returncode == 2
    assert caldrift("offsets", "reset", "--topic", topics.labels).returncode == 2
    assert caldrift("offsets", "reset", "--all", "--to", "3").returncode == 2
    assert "1 offsets" in caldrift("offsets", "reset", "--all").stdout
    assert offsets.read_offsets(connection) == []


def test_dead_letters_are_listed_and_published_again(
    caldrift: Run, settings: dict[str, str], broker: str, topics: Topics, *, connection: Connection, tmp_path: Path
) -> None:
    renamed = GOOD.replace(b'"confidence"', b'"score"')
    publish(broker, topics.predictions, renamed, b"\xff", GOOD.replace(b"0.5", b"1.2"), part=2)
    process = started(settings, tmp_path / "log")
    read_until(connection, process, 3)
    process.terminate()
    process.wait(25)
    listed = caldrift("dead-letters", "list")
    assert f"{topics.predictions}/2 offset 2  confidence_out_of_range" in listed.stdout
    assert "undecodable 1" in listed.stderr
    lines = [json.loads(line) for line in caldrift("dead-letters", "list", "--json", "--bodies").stdout.splitlines()]
    assert [line["offset"] for line in lines] == [2, 1, 0]
    assert lines[1]["value"] == "\\xff"
    assert "value" not in json.loads(caldrift("dead-letters", "list", "--json", "--limit", "1").stdout)
    assert caldrift("dead-letters", "list", "--reason", "nonsense").returncode == 2
    assert "2 messages published again" in caldrift("dead-letters", "replay", "--limit", "2").stdout
    settings["CALDRIFT_EVENTS__FIELDS__PREDICTION__CONFIDENCE"] = "score"
    process = started(settings, tmp_path / "log")
    read_until(connection, process, 5)
    process.terminate()
    process.wait(25)
    assert connection.execute("SELECT confidence FROM pair").fetchall() == [(0.5,)]
    left = [json.loads(line)["offset"] for line in caldrift("dead-letters", "list", "--json").stdout.splitlines()]
    assert left == [4, 2]
