"""Columns between numpy and Postgres, in Postgres's binary array format: one buffer a column, no object a value.

Wrap a column to send it: `Int8Array(values)`, `TextArray(strings)`. What comes back is an ndarray when the cursor is
made by `array_cursor`, or `load_array(buffer)` turns one raw value into it. Instants are int64 microseconds since the
Unix epoch.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.rows import TupleRow

Column: TypeAlias = npt.NDArray[np.generic]
Mask: TypeAlias = npt.NDArray[np.bool_]

POSTGRES_EPOCH_US: Final = 946_684_800_000_000
"""2000-01-01 00:00 UTC, where Postgres counts from, in microseconds since the Unix epoch."""

_LENGTH: Final = ">i4"
_read_length: Final = struct.Struct(">i").unpack_from
_NULL: Final = b"\xff\xff\xff\xff"
_VECTOR: Final = 20  # bytes of header before the first element of a one-dimensional array

_BOOL, _BYTEA, _INT8, _INT2, _INT4, _TEXT, _FLOAT8, _TIMESTAMPTZ, _UUID, _JSONB = (
    16, 17, 20, 21, 23, 25, 701, 1184, 2950, 3802,
)  # fmt: skip

_WIRE: Final[dict[int, tuple[str, type[np.generic] | str]]] = {
    _BOOL: ("?", np.bool_),
    _INT2: (">i2", np.int16),
    _INT4: (">i4", np.int32),
    _INT8: (">i8", np.int64),
    _FLOAT8: (">f8", np.float64),
    _TIMESTAMPTZ: (">i8", np.int64),
    _UUID: ("V16", "V16"),
}
"""Element oid -> (type on the wire, type in numpy)."""


class FixedArray:
    """A one-dimensional column of fixed-width values; `nulls` (same length, True = NULL) may be left out.

    A masked value may be anything. `UuidArray` takes V16, `TimestamptzArray` int64 microseconds since the Unix epoch.
    """

    __slots__ = ("nulls", "values")
    oid: ClassVar[int]
    element: ClassVar[int]

    def __init__(self, values: npt.ArrayLike, nulls: Mask | None = None) -> None:
        self.values = np.asarray(values)
        self.nulls = nulls


class BoolArray(FixedArray):
    """bool[]"""

    oid, element = 1000, _BOOL


class Int2Array(FixedArray):
    """smallint[]"""

    oid, element = 1005, _INT2


class Int4Array(FixedArray):
    """integer[]"""

    oid, element = 1007, _INT4


class Int8Array(FixedArray):
    """bigint[]"""

    oid, element = 1016, _INT8


class Float8Array(FixedArray):
    """double precision[]; NaN stays NaN unless `nulls` names it"""

    oid, element = 1022, _FLOAT8


class TimestamptzArray(FixedArray):
    """timestamptz[]"""

    oid, element = 1185, _TIMESTAMPTZ


class UuidArray(FixedArray):
    """uuid[]"""

    oid, element = 2951, _UUID


class TextArray:
    """text[] of strings; None is NULL. A NUL character is refused by Postgres, so callers reject it before."""

    __slots__ = ("values",)
    oid: ClassVar[int] = 1009
    element: ClassVar[int] = _TEXT
    prefix: ClassVar[bytes] = b""

    def __init__(self, values: Sequence[str | bytes | None]) -> None:
        self.values = values


class ByteaArray(TextArray):
    """bytea[]; None is NULL."""

    __slots__ = ()
    oid, element = 1001, _BYTEA


class JsonbArray(TextArray):
    """jsonb[] of encoded JSON documents; None is NULL."""

    __slots__ = ()
    oid, element, prefix = 3807, _JSONB, b"\x01"


def dump_fixed(column: FixedArray) -> bytes:
    """The binary form of a fixed-width column.

    Raises ValueError unless it has one dimension, OverflowError when a whole number does not fit.
    """
    values = column.values
    if values.ndim != 1:
        raise ValueError(f"a column has one dimension, this one has {values.ndim}")
    wire = np.dtype(_WIRE[column.element][0])
    rows = np.empty(len(values), np.dtype([("length", _LENGTH), ("value", wire)]))
    rows["length"] = wire.itemsize
    rows["value"] = _to_wire(values, column.element, wire, column.nulls)
    if column.nulls is None or not column.nulls.any():
        return _header(len(rows), column.element, has_nulls=False) + rows.tobytes()
    rows["length"][column.nulls] = -1
    kept = np.ones((len(rows), rows.itemsize), bool)
    kept[column.nulls, 4:] = False
    body = rows.view(np.uint8).reshape(len(rows), rows.itemsize)[kept]
    return _header(len(rows), column.element, has_nulls=True) + body.tobytes()


def dump_variable(column: TextArray) -> bytes:
    """The binary form of a column of strings or bytes."""
    prefix = column.prefix
    bodies = [value.encode() if isinstance(value, str) else value for value in column.values]
    if prefix:
        bodies = [None if body is None else prefix + body for body in bodies]
    has_nulls = None in bodies
    if has_nulls:
        parts = [_NULL if body is None else _length(len(body)) + body for body in bodies]
    else:
        parts = [_length(len(body)) + body for body in bodies if body is not None]
    return _header(len(bodies), column.element, has_nulls=has_nulls) + b"".join(parts)


def load_array(buffer: Buffer, null: float | None = None) -> Column:
    """One binary value of a fixed-width array type -> a writable ndarray of shape (n,), in native byte order.

    NULL elements read as NaN in double precision, and as `null` elsewhere; raises ValueError where none is given.
    """
    element, n, has_nulls = _read_header(buffer)
    try:
        wire, native = _WIRE[element]
    except KeyError:
        raise ValueError(f"arrays of type oid {element} are not fixed-width columns") from None
    if n == 0:
        return np.empty(0, native)
    if has_nulls:
        values, nulls = _with_nulls(buffer, n, np.dtype(wire))
        if element != _FLOAT8 and null is None:
            raise ValueError("the array has NULL elements, and no value was given to stand for them")
        loaded = _from_wire(values, element, native)
        loaded[nulls] = np.nan if null is None else null
        return loaded
    rows = np.frombuffer(buffer, np.dtype([("length", _LENGTH), ("value", wire)]), count=n, offset=_VECTOR)
    return _from_wire(rows["value"], element, native)


def load_nulls(buffer: Buffer) -> Mask:
    """Which elements of one binary array value are NULL: bool, shape (n,)."""
    element, n, has_nulls = _read_header(buffer)
    if not has_nulls:
        return np.zeros(n, bool)
    if element in _WIRE:
        return _with_nulls(buffer, n, np.dtype(_WIRE[element][0]))[1]
    return np.array([value is None for value in load_bytes(buffer)], bool)


def load_bytes(buffer: Buffer) -> list[bytes | None]:
    """One binary value of bytea[] or text[] -> its elements as bytes; NULL is None."""
    _, n, _ = _read_header(buffer)
    view = bytes(buffer)
    values: list[bytes | None] = []
    at = _VECTOR
    for _ in range(n):
        (length,) = _read_length(view, at)
        start = at + 4
        at = start if length < 0 else start + length
        values.append(None if length < 0 else view[start:at])
    return values


def load_text(buffer: Buffer) -> list[str | None]:
    """One binary value of text[] -> its elements; NULL is None."""
    return [None if value is None else value.decode() for value in load_bytes(buffer)]


def array_cursor(connection: psycopg.Connection[TupleRow]) -> psycopg.Cursor[TupleRow]:
    """A cursor that answers in binary and gives fixed-width arrays as ndarrays (NULL elements: NaN, or an error)."""
    cursor = connection.cursor(binary=True)
    for kind in (BoolArray, Int2Array, Int4Array, Int8Array, Float8Array, TimestamptzArray, UuidArray):
        cursor.adapters.register_loader(kind.oid, _ArrayLoader)
    return cursor


@lru_cache(maxsize=4096)
def _length(n: int) -> bytes:
    return struct.pack(">i", n)


def _header(n: int, element: int, *, has_nulls: bool) -> bytes:
    if n == 0:
        return struct.pack(">iiI", 0, 0, element)
    return struct.pack(">iiIii", 1, has_nulls, element, n, 1)


def _read_header(buffer: Buffer) -> tuple[int, int, bool]:
    dimensions, has_nulls, element = struct.unpack_from(">iiI", buffer)
    if dimensions == 0:
        return element, 0, False
    if dimensions != 1:
        raise ValueError(f"a column has one dimension, this one has {dimensions}")
    (n,) = struct.unpack_from(">i", buffer, 12)
    return element, n, bool(has_nulls)


def _to_wire(values: Column, element: int, wire: np.dtype[np.generic], nulls: Mask | None) -> Column:
    if element == _TIMESTAMPTZ:
        return values.astype(np.int64, casting="same_kind") - POSTGRES_EPOCH_US
    if element == _UUID:
        return values.astype("V16", casting="safe")
    if wire.kind == "i" and not np.can_cast(values.dtype, wire):
        if values.dtype.kind not in "iu":
            raise TypeError(f"a column of whole numbers takes integers, not {values.dtype}")
        shown = values if nulls is None else values[~nulls]
        if not np.array_equal(shown.astype(wire), shown):
            raise OverflowError(f"a value does not fit the {wire.itemsize} bytes of the column")
    return values


def _from_wire(values: Column, element: int, native: type[np.generic] | str) -> Column:
    loaded: Column = values.astype(native)
    if element == _TIMESTAMPTZ:
        loaded = np.add(loaded, POSTGRES_EPOCH_US, dtype=np.int64)
    return loaded


def _with_nulls(buffer: Buffer, n: int, wire: np.dtype[np.generic]) -> tuple[Column, Mask]:
    view = bytes(buffer)
    width = wire.itemsize
    at = _VECTOR
    found = [False] * n
    for place in range(n):
        if view[at] == 0xFF:  # the first byte of the length -1
            found[place] = True
            at += 4
        else:
            at += 4 + width
    nulls = np.array(found, bool)
    before = np.cumsum(~nulls) - ~nulls
    positions = _VECTOR + 4 * np.arange(1, n + 1) + width * before
    padded = np.frombuffer(view + bytes(width), np.uint8)
    values = padded[positions[:, None] + np.arange(width)].copy().view(wire).reshape(n)
    values[nulls] = np.zeros(1, wire)[0]
    return values, nulls


class _FixedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: FixedArray) -> bytes:
        return dump_fixed(obj)


class _VariableDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: TextArray) -> bytes:
        return dump_variable(obj)


class _ArrayLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> Any:
        return load_array(data)


def _register() -> None:
    for kind in (BoolArray, Int2Array, Int4Array, Int8Array, Float8Array, TimestamptzArray, UuidArray):
        psycopg.adapters.register_dumper(kind, type(f"{kind.__name__}Dumper", (_FixedDumper,), {"oid": kind.oid}))
    for each in (TextArray, ByteaArray, JsonbArray):
        psycopg.adapters.register_dumper(each, type(f"{each.__name__}Dumper", (_VariableDumper,), {"oid": each.oid}))


_register()
