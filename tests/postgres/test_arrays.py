"""Columns survive the way to Postgres and back, and mean there what plain psycopg makes of the same values."""

import math
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.postgres import arrays
from monitor.postgres.arrays import (
    BoolArray,
    ByteaArray,
    FixedArray,
    Float8Array,
    Int2Array,
    Int4Array,
    Int8Array,
    JsonbArray,
    TextArray,
    TimestamptzArray,
    UuidArray,
    array_cursor,
    load_array,
    load_bytes,
    load_nulls,
    load_text,
)
from monitor.postgres.database import Connection

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

INTEGERS = [(Int2Array, np.int16, "int2"), (Int4Array, np.int32, "int4"), (Int8Array, np.int64, "int8")]
microseconds = st.integers(-(10**15), 10**17)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def as_python_sees(connection: Connection, column: FixedArray | TextArray) -> list[object]:
    row = connection.execute("SELECT %s", (column,)).fetchone()
    assert row is not None
    return list(row[0])


def raw(connection: Connection, cast: str, values: Sequence[object]) -> bytes:
    with connection.cursor(binary=True) as cursor:
        cursor.execute(f"SELECT %s::{cast}[]".encode(), (list(values),))
        result = cursor.pgresult
        assert result is not None
        value = result.get_value(0, 0)
        assert value is not None
        return bytes(value)


@pytest.mark.parametrize(("kind", "dtype", "cast"), INTEGERS)
def test_whole_numbers_arrive_and_come_back_as_they_are(
    plain: Connection, kind: type[FixedArray], dtype: type[np.signedinteger], cast: str
) -> None:
    bounds = np.iinfo(dtype)
    values = np.array([0, -1, 1, bounds.min, bounds.max], dtype)
    assert as_python_sees(plain, kind(values)) == values.tolist()
    back = load_array(raw(plain, cast, values.tolist()))
    assert back.dtype == dtype
    assert back.dtype.isnative
    np.testing.assert_array_equal(back, values)


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.integers(-(2**63), 2**63 - 1) | st.none()))
def test_nulls_among_whole_numbers_are_the_nulls_of_plain_psycopg(plain: Connection, values: list[int | None]) -> None:
    nulls = np.array([value is None for value in values], bool)
    filled = np.array([7 if value is None else value for value in values], np.int64)
    assert as_python_sees(plain, Int8Array(filled, nulls)) == values
    buffer = raw(plain, "int8", values)
    np.testing.assert_array_equal(load_nulls(buffer), nulls)
    np.testing.assert_array_equal(load_array(buffer, null=7), filled)


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(allow_nan=False) | st.none()))
def test_double_precision_comes_back_bit_for_bit_and_null_as_nan(plain: Connection, values: list[float | None]) -> None:
    nulls = np.array([value is None for value in values], bool)
    filled = np.array([math.nan if value is None else value for value in values], np.float64)
    assert as_python_sees(plain, Float8Array(filled, nulls)) == values
    back = load_array(raw(plain, "float8", values))
    assert back[~nulls].tobytes() == filled[~nulls].tobytes()
    assert np.isnan(back[nulls].astype(np.float64)).all()


@settings(max_examples=30, deadline=None)
@given(values=st.lists(microseconds))
def test_instants_are_microseconds_since_the_unix_epoch(plain: Connection, values: list[int]) -> None:
    column = np.array(values, np.int64)
    instants = [EPOCH + timedelta(microseconds=value) for value in values]
    assert as_python_sees(plain, TimestamptzArray(column)) == instants
    np.testing.assert_array_equal(load_array(raw(plain, "timestamptz", instants)), column)


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.uuids() | st.none()))
def test_ids_keep_their_sixteen_bytes(plain: Connection, values: list[uuid.UUID | None]) -> None:
    nulls = np.array([value is None for value in values], bool)
    column = np.frombuffer(b"".join(bytes(16) if value is None else value.bytes for value in values), "V16")
    assert as_python_sees(plain, UuidArray(column, nulls)) == values
    known = [value for value in values if value is not None]
    back = load_array(raw(plain, "uuid", known))
    assert back.tobytes() == b"".join(value.bytes for value in known)


