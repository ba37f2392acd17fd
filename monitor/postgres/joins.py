"""The rendezvous: one row of `pair` for each prediction id, upserted by predictions and by labels.

The unique index makes the later of two transactions wait for the earlier and then see its row, so a pair is joined
exactly once, whatever comes first. Columns travel as binary arrays through `unnest`, rows come back as `array_agg`
columns, and all statements that do not depend on each other's answers go in one round trip.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import psycopg
from psycopg.rows import TupleRow

from monitor.events.identity import Ids
from monitor.postgres.arrays import (
    Float8Array,
    Int2Array,
    Int4Array,
    Int8Array,
    JsonbArray,
    Mask,
    TextArray,
    TimestamptzArray,
    UuidArray,
)
from monitor.postgres.database import Connection
from monitor.postgres.dead_letters import DeadLetter, insert
from monitor.postgres.offsets import ADVANCE, Advance, Reader, advance_parameters
from monitor.postgres.returned import Answer, Shape, joined_rows, read_answer, shape_of_labels, shape_of_predictions
from monitor.rolling.rows import Floats, Int16s, Int32s, Int64s, JoinedRows, Texts
from monitor.rolling.segments import DERIVED

SESSION: Final = (
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;"
    " SET lock_timeout = '15s';"
    " SET plan_cache_mode = force_generic_plan; SET synchronous_commit = off"
)
"""For the session of an ingest process. No plan of a hot statement may depend on how large `pair` is. And a batch need
not wait for the disk: one that a crash of the server undoes takes its offsets with it, and is read again. Who waits
long for a lock looks whether a frozen process holds it (`frozen`)."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictionRows:
    """n predictions, columns, ordered by id; optional ones are None where no row has a value."""

    ids: Ids
    """V16 (n,), ascending."""
    segment_set: Int32s
    predicted_us: Int64s
    """Microseconds since the epoch."""
    confidence: Floats
    signals: Floats | None = None
    """(n, s) extra signals in the order of the segment key, NaN past a row's last."""
    predicted: Texts | None = None
    probabilities: Sequence[bytes | None] | None = None
    """JSON documents."""
    interval: Floats | None = None
    """(n, 3) low, high, level; NaN for none."""
    numbers: Sequence[bytes | None] | None = None
    """JSON documents: the raw values of numeric dimensions."""
    reference: Texts | None = None
    chain_id: Texts | None = None
    step: Int32s | None = None
    """-1 for none."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class LabelRows:
    """n labels, columns, ordered by id; optional ones are None where no row has a value."""

    ids: Ids
    version: Int64s
    labelled_us: Int64s
    kind: Int16s
    number: Floats
    text: Texts | None = None
    source: Int16s | None = None
    """Ids of label sources, 0 for none."""
    propensity: Floats | None = None
    """NaN for none."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Joined:
    """What a batch changed: the rows that its predictions and its labels completed, and how many of each were taken."""

    floor_at: datetime
    """The retention floor, locked until the transaction ends."""
    predictions: JoinedRows | None
    labels: JoinedRows | None
    new_predictions: int = 0
    applied_labels: int = 0
    corrections: int = 0
    """Applied labels that replaced another."""
    retractions: int = 0
    labels_without_prediction: int = 0
    """Applied labels whose prediction has not come yet."""
    corrections_of_known: int = 0
    """Corrections of predictions that are known."""


class FenceLost(Exception):  # noqa: N818 - it is news, not a mistake: another process read on from the same offset
    """The offsets of a batch are not those that are stored: somebody else has advanced them."""


@contextmanager
def batch_transaction(connection: Connection) -> Iterator[None]:
    """The transaction that `join` begins and `finish` commits; rolled back when the block fails."""
    try:
        yield
    except BaseException:
        if not connection.closed and connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            try:
                connection.execute("ROLLBACK")
            except psycopg.Error:
                connection.close()
        raise


