"""`caldrift replay` by the installed command, on a broker: bytes, keys, partitions, pace, interruption."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from tests.embedded import Topics

PREDICTIONS = [
    b'{"prediction_id": "a",  "model": "m", "predicted_at": 1780000000000, "confidence": 0.5}',
    b'{"prediction_id": "b", "model": "m", "predicted_at": "2026-06-01T00:00:00Z", "confidence": NaN}',
    b"not json at all",
    b'{"model": "nobody", "confidence": 7}',
]
LABELS = [b'{"prediction_id": "a", "labelled_at": 1780000001000, "correct": true}']


class Message(NamedTuple):
    """What the broker holds."""

    part: int
    key: bytes | None
    value: bytes


def arguments(broker: str, topics: Topics, *args: str) -> list[str]:
    kafka = (
        f"kafka.bootstrap_servers={broker}",
        f"kafka.predictions_topic={topics.predictions}",
        f"kafka.labels_topic={topics.labels}",
    )
    options = [part for pair in kafka for part in ("--set", pair)]
    return [sys.executable, "-m", "monitor.cli.app", "replay", *args, *options]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("CALDRIFT_")}


def replay(broker: str, topics: Topics, *args: str, cwd: Path, code: int = 0) -> str:
    command = arguments(broker, topics, *args)
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stderr


def held(broker: str, topic: str, expected: int) -> list[Message]:
    """Everything in a topic, at least `expected` messages."""
    with closing(KafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest")) as consumer:
        consumer.assign([TopicPartition(topic, part) for part in sorted(consumer.partitions_for_topic(topic) or ())])
        found: list[Message] = []
        until = time.monotonic() + 30
        while len(found) < expected and time.monotonic() < until:
            for records in consumer.poll(timeout_ms=500).values():
                found += [Message(record.partition, record.key, record.value) for record in records]
        return found


def test_json_lines_go_out_byte_for_byte_and_both_messages_of_an_id_meet(
    broker: str, topics: Topics, tmp_path: Path
) -> None:
    (tmp_path / "p.jsonl").write_bytes(b"\n".join(PREDICTIONS))
    (tmp_path / "l.jsonl").write_bytes(b"\n".join(LABELS))
    said = replay(broker, topics, "--predictions", "p.jsonl", "--labels", "l.jsonl", cwd=tmp_path)
    assert "4 predictions and 1 label published" in said
    predictions = held(broker, topics.predictions, len(PREDICTIONS))
    labels = held(broker, topics.labels, len(LABELS))
    assert sorted(message.value for message in predictions) == sorted(PREDICTIONS)
    assert {message.value: message.key for message in predictions} == {
        PREDICTIONS[0]: b"a",
        PREDICTIONS[1]: b"b",
        PREDICTIONS[2]: None,
        PREDICTIONS[3]: None,
    }
    assert labels == [(next(m.part for m in predictions if m.key == b"a"), b"a", LABELS[0])]


def test_rows_of_csv_become_messages_and_those_that_cannot_are_named(
    broker: str, topics: Topics, tmp_path: Path
) -> None:
    (tmp_path / "p.csv").write_bytes(
        b"prediction_id,model,predicted_at,confidence,segments.lang\na,m,1780000000000,1.2,de\nb,m\n\xff,m,1,0.5,de\n"
    )
    said = replay(broker, topics, "--predictions", "p.csv", cwd=tmp_path, code=4)
    assert [line.split(": ")[:2] for line in said.splitlines()][:2] == [
        ["p.csv:3", "schema"],
        ["p.csv:4", "undecodable"],
    ]
    (message,) = held(broker, topics.predictions, 1)
    assert message.key == b"a"
    assert json.loads(message.value) == {
        "prediction_id": "a",
        "model": "m",
        "predicted_at": 1780000000000,
        "confidence": 1.2,
        "segments": {"lang": "de"},
    }


@pytest.fixture
def new_topics(broker: str) -> Iterator[Topics]:
    """Names that no topic has yet."""
    mark = uuid.uuid4().hex[:12]
    names = Topics(f"new-predictions-{mark}", f"new-labels-{mark}")
    yield names
    with closing(KafkaAdminClient(bootstrap_servers=broker)) as admin:
        admin.delete_topics(list(names))


def test_missing_topics_are_created_with_equal_partitions(broker: str, new_topics: Topics, tmp_path: Path) -> None:
    (tmp_path / "l.jsonl").write_bytes(LABELS[0])
    replay(broker, new_topics, "--labels", "l.jsonl", "--set", "kafka.partitions=3", cwd=tmp_path)
    with closing(KafkaConsumer(bootstrap_servers=broker)) as consumer:
        assert consumer.partitions_for_topic(new_topics.predictions) == {0, 1, 2}
        assert consumer.partitions_for_topic(new_topics.labels) == {0, 1, 2}


def test_two_files_are_merged_by_time_and_an_interrupt_delivers_what_was_sent(
    broker: str, topics: Topics, tmp_path: Path
) -> None:
    at = 1_780_000_000_000
    predictions = [json.dumps({"prediction_id": f"p{n}", "predicted_at": at + 2000 * n}) for n in range(5000)]
    labels = [json.dumps({"prediction_id": f"p{n}", "labelled_at": at + 2000 * n + 1000}) for n in range(5000)]
    (tmp_path / "p.jsonl").write_text("\n".join(predictions))
    (tmp_path / "l.jsonl").write_text("\n".join(labels))
    args = ("--predictions", "p.jsonl", "--labels", "l.jsonl", "--rate", "200")
    command = arguments(broker, topics, *args)
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        held(broker, topics.predictions, 20)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted" in said
    sent = [int(word) for word in said.replace(",", "").split() if word.isdigit()]
    assert sent[0] - sent[1] in {0, 1}
    assert 20 <= sent[0] < 5000
    assert len(held(broker, topics.predictions, sent[0])) == sent[0]
    assert len(held(broker, topics.labels, sent[1])) == sent[1]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ((), 2, "give --predictions, --labels, or both"),
        (("--labels", "none.csv"), 2, "none.csv: cannot be read"),
        (("--labels", "l.jsonl", "--compression", "zip"), 2, "--compression must be one of none, gzip"),
        (("--labels", "l.jsonl"), 3, "does not answer"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_a_broker_that_is_away_3(
    tmp_path: Path, args: tuple[str, ...], code: int, message: str
) -> None:
    (tmp_path / "l.jsonl").write_bytes(LABELS[0])
    assert message in replay("127.0.0.1:9", Topics("p", "l"), *args, cwd=tmp_path, code=code)