@settings(max_examples=30, deadline=None)
@given(values=st.lists(texts | st.none()))
def test_texts_and_bytes_with_nulls_arrive_as_they_are(plain: Connection, values: list[str | None]) -> None:
    encoded = [None if value is None else value.encode() for value in values]
    assert as_python_sees(plain, TextArray(values)) == values
    assert as_python_sees(plain, ByteaArray(encoded)) == encoded
    assert load_text(raw(plain, "text", values)) == values
    assert load_bytes(raw(plain, "bytea", encoded)) == encoded
    np.testing.assert_array_equal(load_nulls(raw(plain, "text", values)), [value is None for value in values])


def test_json_documents_arrive_parsed(plain: Connection) -> None:
    assert as_python_sees(plain, JsonbArray(['{"a": 1}', None, b"[0.1]"])) == [{"a": 1}, None, [0.1]]


def test_booleans_arrive_and_come_back(plain: Connection) -> None:
    values = [True, False, True]
    assert as_python_sees(plain, BoolArray(np.array(values))) == values
    assert load_array(raw(plain, "bool", values)).tolist() == values


@pytest.mark.parametrize("n", [0, 1, 1000])
def test_columns_unnest_to_rows_of_one_query(plain: Connection, n: int) -> None:
    numbers = np.arange(n, dtype=np.int64)
    rows = plain.execute(
        "SELECT a, b FROM unnest(%s, %s) AS s (a, b)", (Int8Array(numbers), Float8Array(numbers / 8))
    ).fetchall()
    assert rows == [(i, i / 8) for i in range(n)]


def test_an_array_cursor_gives_arrays_as_columns_and_everything_else_as_before(plain: Connection) -> None:
    with array_cursor(plain) as cursor:
        cursor.execute("SELECT array[1, 2]::bigint[], '{}'::int2[], array[0.5]::float8[], 'text', NULL::bigint[], 3")
        row = cursor.fetchone()
    assert row is not None
    whole, none, halves, text, missing, number = row
    assert (whole.tolist(), whole.dtype, none.tolist(), none.dtype) == ([1, 2], np.int64, [], np.int16)
    assert (halves.tolist(), text, missing, number) == ([0.5], "text", None, 3)
    whole += 1
    assert whole.tolist() == [2, 3]


def test_a_null_without_a_stand_in_is_an_error_and_not_a_number(plain: Connection) -> None:
    with pytest.raises(ValueError, match="NULL elements"):
        load_array(raw(plain, "int8", [1, None]))


def test_a_number_that_does_not_fit_is_an_error_and_not_another_number() -> None:
    with pytest.raises(OverflowError, match="2 bytes"):
        arrays.dump_fixed(Int2Array(np.array([1, 40_000], np.int64)))
    assert arrays.dump_fixed(Int2Array(np.array([1, 2], np.int64))) == arrays.dump_fixed(
        Int2Array(np.array([1, 2], np.int16))
    )
    masked = Int2Array(np.array([1, 40_000], np.int64), np.array([False, True]))
    assert load_nulls(arrays.dump_fixed(masked)).tolist() == [False, True]


def test_fractions_do_not_pass_for_whole_numbers() -> None:
    with pytest.raises(TypeError, match="integers"):
        arrays.dump_fixed(Int8Array(np.array([1.5])))


def test_a_matrix_is_no_column(plain: Connection) -> None:
    with pytest.raises(ValueError, match="one dimension"):
        arrays.dump_fixed(Int8Array(np.zeros((2, 2), np.int64)))
    with pytest.raises(ValueError, match="one dimension"):
        load_array(raw(plain, "int8", [[1], [2]]))


def test_an_array_of_another_type_is_refused_by_name_of_its_oid(plain: Connection) -> None:
    with pytest.raises(ValueError, match="oid 25"):
        load_array(raw(plain, "text", ["a"]))
