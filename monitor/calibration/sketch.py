"""The calibration sketch: integer sums per cell, which add, subtract and merge in any order to the same integers."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from typing import Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.calibration.cells import (
    CELLS,
    UNIT,
    VERSION,
    Int16Array,
    Int64Array,
    cell_index,
    delay_bucket,
    fixed,
)
from monitor.errors import Refused


class Row(IntEnum):
    """The rows of `Sketch.sums`. Counts are plain; the sums of c, y and their products are in 1e-9.

    The `EXCESS` rows are what labels with a sampling propensity add beyond weight 1 (w = 1/propensity, at most 1e4):
    the first three in 1e-6, the three of w squared in 1e-3. They are all 0 where no propensity was given.
    """

    N_PRED = 0
    N = 1
    C = 2
    C2 = 3
    Y = 4
    CY = 5
    EXCESS_W = 6
    EXCESS_WY = 7
    EXCESS_WC = 8
    EXCESS_W2 = 9
    EXCESS_W2Y = 10
    EXCESS_W2C = 11


class DelayRow(IntEnum):
    """The rows of `Sketch.delay_sums`: of each bucket of label delays the labels, and how many of them were right.

    `UNSPLIT` counts labels that were added without their outcome, by programs that did not keep it. A correction takes
    none of them away, so `Y` of a bucket is exact where `UNSPLIT` is 0, and says nothing where it is not.
    """

    N = 0
    Y = 1
    UNSPLIT = 2


ROWS: Final = len(Row)
DELAY_ROWS: Final = len(DelayRow)
Names = TypeVar("Names", Int16Array, Int64Array)
SUMS: Final = (
    "n_pred",
    "n",
    "sum_c",
    "sum_c2",
    "sum_y",
    "sum_cy",
    "excess_w",
    "excess_wy",
    "excess_wc",
    "excess_w2",
    "excess_w2y",
    "excess_w2c",
)
MAX_WEIGHT: Final = 1e4
_LIMIT = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """Sums of a set of predictions and labels by cell of confidence.

    `cells` int16 (k,), ascending and unique; `sums` int64 (12, k), rows as in `Row`; `delay_buckets` int16 (d,),
    ascending and unique; `delay_sums` int64 (3, d), rows as in `DelayRow`. No cell and no bucket has only zeros, so
    equal contents are equal arrays. A difference of two sketches may hold negative numbers.
    """

    cells: Int16Array
    sums: Int64Array
    delay_buckets: Int16Array
    delay_sums: Int64Array

    @property
    def delays(self) -> Int64Array:
        """Labels in each bucket of delays, shape (d,)."""
        column: Int64Array = self.delay_sums[DelayRow.N]
        return column

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sketch):
            return NotImplemented
        return (
            np.array_equal(self.cells, other.cells)
            and np.array_equal(self.sums, other.sums)
            and np.array_equal(self.delay_buckets, other.delay_buckets)
            and np.array_equal(self.delay_sums, other.delay_sums)
        )

    def __hash__(self) -> int:
        return hash(digest(self))

    def row(self, row: Row) -> Int64Array:
        """One sum of every cell, shape (k,)."""
        column: Int64Array = self.sums[row]
        return column

    def total(self, row: Row) -> int:
        """One sum over all cells."""
        return int(np.add.reduce(self.sums[row]))


def empty() -> Sketch:
    """The sketch of nothing: what `merge` leaves unchanged."""
    none = np.zeros(0, np.int16)
    return Sketch(none, np.zeros((ROWS, 0), np.int64), none, np.zeros((DELAY_ROWS, 0), np.int64))


def contributions(
    confidence: ArrayLike,
    outcome: ArrayLike,
    *,
    predicted: ArrayLike | None = None,
    propensity: ArrayLike | None = None,
) -> Int64Array:
    """What each of k events adds to its cell: int64 (12, k), rows as in `Row`.

    confidence (k,) in 0..1; outcome (k,) in 0..1, NaN where there is no label; predicted (k,) true where the event
    counts as a prediction (default: all); propensity (k,) in (0, 1], NaN where none was given. A correction subtracts
    what the old label added and adds the new one; both are exact. Raises ValueError for values outside these ranges.
    """
    c, y = np.asarray(confidence, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    labelled = ~np.isnan(y)
    if not bool(np.all((y[labelled] >= 0) & (y[labelled] <= 1))):
        raise ValueError("an outcome outside 0..1 reached the sketch")
    added = np.zeros((ROWS, len(c)), dtype=np.int64)
    added[Row.N_PRED] = 1 if predicted is None else np.asarray(predicted, dtype=bool)
    y = np.where(labelled, y, 0.0)
    added[Row.N] = labelled
    for row, value in ((Row.C, c), (Row.C2, c * c), (Row.Y, y), (Row.CY, c * y)):
        added[row] = np.where(labelled, fixed(value), 0)
    if propensity is not None:
        _add_excess(added, c, y, labelled, np.asarray(propensity, dtype=np.float64))
    return added


def _add_excess(
    added: Int64Array,
    c: NDArray[np.float64],
    y: NDArray[np.float64],
    labelled: NDArray[np.bool_],
    propensity: NDArray[np.float64],
) -> None:
    weighted = labelled & ~np.isnan(propensity)
    p = propensity[weighted]
    if not bool(np.all((p > 0) & (p <= 1))):
        raise ValueError("a propensity outside (0, 1] reached the sketch")
    w = 1.0 / np.maximum(p, 1.0 / MAX_WEIGHT)
    for rows, excess, unit in (
        ((Row.EXCESS_W, Row.EXCESS_WY, Row.EXCESS_WC), w - 1.0, 1e6),
        ((Row.EXCESS_W2, Row.EXCESS_W2Y, Row.EXCESS_W2C), w * w - 1.0, 1e3),
    ):
        for row, value in zip(rows, (np.ones(len(w)), y[weighted], c[weighted]), strict=True):
            added[row, weighted] = np.floor(excess * value * unit + 0.5).astype(np.int64)


def gather(keys: Int64Array, columns: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Add up the columns that share a key: keys (m,), columns (r, m) -> unique ascending keys (k,), sums (r, k).

    Columns that become all zero are dropped. Many sketches are merged at once with keys such as series * CELLS + cell.
    Raises Refused when a sum might leave 64 bits.
    """
    if len(keys) == 0:
        return keys, columns
    names: Int64Array
    if int(keys.max()) < max(CELLS, 2 * len(keys)):
        names, slots = np.arange(int(keys.max()) + 1, dtype=np.int64), keys
    else:
        names, slots = np.unique(keys, return_inverse=True)
    _refuse_overflow(columns, slots, len(names))
    sums = np.zeros((len(columns), len(names)), dtype=np.int64)
    for row, column in enumerate(columns):
        if column.any():
            np.add.at(sums[row], slots, column)
    used = sums.any(axis=0)
    return names[used], np.ascontiguousarray(sums[:, used])


