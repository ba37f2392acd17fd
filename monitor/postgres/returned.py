"""What an upsert of the join returns: which columns, as which aggregates, and how their bytes become joined rows.

A row a prediction would cost a Python object a value; `array_agg` gives one binary array a column, read by numpy.
Columns that few rows have are aggregated over those rows alone, and class tables as one JSON document: one call decodes
all of them.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from psycopg.pq.abc import PGresult

from monitor.postgres.arrays import Column, Mask, load_array, load_bytes, load_text
from monitor.rolling.rows import NO_LABEL, Floats, Int16s, Int64s, JoinedRows, LabelColumns, Texts
from monitor.rolling.tables import ClassTables, class_tables

PREDICTED: Final = ("signals", "predicted", "probabilities", "interval")
"""Optional columns of a prediction that its outcome or its signals depend on."""

_HEADER: Final = 20  # bytes before the first element of a one-dimensional binary array
_ELEMENT: Final = 12  # bytes of one element of a float8 array: its length, its value
_NONE: Final = f"{NO_LABEL}::int2"
_ALWAYS: Final = {
    "segment_set": "array_agg(segment_set)",
    "predicted_at": "array_agg(predicted_at)",
    "confidence": "array_agg(confidence)",
}
_OPTIONAL: Final = {
    "signals": "array_agg(array_send(signals))",
    "predicted": "array_agg(predicted)",
    "probabilities": "json_agg(probabilities)",
    "interval": "array_agg(array_send(interval))",
}


_decode_tables: Final = msgspec.json.Decoder(list[dict[str, float] | None]).decode


class Shape(NamedTuple):
    """The answer of a statement: what RETURNING names, and the aggregates over it by the names they are read under."""

    columns: tuple[str, ...]
    aggregates: Mapping[str, str]


class Answer(NamedTuple):
    """The counts that a statement leads its answer with, and its columns as bytes; None where no row has any."""

    counts: list[int]
    columns: Mapping[str, bytes | None]


def shape_of_predictions(present: Sequence[str]) -> Shape:
    """Newly known predictions with these optional columns, and the label of each that came first."""
    optional = [name for name in PREDICTED if name in present]
    label = _label_aggregates("label", "labelled_at", optional=True)
    names = [*_ALWAYS, *optional, *_label_columns("label", "labelled_at")]
    return Shape(tuple(names), _ALWAYS | {name: _OPTIONAL[name] for name in optional} | label)


def shape_of_labels(present: Sequence[str]) -> Shape:
    """Labels just applied with these optional columns, their predictions, and the labels that they replaced."""
    label = _label_aggregates("label", "labelled_at", optional=False)
    lacking = {"text": "label_text", "source": "label_source", "propensity": "label_propensity"}
    label = {name: sql for name, sql in label.items() if lacking.get(name.partition(".")[2], "") in ("", *present)}
    previous = _label_aggregates("previous_label", "previous_labelled_at", optional=True)
    names = [
        *_ALWAYS, *PREDICTED, *_label_columns("label", "labelled_at"),
        *_label_columns("previous_label", "previous_labelled_at"),
    ]  # fmt: skip
    return Shape(tuple(names), _ALWAYS | _OPTIONAL | label | previous)


def read_answer(result: PGresult, shape: Shape) -> Answer:
    """The one row of a statement's answer, in binary."""
    counts = result.get_value(0, 0)
    columns = {name: result.get_value(0, place) for place, name in enumerate(shape.aggregates, start=1)}
    return Answer([] if counts is None else load_array(counts).tolist(), columns)


def joined_rows(answer: Answer, *, new_predictions: bool) -> JoinedRows | None:
    """The joined rows of an answer; None when there are none."""
    columns = answer.columns
    confidence = columns["confidence"]
    if confidence is None:
        return None
    n = len(loaded := load_array(confidence))
    previous = None if new_predictions else _labels(columns, "previous_label", n)
    return JoinedRows(
        new_predictions=new_predictions,
        segment_set=_array(columns, "segment_set").astype(np.int32, copy=False),
        predicted_us=_array(columns, "predicted_at").astype(np.int64, copy=False),
        confidence=loaded.astype(np.float64, copy=False),
        signals=_ragged(columns.get("signals"), n),
        label=_labels(columns, "label", n),
        previous=previous if previous is not None and (previous.kind != NO_LABEL).any() else None,
        predicted=_texts(columns.get("predicted"), n),
        classes=_tables(columns.get("probabilities")),
        interval=_intervals(columns.get("interval"), n),
    )


