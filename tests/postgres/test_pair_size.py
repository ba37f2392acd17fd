"""A billion pairs have to fit a disk: what one takes, index included, after a prediction and a label in batches."""

import numpy as np

from monitor.postgres.arrays import Float8Array, Int2Array, Int4Array, Int8Array, TimestamptzArray, UuidArray
from monitor.postgres.database import Connection

ROWS = 200_000
BATCH = 5_000
DELAY = 30_000
"""Mean number of predictions that lie between a prediction and its label; the distribution is exponential."""
MOST_BYTES = 190

PREDICT = """
INSERT INTO pair AS p (id, segment_set, predicted_at, confidence) SELECT * FROM unnest(%s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET segment_set = EXCLUDED.segment_set, predicted_at = EXCLUDED.predicted_at,
    confidence = EXCLUDED.confidence WHERE p.predicted_at IS NULL
"""
LABEL = """
INSERT INTO pair AS p (id, label_version, labelled_at, label_kind, label_number)
SELECT * FROM unnest(%s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET previous_labelled_at = p.labelled_at, previous_label_kind = p.label_kind,
    previous_label_number = p.label_number, label_version = EXCLUDED.label_version,
    labelled_at = EXCLUDED.labelled_at, label_kind = EXCLUDED.label_kind, label_number = EXCLUDED.label_number
WHERE p.label_version IS NULL
"""


def random_ids(rng: np.random.Generator) -> list[bytes]:
    return [rng.bytes(16) for _ in range(ROWS)]


def ids_in_order_of_time(rng: np.random.Generator) -> list[bytes]:
    start = 4_070_908_800_000  # 2099-01-01, a day that the test makes a partition for
    return [(start + place).to_bytes(6, "big") + b"\x70" + rng.bytes(9) for place in range(ROWS)]


def predict(connection: Connection, ids: list[bytes], rng: np.random.Generator) -> None:
    n = len(ids)
    connection.execute(
        PREDICT,
        (
            UuidArray(np.frombuffer(b"".join(sorted(ids)), "V16")),
            Int4Array(np.ones(n, np.int32)),
            TimestamptzArray(np.arange(n, dtype=np.int64)),
            Float8Array(rng.random(n)),
        ),
    )


def label(connection: Connection, ids: list[bytes]) -> None:
    n = len(ids)
    connection.execute(
        LABEL,
        (
            UuidArray(np.frombuffer(b"".join(sorted(ids)), "V16")),
            Int8Array(np.zeros(n, np.int64)),
            TimestamptzArray(np.arange(n, dtype=np.int64)),
            Int2Array(np.ones(n, np.int16)),
            Float8Array(np.ones(n)),
        ),
    )


def fill(connection: Connection, ids: list[bytes]) -> None:
    """Every prediction, and every label once its time has come, in batches."""
    rng = np.random.default_rng(2)
    come = np.arange(ROWS) + rng.exponential(DELAY, ROWS)
    order = np.argsort(come)
    labelled = 0
    for now in range(BATCH, 100 * ROWS, BATCH):
        if now <= ROWS:
            predict(connection, ids[now - BATCH : now], rng)
        due = int(np.searchsorted(come[order], now))
        while labelled < due:
            batch = order[labelled : min(due, labelled + BATCH)]
            label(connection, [ids[place] for place in batch.tolist()])
            labelled += len(batch)
        if labelled == ROWS:
            return


def bytes_a_row(connection: Connection) -> float:
    row = connection.execute(
        "SELECT sum(pg_total_relation_size(inhrelid)) / (SELECT count(*) FROM pair WHERE label_kind = 1)"
        " FROM pg_inherits WHERE inhparent = 'pair'::regclass AND pg_relation_size(inhrelid) > 0"
    ).fetchone()
    assert row is not None
    return float(row[0])


def test_a_labelled_pair_with_a_random_id_takes_at_most_190_bytes(connection: Connection) -> None:
    fill(connection, random_ids(np.random.default_rng(1)))
    found = bytes_a_row(connection)
    print(f"{found:.0f} bytes a pair")
    assert 100 < found <= MOST_BYTES


def test_a_labelled_pair_with_a_time_ordered_id_takes_at_most_190_bytes(time_ordered: Connection) -> None:
    time_ordered.execute("SELECT caldrift_add_day('2099-01-01')")
    fill(time_ordered, ids_in_order_of_time(np.random.default_rng(1)))
    found = bytes_a_row(time_ordered)
    print(f"{found:.0f} bytes a pair")
    assert 100 < found <= MOST_BYTES
