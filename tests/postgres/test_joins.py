"""The rendezvous: one row an id, whatever comes first, in one transaction or in two at once."""

import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.events.messages import Label, LabelKind, label_order
from monitor.postgres import joins, offsets
from monitor.postgres.database import Connection
from monitor.postgres.joins import FenceLost, LabelRows, PredictionRows
from monitor.postgres.offsets import ADVANCE, Advance, advance_parameters
from monitor.rolling.rows import NO_LABEL
from tests.postgres.pairs import (
    LABELS,
    NOW,
    NOW_US,
    PREDICTIONS,
    READER,
    Joiner,
    begin,
    label,
    labels,
    names,
    predictions,
)
from tests.postgres.plans import assert_pair_is_not_scanned
from tests.postgres.sessions import another


@pytest.fixture
def joiner(connection: Connection) -> Joiner:
    begin(connection)
    return Joiner(connection)


def stored(connection: Connection, columns: str) -> list[tuple[object, ...]]:
    return connection.execute(f"SELECT {columns} FROM pair ORDER BY id".encode()).fetchall()


def test_a_label_after_its_prediction_comes_back_with_it(joiner: Joiner) -> None:
    ids = names(3)
    assert joiner.apply(predictions(ids, 0.25)).new_predictions == 3
    joined = joiner.apply(tags=labels(ids[1:2], label(0.5))).labels
    assert joined is not None
    assert joined.confidence.tolist() == [0.25]
    assert joined.predicted_us.tolist() == [NOW_US]
    assert joined.label.number.tolist() == [0.5]
    assert joined.previous is None


def test_a_label_before_its_prediction_comes_back_with_the_prediction(joiner: Joiner) -> None:
    ids = names(3)
    first = joiner.apply(tags=labels(ids[1:2], label(1.0)))
    assert (first.labels, first.labels_without_prediction) == (None, 1)
    rows = joiner.apply(predictions(ids)).predictions
    assert rows is not None
    assert rows.label.kind.tolist() == [NO_LABEL, LabelKind.CORRECT, NO_LABEL]
    assert rows.label.number[1] == 1.0


def test_a_greater_label_replaces_the_smaller_and_brings_it_back(joiner: Joiner) -> None:
    ids = names(2)
    joiner.apply(predictions(ids), labels(ids, label(1.0)))
    corrected = joiner.apply(tags=labels(ids[:1], label(0.0, version=1)))
    assert corrected.labels is not None
    assert corrected.labels.previous is not None
    assert corrected.labels.previous.number.tolist() == [1.0]
    assert corrected.labels.label.number.tolist() == [0.0]
    assert (corrected.applied_labels, corrected.corrections) == (1, 1)


def test_a_smaller_or_equal_label_changes_nothing(joiner: Joiner) -> None:
    ids = names(1)
    joiner.apply(predictions(ids), labels(ids, label(1.0, version=2)))
    before = stored(joiner.connection, "*")
    for late in (label(0.0, version=1), label(1.0, version=2), label(0.0, version=2)):
        assert joiner.apply(tags=labels(ids, late)).applied_labels == 0
    assert stored(joiner.connection, "*") == before


def test_a_retraction_takes_part_in_the_order_like_any_label(joiner: Joiner) -> None:
    ids = names(1)
    joiner.apply(predictions(ids), labels(ids, label(1.0)))
    retracted = joiner.apply(tags=labels(ids, Label("", NOW_US, LabelKind.RETRACTION, version=1)))
    assert retracted.labels is not None
    assert (retracted.labels.label.kind.tolist(), retracted.retractions) == ([LabelKind.RETRACTION], 1)
    assert joiner.apply(tags=labels(ids, label(1.0))).applied_labels == 0


def test_the_first_prediction_of_an_id_stays(joiner: Joiner) -> None:
    ids = names(2)
    joiner.apply(predictions(ids[:1], 0.2))
    again = joiner.apply(predictions(ids, 0.8))
    assert again.new_predictions == 1
    assert stored(joiner.connection, "confidence") == [(0.2,), (0.8,)]
    assert joins.differing_predictions(joiner.connection, predictions(ids, 0.8)) == 1
    assert joins.differing_predictions(joiner.connection, predictions(ids[:1], 0.2)) == 0