def _label_columns(prefix: str, instant: str) -> tuple[str, ...]:
    return (f"{prefix}_kind", f"{prefix}_number", f"{prefix}_source", instant, f"{prefix}_text", f"{prefix}_propensity")


def _label_aggregates(prefix: str, instant: str, *, optional: bool) -> dict[str, str]:
    """The aggregates of one label; where rows may lack it (`optional`) all but the kind leave those rows out."""
    there = f" FILTER (WHERE {prefix}_kind IS NOT NULL)" if optional else ""
    return {
        f"{prefix}.kind": f"array_agg(coalesce({prefix}_kind, {_NONE}))" if optional else f"array_agg({prefix}_kind)",
        f"{prefix}.number": f"array_agg({prefix}_number){there}",
        f"{prefix}.labelled_at": f"array_agg({instant}){there}",
        f"{prefix}.source": f"array_agg(coalesce({prefix}_source, 0::int2)){there}",
        f"{prefix}.text": f"array_agg({prefix}_text) FILTER (WHERE {prefix}_kind = 2)",
        f"{prefix}.propensity": f"array_agg(coalesce({prefix}_propensity, 'NaN')){there}",
    }


def _labels(columns: Mapping[str, bytes | None], prefix: str, n: int) -> LabelColumns:
    kind: Int16s = _array(columns, f"{prefix}.kind").astype(np.int16, copy=False)
    there = None if (kind != NO_LABEL).all() else kind != NO_LABEL
    number = _spread(columns.get(f"{prefix}.number"), there, np.full(n, np.nan))
    source = _spread(columns.get(f"{prefix}.source"), there, np.zeros(n, np.int16))
    labelled: Int64s = _spread(columns.get(f"{prefix}.labelled_at"), there, np.zeros(n, np.int64))
    propensity: Floats = _spread(columns.get(f"{prefix}.propensity"), there, np.full(n, np.nan))
    text: list[str | None] | None = None
    texts = columns.get(f"{prefix}.text")
    if texts is not None:
        text = [None] * n
        for row, value in zip(np.flatnonzero(kind == 2).tolist(), load_text(texts), strict=True):
            text[row] = value
    return LabelColumns(kind, number, source, labelled, text, None if np.isnan(propensity).all() else propensity)


_Number = TypeVar("_Number", np.int16, np.int64, np.float64)


def _spread(buffer: bytes | None, there: Mask | None, empty: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """The values of the rows that have one, put in their places; `empty` holds what the others get."""
    if buffer is None:
        return empty
    values = load_array(buffer).astype(empty.dtype, copy=False)
    if there is None:
        return values
    empty[there] = values
    return empty


def _array(columns: Mapping[str, bytes | None], name: str) -> Column:
    buffer = columns[name]
    return np.zeros(0) if buffer is None else load_array(buffer)


def _all_null(buffer: bytes | None, n: int) -> bool:
    return buffer is None or len(buffer) == _HEADER + 4 * n


def _texts(buffer: bytes | None, n: int) -> Texts | None:
    return None if buffer is None or _all_null(buffer, n) else load_text(buffer)


def _tables(document: bytes | None) -> ClassTables | None:
    return None if document is None else class_tables(_decode_tables(document))


def _intervals(buffer: bytes | None, n: int) -> Floats | None:
    if buffer is None or _all_null(buffer, n):
        return None
    return _ragged(buffer, n)


def _ragged(buffer: bytes | None, n: int) -> Floats:
    """Binary float8[] values, one a row or NULL -> (n, longest), NaN behind the end of each."""
    if buffer is None or _all_null(buffer, n):
        return np.zeros((n, 0))
    width = int.from_bytes(buffer[_HEADER : _HEADER + 4], "big", signed=True)
    if width > _HEADER and len(buffer) == _HEADER + n * (4 + width):
        rows = np.frombuffer(buffer, np.uint8, offset=_HEADER).reshape(n, 4 + width)
        if (rows[:, :4] == rows[0, :4]).all():
            return _elements(np.ascontiguousarray(rows[:, 4 + _HEADER :])).reshape(n, -1)
    values = [b"" if each is None else each[_HEADER:] for each in load_bytes(buffer)]
    sizes = np.array([len(each) // _ELEMENT for each in values])
    table = np.full((n, int(sizes.max())), np.nan)
    table[np.arange(table.shape[1]) < sizes[:, None]] = _elements(np.frombuffer(b"".join(values), np.uint8))
    return table


def _elements(raw: npt.NDArray[np.uint8]) -> Floats:
    """Elements of binary float8 arrays, each four bytes of length and eight of value."""
    return raw.reshape(-1).view(np.dtype([("length", ">i4"), ("value", ">f8")]))["value"].astype(np.float64)