def _refuse_overflow(columns: Int64Array, slots: Int64Array, width: int) -> None:
    largest = max(int(columns.max(initial=0)), -int(columns.min(initial=0)))
    if largest * columns.shape[1] < _LIMIT:
        return
    for column in columns:
        if np.bincount(slots, np.abs(column.astype(np.float64)), width).max() >= _LIMIT:
            raise Refused("the sums of one cell would leave 64 bits; nothing was added")


def _merged(parts: Iterable[tuple[Sketch, int]]) -> Sketch:
    signed = [(part, sign) for part, sign in parts if len(part.cells) or len(part.delay_buckets)]
    if not signed:
        return empty()
    cells, sums = gather(
        np.concatenate([part.cells for part, _ in signed]).astype(np.int64),
        np.concatenate([part.sums if sign > 0 else -part.sums for part, sign in signed], axis=1),
    )
    buckets, delays = gather(
        np.concatenate([part.delay_buckets for part, _ in signed]).astype(np.int64),
        np.concatenate([part.delay_sums if sign > 0 else -part.delay_sums for part, sign in signed], axis=1),
    )
    return Sketch(cells.astype(np.int16), sums, buckets.astype(np.int16), delays)


def merge(*sketches: Sketch) -> Sketch:
    """The sketch of everything that the given ones hold. Associative, commutative, exact; `merge()` is empty.

    Raises Refused when a sum might leave 64 bits.
    """
    if len(sketches) == 2:
        larger, smaller = sorted(sketches, key=lambda sketch: len(sketch.cells), reverse=True)
        return _with(larger, smaller, 1)
    return _merged((sketch, 1) for sketch in sketches)


def subtract(whole: Sketch, part: Sketch) -> Sketch:
    """`whole` without `part`: merge(subtract(whole, part), part) == whole, exactly."""
    return _with(whole, part, -1)


def _with(whole: Sketch, part: Sketch, sign: int) -> Sketch:
    """The sum of two. A change to cells that are there already, the usual case, costs little more than a copy."""
    changed = added_in_place(whole.cells, whole.sums, part.cells, sign * part.sums)
    delays = added_in_place(whole.delay_buckets, whole.delay_sums, part.delay_buckets, sign * part.delay_sums)
    if changed is None or delays is None:
        return _merged([(whole, 1), (part, sign)])
    (kept, sums), (kept_buckets, delay_sums) = changed, delays
    return Sketch(whole.cells[kept], sums, whole.delay_buckets[kept_buckets], delay_sums)


