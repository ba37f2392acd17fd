"""The loop that one would write by hand, to measure against: kafka-python, tuples, COPY to a temporary table, fetchall.

    python -m bench.plain_loop KAFKA DSN PREDICTIONS LABELS MESSAGES

It has the same upserts, offsets by compare-and-swap in the same transaction, and sums up what comes back; it has no
validation, no segments, no statistics, no dead letters. It prints `ready`, waits for a line, and prints its seconds.
"""

import sys
import time
import uuid
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from kafka import KafkaConsumer, TopicPartition

SCHEMA = """
DROP SCHEMA IF EXISTS plain CASCADE; CREATE SCHEMA plain; SET search_path = plain;
CREATE TABLE pair (
    id uuid PRIMARY KEY, segment_set int, confidence float8, predicted_at timestamptz, outcome float8,
    label_version bigint, labelled_at timestamptz, previous_outcome float8
) WITH (fillfactor = 75);
CREATE TABLE kafka_offset (topic text, part int, next_offset bigint, PRIMARY KEY (topic, part));
CREATE TABLE statistics (n bigint, correct float8);
CREATE TEMP TABLE staged_prediction (
    id uuid, segment_set int, confidence float8, predicted_at timestamptz, place bigint
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE staged_label (id uuid, outcome float8, version bigint, labelled_at timestamptz) ON COMMIT DELETE ROWS;
"""
PREDICTIONS = """
INSERT INTO pair AS p (id, segment_set, confidence, predicted_at)
SELECT DISTINCT ON (id) id, segment_set, confidence, predicted_at FROM staged_prediction ORDER BY id, place
ON CONFLICT (id) DO UPDATE SET segment_set = EXCLUDED.segment_set, confidence = EXCLUDED.confidence,
    predicted_at = EXCLUDED.predicted_at
WHERE p.confidence IS NULL RETURNING segment_set, predicted_at, confidence, outcome
"""
LABELS = """
INSERT INTO pair AS p (id, outcome, label_version, labelled_at)
SELECT DISTINCT ON (id) id, outcome, version, labelled_at FROM staged_label ORDER BY id, version DESC
ON CONFLICT (id) DO UPDATE SET previous_outcome = p.outcome, outcome = EXCLUDED.outcome,
    label_version = EXCLUDED.label_version, labelled_at = EXCLUDED.labelled_at
WHERE p.label_version IS NULL OR p.label_version < EXCLUDED.label_version
RETURNING segment_set, predicted_at, confidence, outcome, previous_outcome
"""


class Prediction(msgspec.Struct, gc=False):
    prediction_id: str
    model: str
    predicted_at: int | datetime
    confidence: float
    model_version: str | None = None
    segments: dict[str, str] = {}


class Label(msgspec.Struct, gc=False):
    prediction_id: str
    labelled_at: int | datetime
    correct: bool
    version: int = 0


def instant(value: int | datetime) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromtimestamp(value / 1000).astimezone()


class Loop:
    """One connection, one consumer, and the segment numbers that both topics need."""

    def __init__(self, kafka: str, dsn: str, predictions_topic: str, labels_topic: str) -> None:
        self.predictions_topic = predictions_topic
        self.decode_prediction = msgspec.json.Decoder(Prediction).decode
        self.decode_label = msgspec.json.Decoder(Label).decode
        self.segment_sets: dict[tuple[object, ...], int] = {}
        self.connection = psycopg.connect(dsn)
        self.connection.execute(SCHEMA)
        partitions = [TopicPartition(topic, part) for topic in (predictions_topic, labels_topic) for part in range(4)]
        for each in partitions:
            self.connection.execute("INSERT INTO kafka_offset VALUES (%s, %s, 0)", (each.topic, each.partition))
        self.connection.commit()
        self.consumer = KafkaConsumer(
            bootstrap_servers=kafka, group_id=None, enable_auto_commit=False, auto_offset_reset="none",
            max_poll_records=5000, fetch_max_bytes=1 << 25, max_partition_fetch_bytes=1 << 22,
        )  # fmt: skip
        self.consumer.assign(partitions)
        for each in partitions:
            self.consumer.seek(each, 0)

    def batch(self) -> int:
        """Read and join one batch; returns how many messages it had."""
        polled = self.consumer.poll(200)
        predicted: list[tuple[object, ...]] = []
        labelled: list[tuple[object, ...]] = []
        with self.connection.cursor() as cursor:
            for each, records in polled.items():
                cursor.execute(
                    "UPDATE kafka_offset SET next_offset = %s WHERE topic = %s AND part = %s AND next_offset = %s",
                    (records[-1].offset + 1, each.topic, each.partition, records[0].offset),
                )
                assert cursor.rowcount == 1
                if each.topic == self.predictions_topic:
                    predicted += [self.prediction(record.value, record.offset) for record in records]
                else:
                    labelled += [self.label(record.value) for record in records]
            n, correct = 0, 0.0
            for table, types, rows, statement in (
                ("staged_prediction", ["uuid", "int4", "float8", "timestamptz", "int8"], predicted, PREDICTIONS),
                ("staged_label", ["uuid", "float8", "int8", "timestamptz"], labelled, LABELS),
            ):
                for returned in joined(cursor, table, types, rows, statement):
                    if returned[2] is not None and returned[3] is not None:
                        n += 1
                        correct += returned[3]
            cursor.execute("INSERT INTO statistics VALUES (%s, %s)", (n, correct))
        self.connection.commit()
        return sum(map(len, polled.values()))

    def prediction(self, body: bytes, offset: int) -> tuple[object, ...]:
        event = self.decode_prediction(body)
        key = (event.model, event.model_version, *sorted(event.segments.items()))
        number = self.segment_sets.setdefault(key, len(self.segment_sets))
        return uuid.UUID(event.prediction_id), number, event.confidence, instant(event.predicted_at), offset

    def label(self, body: bytes) -> tuple[object, ...]:
        event = self.decode_label(body)
        return uuid.UUID(event.prediction_id), float(event.correct), event.version, instant(event.labelled_at)


def joined(
    cursor: psycopg.Cursor[Any], table: str, types: list[str], rows: list[tuple[object, ...]], statement: str
) -> list[Any]:
    if not rows:
        return []
    with cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)
    return cursor.execute(statement).fetchall()


def main(kafka: str, dsn: str, predictions_topic: str, labels_topic: str, messages: int) -> None:
    loop = Loop(kafka, dsn, predictions_topic, labels_topic)
    print("ready", flush=True)
    sys.stdin.readline()
    started, done = time.monotonic(), 0
    while done < messages:
        done += loop.batch()
    print(time.monotonic() - started, flush=True)
    loop.consumer.close()
    loop.connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]))