def join(  # noqa: PLR0917 - one for each thing that a batch has
    connection: Connection,
    reader: Reader,
    advances: Sequence[Advance],
    now: datetime,
    predictions: PredictionRows | None,
    labels: LabelRows | None,
) -> Joined:
    """Begin the batch's transaction, advance its offsets and upsert its rows, in one round trip.

    Ids must be ascending and without repetition within each of the two. Raises FenceLost when an offset was not where
    the batch begins. The caller wraps it in `batch_transaction` and ends with `finish`.
    """
    predicted, predicted_shape = connection.cursor(binary=True), None
    labelled, labelled_shape = connection.cursor(binary=True), None
    with connection.pipeline():
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        floor = connection.execute("SELECT floor_at FROM retention_floor FOR SHARE", prepare=True)
        fence = connection.execute(ADVANCE, advance_parameters(reader, advances, now), prepare=True)
        if predictions is not None and len(predictions):
            present = _present(predictions)
            predicted_shape = shape_of_predictions(present)
            predicted.execute(prediction_statement(present), prediction_parameters(predictions), prepare=True)
        if labels is not None and len(labels):
            present = _present(labels)
            labelled_shape = shape_of_labels(present)
            labelled.execute(label_statement(present), label_parameters(labels), prepare=True)
    if fence.rowcount != len(advances):
        raise FenceLost(
            f"{len(advances) - fence.rowcount} of {len(advances)} partitions were advanced by somebody else"
        )
    row = floor.fetchone()
    if row is None:
        raise ValueError("retention_floor has no row")
    first, second = _answer(predicted, predicted_shape), _answer(labelled, labelled_shape)
    applied, corrections, retractions, unknown, known_corrections = second.counts if second is not None else [0] * 5
    return Joined(
        floor_at=row[0],
        predictions=None if first is None else joined_rows(first, new_predictions=True),
        labels=None if second is None else joined_rows(second, new_predictions=False),
        new_predictions=0 if first is None else first.counts[0],
        applied_labels=applied,
        corrections=corrections,
        retractions=retractions,
        labels_without_prediction=unknown,
        corrections_of_known=known_corrections,
    )


def differing_predictions(connection: Connection, rows: PredictionRows) -> int:
    """How many of the rows say something else than what is stored under their id; ids may repeat here."""
    row = connection.execute(differing_statement(_present(rows)), prediction_parameters(rows)).fetchone()
    return int(row[0]) if row else 0


def equal_labels(connection: Connection, rows: LabelRows) -> int:
    """How many of the rows say just what is stored under their id, version and time too; ids may repeat here."""
    row = connection.execute(equal_statement(_present(rows)), label_parameters(rows)).fetchone()
    return int(row[0]) if row else 0


def finish(connection: Connection, body: bytes | None, letters: Sequence[DeadLetter]) -> None:
    """Store the batch's delta (encoded; None for none) and dead letters, and commit, in one round trip."""
    with connection.pipeline():
        if body is not None:
            connection.execute("INSERT INTO statistics_delta (body) VALUES (%s)", (body,), prepare=True)
        insert(connection, letters)
        connection.execute("COMMIT")


class _Optional(NamedTuple):
    """How a column that most batches lack is passed: array columns of `unnest` and the expression that is stored."""

    columns: tuple[tuple[str, str], ...]
    expression: str


_PREDICTION: Final = {
    "signals": _Optional(
        (("signals_from", "int4"), ("signals_to", "int4")),
        "CASE WHEN s.signals_to >= s.signals_from THEN (%(signals)s::float8[])[s.signals_from:s.signals_to] END",
    ),
    "predicted": _Optional((("predicted", "text"),), "s.predicted"),
    "probabilities": _Optional((("probabilities", "jsonb"),), "s.probabilities"),
    "interval": _Optional(
        (("low", "float8"), ("high", "float8"), ("level", "float8")),
        "CASE WHEN s.low <> 'NaN' THEN ARRAY[s.low, s.high, s.level] END",
    ),
    "numbers": _Optional((("numbers", "jsonb"),), "s.numbers"),
    "reference": _Optional((("reference", "text"),), "s.reference"),
    "chain_id": _Optional((("chain_id", "text"),), "s.chain_id"),
    "step": _Optional((("step", "int4"),), "s.step"),
}
_LABEL: Final = {
    "label_text": _Optional((("label_text", "text"),), "s.label_text"),
    "label_source": _Optional((("label_source", "int2"),), "s.label_source"),
    "label_propensity": _Optional((("label_propensity", "float8"),), "s.label_propensity"),
}
_PREDICTION_COLUMNS: Final = (
    ("id", "uuid"), ("segment_set", "int4"), ("predicted_at", "timestamptz"), ("confidence", "float8"),
)  # fmt: skip
_LABEL_COLUMNS: Final = (
    ("id", "uuid"), ("label_version", "int8"), ("labelled_at", "timestamptz"), ("label_kind", "int2"),
    ("label_number", "float8"),
)  # fmt: skip
_LABEL_KEY: Final = (
    "({0}.label_version, {0}.labelled_at, {0}.label_kind, {0}.label_number, coalesce({0}.label_text, '') COLLATE \"C\")"
)
_REPLACED: Final = ("labelled_at", "label_number", "label_propensity", "label_kind", "label_source", "label_text")


