"""Columns of integers: adding up the rows that share a key, and a compact form in bytes."""

import struct
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from monitor.calibration.cells import UNIT
from monitor.rolling.rows import Int64s

Integers: TypeAlias = npt.NDArray[np.int16] | npt.NDArray[np.int32] | npt.NDArray[np.int64]
Part: TypeAlias = tuple[Sequence[Integers], Mapping[int, Int64s]]
"""Key columns, each (m,), and by row those sums, each (m,), that are not all zero."""

_HEAD: Final = struct.Struct("<qBB")
_WIDTHS: Final[dict[int, np.dtype[np.unsignedinteger]]] = {
    1: np.dtype("u1"),
    2: np.dtype("<u2"),
    4: np.dtype("<u4"),
    8: np.dtype("<u8"),
}


def added_up(parts: Sequence[Part], keys: int, rows: int) -> tuple[list[Int64s], Int64s]:
    """The parts as one: equal keys added up, ascending by key, none with only zeros; `keys` and `rows` say how many.

    Raises OverflowError where the ranges of the keys do not fit 62 bits together.
    """
    parts = [part for part in parts if len(part[0][0])]
    if not parts:
        return [np.zeros(0, np.int64)] * keys, np.zeros((rows, 0), np.int64)
    columns = [np.concatenate([part[place] for part, _ in parts]).astype(np.int64, copy=False) for place in range(keys)]
    packed = _packed(columns)
    order = np.argsort(packed)
    packed = packed[order]
    first = np.flatnonzero(np.concatenate([[True], packed[1:] != packed[:-1]]))
    added = np.zeros((rows, len(first)), np.int64)
    for row in sorted({row for _, sums in parts for row in sums}):
        column = np.concatenate([sums.get(row, _zeros(len(keys_of[0]))) for keys_of, sums in parts])
        np.add.reduceat(column[order], first, out=added[row])
    used = np.flatnonzero(added.any(axis=0))
    if len(used) < len(first):
        first, added = first[used], added[:, used]
    one_of_each = order[first]
    return [column[one_of_each] for column in columns], added


def _zeros(n: int) -> Int64s:
    return np.zeros(n, np.int64)


def _packed(columns: Sequence[Int64s]) -> Int64s:
    """One number a row, in the order of the columns."""
    least = [int(column.min()) for column in columns]
    ranges = [int(column.max()) - low + 1 for column, low in zip(columns, least, strict=True)]
    total = 1
    for size in ranges:
        total *= size
    if total >= 1 << 62:
        raise OverflowError(f"keys that range over {ranges} do not fit one number")
    packed = columns[0] - least[0]
    for column, low, size in zip(columns[1:], least[1:], ranges[1:], strict=True):
        packed = packed * size + (column - low)
    return packed


def to_bytes(column: Integers) -> bytes:
    """A column in bytes: its least value, whether all are multiples of 1e9, the width of a number, then the numbers.

    They are little-endian and unsigned, of width 0 where all are equal. An empty column is no bytes.
    """
    if not len(column):
        return b""
    wide = column.astype(np.int64)
    least, greatest = int(wide.min()), int(wide.max())
    whole = bool(least or greatest) and least % UNIT == 0 and not (wide % UNIT).any()
    if whole:
        wide, least, greatest = wide // UNIT, least // UNIT, greatest // UNIT
    width = 0 if least == greatest else next(size for size in _WIDTHS if greatest - least < 1 << 8 * size)
    head = _HEAD.pack(least, whole, width)
    if not width:
        return head
    return head + (wide.view(np.uint64) - np.array(least).astype(np.uint64)).astype(_WIDTHS[width]).tobytes()


def from_bytes(payload: bytes, at: int, length: int) -> tuple[Int64s, int]:
    """A column that `to_bytes` wrote, and where it ends. Raises ValueError, KeyError or struct.error."""
    if not length:
        return np.zeros(0, np.int64), at
    least, whole, width = _HEAD.unpack_from(payload, at)
    at += _HEAD.size
    if width:
        numbers = np.frombuffer(payload, _WIDTHS[width], length, at).astype(np.uint64).view(np.int64) + least
    else:
        numbers = np.full(length, least, np.int64)
    return numbers * UNIT if whole else numbers, at + width * length