@st.composite
def some_labels(draw: st.DrawFn) -> Label:
    kind = draw(st.sampled_from(LabelKind))
    number = draw(st.sampled_from([0.0, 0.25, 1.0])) if kind in {LabelKind.CORRECT, LabelKind.VALUE} else 0.0
    text = draw(st.sampled_from(["", "a", "B", "ä", "z", "\U0001f600", "\uffee"])) if kind is LabelKind.LABEL else ""
    at = NOW_US + draw(st.integers(0, 1))
    return Label("", at, kind, number, text, draw(st.sampled_from([0, 1, 2**40])))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=some_labels(), other=some_labels())
def test_postgres_orders_labels_as_the_published_order_does(joiner: Joiner, one: Label, other: Label) -> None:
    pair = [str(uuid.uuid4()), str(uuid.uuid4())]
    pair.sort()
    joiner.apply(tags=labels(pair, one, other))
    second = joiner.apply(tags=labels(pair, other, one))
    expected = int(label_order(other) > label_order(one)) + int(label_order(one) > label_order(other))
    assert second.applied_labels == expected
    rows = stored(joiner.connection, "id, label_version, labelled_at, label_kind, label_number, label_text")
    assert len({row[1:] for row in rows if str(row[0]) in pair}) == 1


def test_all_optional_fields_come_back_as_they_were_sent(joiner: Joiner) -> None:
    ids = names(3)
    signals = np.array([[0.1, 0.2], [0.3, np.nan], [np.nan, np.nan]])
    sent = predictions(ids, signals=signals)
    rows = PredictionRows(
        sent.ids, sent.segment_set, sent.predicted_us, sent.confidence, signals,
        predicted=["yes", None, "no"],
        probabilities=[b'{"a": 0.25, "b": 0.75}', None, None],
        interval=np.array([[1.0, 2.0, 0.9], [np.nan] * 3, [np.nan] * 3]),
        numbers=[b'{"tokens": 12}', None, None],
        reference=[None, "https://example.org/1", None],
        chain_id=["c", None, None],
        step=np.array([0, -1, -1], np.int32),
    )  # fmt: skip
    first = joiner.apply(rows).predictions
    later = joiner.apply(tags=labels(ids, label(1.0))).labels
    for joined in (first, later):
        assert joined is not None
        np.testing.assert_array_equal(joined.signals, signals)
        assert joined.predicted == ["yes", None, "no"]
        assert joined.classes is not None
        assert joined.classes.names == ("a", "b")
        assert [each.tolist() for each in (joined.classes.size, joined.classes.probability)] == [
            [2, 0, 0],
            [0.25, 0.75],
        ]
        assert joined.interval is not None
        np.testing.assert_array_equal(joined.interval[0], [1.0, 2.0, 0.9])
        assert np.isnan(joined.interval[1:]).all()
    rest = stored(joiner.connection, "numbers, reference, chain_id, step")
    assert rest == [({"tokens": 12}, None, "c", 0), (None, "https://example.org/1", None, None), (None,) * 4]


def test_a_lost_fence_leaves_no_trace(joiner: Joiner) -> None:
    ids = names(2)
    joiner.apply(predictions(ids[:1]))
    joiner.next[PREDICTIONS] = 0
    with pytest.raises(FenceLost):
        joiner.apply(predictions(ids), labels(ids, label(1.0)))
    assert len(stored(joiner.connection, "id")) == 1
    assert offsets.load(joiner.connection, READER, [(PREDICTIONS, 0), (LABELS, 0)]) == {
        (PREDICTIONS, 0): 1,
        (LABELS, 0): 0,
    }


def test_another_cluster_has_lost_the_fence(joiner: Joiner) -> None:
    joiner.connection.execute("UPDATE kafka_offset SET cluster_id = 'another'")
    with pytest.raises(FenceLost):
        joiner.apply(predictions(names(1)))