@lru_cache(maxsize=256)
def prediction_statement(present: tuple[str, ...]) -> bytes:
    """The upsert of predictions with these optional columns: the first one wins. What is newly known comes back, with
    its label if that came first."""
    columns = [name for name, _ in _PREDICTION_COLUMNS] + list(present)
    values = [f"s.{name}" for name, _ in _PREDICTION_COLUMNS] + [_PREDICTION[name].expression for name in present]
    returned = shape_of_predictions(present)
    return f"""
        WITH up AS (
            INSERT INTO pair AS p ({", ".join(columns)})
            SELECT {", ".join(values)} FROM {_predictions_from(present)}
            ON CONFLICT (id) DO UPDATE SET {", ".join(f"{name} = EXCLUDED.{name}" for name in columns[1:])}
            WHERE p.predicted_at IS NULL
            RETURNING {", ".join(f"p.{name}" for name in returned.columns)}
        )
        SELECT ARRAY[count(*)], {", ".join(returned.aggregates.values())} FROM up
    """.encode()


@lru_cache(maxsize=16)
def label_statement(present: tuple[str, ...]) -> bytes:
    """The upsert of labels with these optional columns: the greater one wins. The rows whose prediction is known come
    back, with the label that was replaced."""
    columns = [name for name, _ in _LABEL_COLUMNS] + list(present)
    values = [f"s.{name}" for name, _ in _LABEL_COLUMNS] + [_LABEL[name].expression for name in present]
    stored = [name for name, _ in _LABEL_COLUMNS[1:]] + list(_LABEL)
    changes = [f"previous_{name} = p.{name}" for name in _REPLACED] + [f"{name} = EXCLUDED.{name}" for name in stored]
    returned = shape_of_labels(present)
    return f"""
        WITH up AS (
            INSERT INTO pair AS p ({", ".join(columns)})
            SELECT {", ".join(values)} FROM {_labels_from(present)}
            ON CONFLICT (id) DO UPDATE SET {", ".join(changes)}
            WHERE p.label_version IS NULL OR {_LABEL_KEY.format("p")} < {_LABEL_KEY.format("EXCLUDED")}
            RETURNING {", ".join(f"p.{name}" for name in returned.columns)}
        )
        SELECT (
                SELECT ARRAY[
                    count(*), count(previous_label_kind), count(*) FILTER (WHERE label_kind = 0),
                    count(*) FILTER (WHERE predicted_at IS NULL),
                    count(previous_label_kind) FILTER (WHERE predicted_at IS NOT NULL)
                ] FROM up
            ),
            {", ".join(returned.aggregates.values())}
        FROM up WHERE predicted_at IS NOT NULL
    """.encode()


@lru_cache(maxsize=256)
def differing_statement(present: tuple[str, ...]) -> bytes:
    """Counts the predictions with these optional columns that differ from what is stored under their id.

    Segment sets count as equal where they differ in their derived signals alone: those follow from what is compared
    besides, and a set may have got more classes since.
    """
    return f"""
        SELECT count(*) FROM {_predictions_from(present)} JOIN pair AS p ON p.id = s.id
        WHERE (p.predicted_at, p.confidence) IS DISTINCT FROM (s.predicted_at, s.confidence)
            OR (p.segment_set IS DISTINCT FROM s.segment_set
                AND (SELECT key::jsonb - {DERIVED} FROM segment_set WHERE id = p.segment_set)
                IS DISTINCT FROM (SELECT key::jsonb - {DERIVED} FROM segment_set WHERE id = s.segment_set))
            OR p.signals IS DISTINCT FROM {_PREDICTION["signals"].expression if "signals" in present else "NULL"}
            OR p.predicted IS DISTINCT FROM {"s.predicted" if "predicted" in present else "NULL"}
            OR p.probabilities IS DISTINCT FROM {"s.probabilities" if "probabilities" in present else "NULL"}
            OR p.interval IS DISTINCT FROM {_PREDICTION["interval"].expression if "interval" in present else "NULL"}
    """.encode()


