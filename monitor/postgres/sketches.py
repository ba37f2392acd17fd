"""Stacks of sketches between numpy and the tables that hold sketches: one statement for any number of rows.

A row's arrays differ in length, so rows travel as one long array a column, and the statement cuts each row's slice out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import psycopg

from monitor.calibration.sketch import ROWS, DelayRow
from monitor.postgres.arrays import BoolArray, FixedArray, Int2Array, Int4Array, Int8Array
from monitor.postgres.database import Connection
from monitor.postgres.tables import DELAY_COLUMNS, SKETCH_COLUMNS, SUM_COLUMNS
from monitor.rolling.stacks import Ints, Stack, gather, no_sketches

FIRST_EXCESS: Final = SUM_COLUMNS.index("excess_w")
"""The sums from here on are stored as NULL where every label of the sketch has weight 1."""

_HEADER: Final = 20  # bytes before the first element of a binary array
_EMPTY: Final = 12  # bytes of a binary array without elements
_ELEMENT: Final = {
    "i2": np.dtype([("length", ">i4"), ("value", ">i2")]),
    "i8": np.dtype([("length", ">i4"), ("value", ">i8")]),
}

COLUMNS: Final = ", ".join(SKETCH_COLUMNS)
SLICES: Final = ", ".join(
    ["%(cells)s[k.first:k.last]"]
    + [f"%({name})s[k.first:k.last]" for name in SUM_COLUMNS[:FIRST_EXCESS]]
    + [f"CASE WHEN k.weighted THEN %({name})s[k.first:k.last] END" for name in SUM_COLUMNS[FIRST_EXCESS:]]
    + [f"%({name})s[k.delay_first:k.delay_last]" for name in ("delay_buckets", "delays", "right_delays")]
    + ["CASE WHEN k.unsplit THEN %(unsplit_delays)s[k.delay_first:k.delay_last] END"]
)
"""The columns of a row that is to be written, cut out of the parameters by `k` (see SLICED)."""

SLICED: Final = "%(first)s, %(last)s, %(weighted)s, %(delay_first)s, %(delay_last)s, %(unsplit)s"
SLICED_AS: Final = "first, last, weighted, delay_first, delay_last, unsplit"
"""Arguments of unnest, and their names in `k`, beside the keys of the table."""

REPLACED: Final = ", ".join(f"{name} = EXCLUDED.{name}" for name in SKETCH_COLUMNS)
"""The SET list of an upsert."""


def slices(stack: Stack) -> dict[str, FixedArray]:
    """The parameters that SLICES and SLICED name, one row for each key of the stack."""
    edges = np.searchsorted(stack.rows, np.arange(len(stack) + 1))
    delay_edges = np.searchsorted(stack.delay_rows, np.arange(len(stack) + 1))
    weighted = np.zeros(len(stack), bool)
    weighted[stack.rows[stack.sums[FIRST_EXCESS:].any(axis=0)]] = True
    excess = stack.sums if weighted.any() else np.empty((ROWS, 0), np.int64)
    unsplit = np.zeros(len(stack), bool)
    unsplit[stack.delay_rows[stack.delay_sums[DelayRow.UNSPLIT] != 0]] = True
    return {
        "cells": Int2Array(stack.cells),
        **{
            name: Int8Array((stack.sums if row < FIRST_EXCESS else excess)[row]) for row, name in enumerate(SUM_COLUMNS)
        },
        "delay_buckets": Int2Array(stack.delay_buckets),
        **{name: Int8Array(column) for name, column in zip(DELAY_COLUMNS, stack.delay_sums, strict=True)},
        "first": Int4Array(edges[:-1] + 1),
        "last": Int4Array(edges[1:]),
        "weighted": BoolArray(weighted),
        "delay_first": Int4Array(delay_edges[:-1] + 1),
        "delay_last": Int4Array(delay_edges[1:]),
        "unsplit": BoolArray(unsplit),
    }


@dataclass(frozen=True, slots=True)
class Read:
    """What a query gave: the sketches by key; key and other columns row by row; how many rows and bytes came."""

    stack: Stack
    keys: Ints
    others: Ints
    n_rows: int
    n_bytes: int


def read_stack(connection: Connection, query: str, parameters: Mapping[str, object]) -> Read:
    """Run a query whose columns are a bigint key, COLUMNS, then any number of other bigints.

    Rows with one key are added up in the stack. `keys` is int64[n], `others` int64[n, columns], in order of the rows.
    """
    with connection.cursor(binary=True) as cursor:
        cursor.execute(query.encode(), parameters)
        result = cursor.pgresult
        if result is None:
            raise psycopg.InterfaceError("the query gave no result")
        rows = range(result.ntuples)
        columns = [[result.get_value(row, column) for row in rows] for column in range(result.nfields)]
    n_bytes = sum(sum(map(len, filter(None, column))) for column in columns)
    if not rows:
        return Read(no_sketches(), _whole([]), np.empty((0, len(columns) - 1 - len(SKETCH_COLUMNS)), np.int64), 0, 0)
    keys = _whole(columns[0])
    sketch = dict(zip(SKETCH_COLUMNS, columns[1:], strict=False))
    lengths, delay_lengths = _lengths(sketch["cells"], "i2"), _lengths(sketch["delay_buckets"], "i2")
    stack = gather(
        np.repeat(keys, lengths),
        _elements(sketch["cells"], lengths, "i2").astype(np.int16),
        np.stack([_elements(sketch[name], lengths, "i8") for name in SUM_COLUMNS]),
        delay_keys=np.repeat(keys, delay_lengths),
        delay_buckets=_elements(sketch["delay_buckets"], delay_lengths, "i2").astype(np.int16),
        delay_sums=_delay_sums(sketch, delay_lengths),
        also=keys,
    )
    others = [_whole(column) for column in columns[1 + len(SKETCH_COLUMNS) :]]
    return Read(
        stack, keys, np.stack(others, axis=1) if others else np.empty((len(keys), 0), np.int64), len(rows), n_bytes
    )


def _delay_sums(sketch: Mapping[str, list[bytes | None]], lengths: Ints) -> Ints:
    """The columns of the label delays. Rows from before right answers were kept hold labels that were never split."""
    n, right, unsplit = (_elements(sketch[name], lengths, "i8") for name in DELAY_COLUMNS)
    old = np.repeat(np.fromiter((array is None for array in sketch["right_delays"]), bool, len(lengths)), lengths)
    return np.stack([n, right, np.where(old, np.abs(n), unsplit)])


def _whole(values: list[bytes | None]) -> Ints:
    """A column of bigints, none of them NULL."""
    return np.frombuffer(b"".join(value or bytes(8) for value in values), ">i8").astype(np.int64)


def _lengths(arrays: list[bytes | None], kind: str) -> Ints:
    """The number of elements of each array; NULL has none."""
    bytes_of = np.fromiter((len(array) if array else _EMPTY for array in arrays), np.int64, len(arrays))
    return np.maximum(0, bytes_of - _HEADER) // _ELEMENT[kind].itemsize


def _elements(arrays: list[bytes | None], lengths: Ints, kind: str) -> Ints:
    """All elements of a column of arrays without NULL elements; an array that is NULL is zeros."""
    element = _ELEMENT[kind]
    parts = [
        array[_HEADER:] if array is not None else bytes(element.itemsize * length)
        for array, length in zip(arrays, lengths.tolist(), strict=True)
    ]
    return np.frombuffer(b"".join(parts), element)["value"].astype(np.int64)