def test_two_transactions_at_once_join_every_pair_once(joiner: Joiner) -> None:
    """Each waits for the rows of the other; two tables joined on arrival would lose all of them."""
    ids = names(50)
    second = another(joiner.connection)
    gate = threading.Barrier(2)

    def predict() -> int:
        with joins.batch_transaction(joiner.connection):
            joins.join(joiner.connection, READER, [Advance(PREDICTIONS, 0, 0, 50)], NOW, predictions(ids), None)
            gate.wait(10)
            threading.Event().wait(0.2)
            joins.finish(joiner.connection, None, [])
        return 0

    def judge() -> int:
        with joins.batch_transaction(second):
            gate.wait(10)
            tags = labels(ids, label(1.0))
            joined = joins.join(second, READER, [Advance(LABELS, 0, 0, 50)], NOW, None, tags)
            joins.finish(second, None, [])
        return 0 if joined.labels is None else len(joined.labels)

    with ThreadPoolExecutor(2) as pool:
        found = [each.result() for each in [pool.submit(predict), pool.submit(judge)]]
    second.close()
    assert found == [0, 50]


def test_a_failed_block_is_rolled_back_and_the_connection_stays_usable(joiner: Joiner) -> None:
    def fail() -> None:
        with joins.batch_transaction(joiner.connection):
            joins.join(joiner.connection, READER, [Advance(PREDICTIONS, 0, 0, 1)], NOW, predictions(names(1)), None)
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    assert stored(joiner.connection, "id") == []
    assert joiner.apply(predictions(names(1))).new_predictions == 1


def test_a_rejected_statement_is_rolled_back(joiner: Joiner) -> None:
    rows = predictions(names(1))
    wrong = PredictionRows(rows.ids, rows.segment_set, rows.predicted_us, rows.confidence, probabilities=[b"{"])
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        joiner.apply(wrong)
    assert joiner.apply(rows).new_predictions == 1


OPTIONAL = ("signals", "predicted", "probabilities", "interval", "numbers", "reference", "chain_id", "step")


@pytest.mark.parametrize("present", [(), OPTIONAL], ids=["lean", "full"])
def test_no_hot_statement_scans_pair(either_layout: Connection, present: Sequence[str]) -> None:
    """On a table of many rows, with the settings of an ingest session."""
    connection = either_layout
    connection.execute(
        "INSERT INTO pair (id, predicted_at, confidence, segment_set)"
        " SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '7'"
        " || substr(md5(g::text), 1, 19))::uuid, now(), 0.5, 1 FROM generate_series(1, 40000) AS g"
    )
    connection.execute("ANALYZE pair")
    connection.execute(joins.SESSION)
    begin(connection)
    n = 500
    rows, tags = full_rows(n) if present else predictions(names(n)), labels(names(n), label(1.0))
    advances = advance_parameters(READER, [Advance(PREDICTIONS, 0, 0, 1)], NOW)
    statements: list[tuple[str, dict[str, object]]] = [
        (joins.prediction_statement(tuple(present)).decode(), joins.prediction_parameters(rows)),
        (joins.label_statement(()).decode(), joins.label_parameters(tags)),
        (joins.differing_statement(tuple(present)).decode(), joins.prediction_parameters(rows)),
        (joins.equal_statement(()).decode(), joins.label_parameters(tags)),
        (ADVANCE, advances),
    ]
    for statement, parameters in statements:
        assert_pair_is_not_scanned(connection, statement, parameters)


def full_rows(n: int) -> PredictionRows:
    lean = predictions(names(n))
    return PredictionRows(
        lean.ids, lean.segment_set, lean.predicted_us, lean.confidence,
        signals=np.full((n, 2), 0.5),
        predicted=["a"] * n,
        probabilities=[b'{"a": 1}'] * n,
        interval=np.ones((n, 3)),
        numbers=[b'{"x": 1}'] * n,
        reference=["r"] * n,
        chain_id=["c"] * n,
        step=np.ones(n, np.int32),
    )  # fmt: skip


def test_an_empty_batch_only_moves_the_offsets(joiner: Joiner) -> None:
    """Transaction markers and compaction leave offsets without records."""
    with joins.batch_transaction(joiner.connection):
        advances = [Advance(PREDICTIONS, 0, 0, 7)]
        empty: LabelRows | None = labels([])
        joined = joins.join(joiner.connection, READER, advances, NOW, None, empty)
        joins.finish(joiner.connection, None, [])
    assert (joined.predictions, joined.labels) == (None, None)
    assert offsets.load(joiner.connection, READER, [(PREDICTIONS, 0)]) == {(PREDICTIONS, 0): 7}