@lru_cache(maxsize=16)
def equal_statement(present: tuple[str, ...]) -> bytes:
    """Counts the labels with these optional columns that are equal to what is stored under their id."""
    text = "s.label_text" if "label_text" in present else "NULL"
    return f"""
        SELECT count(*) FROM {_labels_from(present)} JOIN pair AS p ON p.id = s.id
        WHERE (p.label_version, p.labelled_at, p.label_kind, p.label_number, coalesce(p.label_text, ''))
            = (s.label_version, s.labelled_at, s.label_kind, s.label_number, coalesce({text}, ''))
    """.encode()


def _predictions_from(present: Sequence[str]) -> str:
    return _unnest([*_PREDICTION_COLUMNS, *(column for name in present for column in _PREDICTION[name].columns)])


def _labels_from(present: Sequence[str]) -> str:
    return _unnest([*_LABEL_COLUMNS, *(column for name in present for column in _LABEL[name].columns)])


def _unnest(columns: Sequence[tuple[str, str]]) -> str:
    arrays = ", ".join(f"%({name})s::{kind}[]" for name, kind in columns)
    return f"unnest({arrays}) AS s ({', '.join(name for name, _ in columns)})"


def _present(rows: PredictionRows | LabelRows) -> tuple[str, ...]:
    if isinstance(rows, PredictionRows):
        return tuple(name for name in _PREDICTION if getattr(rows, name) is not None)
    given = {"label_text": rows.text, "label_source": rows.source, "label_propensity": rows.propensity}
    return tuple(name for name, column in given.items() if column is not None)


def prediction_parameters(rows: PredictionRows) -> dict[str, object]:
    """The parameters of the statements about predictions."""
    parameters: dict[str, object] = {
        "id": UuidArray(rows.ids),
        "segment_set": Int4Array(rows.segment_set),
        "predicted_at": TimestamptzArray(rows.predicted_us),
        "confidence": Float8Array(rows.confidence),
    }
    if rows.signals is not None:
        known = ~np.isnan(rows.signals)
        last = np.cumsum(known.sum(axis=1), dtype=np.int32)
        parameters["signals"] = Float8Array(rows.signals[known])
        parameters["signals_from"] = Int4Array(np.concatenate([[0], last[:-1]]).astype(np.int32) + np.int32(1))
        parameters["signals_to"] = Int4Array(last)
    if rows.interval is not None:
        for place, name in enumerate(("low", "high", "level")):
            parameters[name] = Float8Array(rows.interval[:, place])
    if rows.step is not None:
        parameters["step"] = Int4Array(rows.step, _none(rows.step < 0))
    for name in ("predicted", "reference", "chain_id"):
        texts: Texts | None = getattr(rows, name)
        if texts is not None:
            parameters[name] = TextArray(texts)
    for name in ("probabilities", "numbers"):
        documents: Sequence[bytes | None] | None = getattr(rows, name)
        if documents is not None:
            parameters[name] = JsonbArray(documents)
    return parameters


def label_parameters(rows: LabelRows) -> dict[str, object]:
    """The parameters of the statements about labels."""
    parameters: dict[str, object] = {
        "id": UuidArray(rows.ids),
        "label_version": Int8Array(rows.version),
        "labelled_at": TimestamptzArray(rows.labelled_us),
        "label_kind": Int2Array(rows.kind),
        "label_number": Float8Array(rows.number),
    }
    if rows.text is not None:
        parameters["label_text"] = TextArray(rows.text)
    if rows.source is not None:
        parameters["label_source"] = Int2Array(rows.source, _none(rows.source == 0))
    if rows.propensity is not None:
        parameters["label_propensity"] = Float8Array(rows.propensity, _none(np.isnan(rows.propensity)))
    return parameters


def _none(nulls: Mask) -> Mask | None:
    return nulls if nulls.any() else None


def _answer(cursor: psycopg.Cursor[TupleRow], shape: Shape | None) -> Answer | None:
    if shape is None or cursor.pgresult is None:
        return None
    return read_answer(cursor.pgresult, shape)