def added_in_place(
    names: Names, sums: Int64Array, changed: Names, change: Int64Array
) -> tuple[NDArray[np.bool_] | slice, Int64Array] | None:
    """The sums with a change to some columns that are there; None if one is not there, or may leave 64 bits.

    names (k,) and changed (m,) ascending and unique; sums (r, k), change (r, m). Returns which columns are kept, as an
    index of `names`, and their sums: those that become all zero are not. No array that is given is altered.
    """
    if not len(changed):
        return slice(None), sums
    at = np.searchsorted(names, changed)
    if not len(names) or at[-1] == len(names) or not np.array_equal(names[at], changed):
        return None
    touched = sums[:, at] + change
    if max(int(touched.max()), -int(touched.min())) >= _LIMIT:
        return None
    result = sums.copy()
    result[:, at] = touched
    gone = at[~touched.any(axis=0)]
    if not len(gone):
        return slice(None), result
    kept = np.ones(len(names), dtype=bool)
    kept[gone] = False
    return kept, np.ascontiguousarray(result[:, kept])


def sketch_of(
    confidence: ArrayLike,
    outcome: ArrayLike,
    *,
    predicted: ArrayLike | None = None,
    propensity: ArrayLike | None = None,
    delay_us: ArrayLike | None = None,
) -> Sketch:
    """The sketch of k events given by columns; see `contributions` for theirs.

    delay_us (k,): from prediction to label in microseconds, read where there is a label.
    """
    sums_of = contributions(confidence, outcome, predicted=predicted, propensity=propensity)
    cells, sums = gather(cell_index(confidence).astype(np.int64), sums_of)
    buckets, delays = np.zeros(0, np.int64), np.zeros((DELAY_ROWS, 0), np.int64)
    if delay_us is not None:
        labelled = sums_of[Row.N] > 0
        buckets, delays = gather(
            delay_bucket(np.asarray(delay_us)[labelled]).astype(np.int64),
            np.stack([sums_of[Row.N, labelled], sums_of[Row.Y, labelled], np.zeros(labelled.sum(), np.int64)]),
        )
    return Sketch(cells.astype(np.int16), sums, buckets.astype(np.int16), delays)


def checked(sketch: Sketch) -> Sketch:
    """The sketch itself, if it can be the state of real events; Refused with the place of the defect if it cannot.

    A correction subtracts what was added before, so a negative count means that something was counted wrongly.
    """
    if len(sketch.cells) and not (int(sketch.cells[0]) >= 0 and int(sketch.cells[-1]) < CELLS):
        raise Refused(f"defect: a cell outside 0..{CELLS - 1}")
    for row in (Row.N_PRED, Row.N, Row.C, Row.C2, Row.Y, Row.CY):
        _refuse_where(sketch, sketch.row(row) < 0, row, "is below zero")
    for row in (Row.C, Row.C2, Row.Y, Row.CY):
        _refuse_where(sketch, sketch.row(row) > sketch.row(Row.N) * UNIT, row, "is more than its labels allow")
    n, right, unsplit = sketch.delay_sums
    outside = ((right < 0) | (right > n * UNIT)) & (unsplit == 0)
    for wrong, why in (
        (n < 0, "are below zero"),
        (unsplit < 0, "were split below zero"),
        (outside, "hold more or fewer right answers than labels"),
    ):
        places = np.flatnonzero(wrong)
        if len(places):
            raise Refused(f"defect: the label delays of bucket {int(sketch.delay_buckets[places[0]])} {why}")
    return sketch


def _refuse_where(sketch: Sketch, wrong: NDArray[np.bool_], row: Row, why: str) -> None:
    places = np.flatnonzero(wrong)
    if len(places):
        at = places[0]
        raise Refused(f"defect: {SUMS[row]} of cell {int(sketch.cells[at])} {why}: {int(sketch.sums[row, at])}")


def digest(sketch: Sketch) -> bytes:
    """16 bytes that are equal for equal sketches, on every machine: blake2b of the arrays in little-endian order."""
    hashed = blake2b(digest_size=16, person=b"caldrift-sketch%d" % VERSION)
    for array, kind in (
        (sketch.cells, "<i2"),
        (sketch.sums, "<i8"),
        (sketch.delay_buckets, "<i2"),
        (sketch.delay_sums, "<i8"),
    ):
        hashed.update(len(array).to_bytes(8, "little"))
        hashed.update(np.ascontiguousarray(array, dtype=kind).tobytes())
    return hashed.digest()
