"""Exact sums by bin of confidence, for one sketch or for many at once."""

import functools
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from monitor.calibration.cells import RANK, UNIT, Edges, FloatArray, Int16Array, Int64Array, bin_of_cells, position
from monitor.calibration.sketch import Row, Sketch

BINNED: Final = (Row.N, Row.C, Row.C2, Row.Y)
"""The rows of a sketch's sums that bins keep, in their order."""


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Sums of the labelled predictions in each bin: int64 of shape (..., bins), additive like the sketch itself.

    `n` labels; `sum_c`, `sum_c2`, `sum_y` of confidence, its square and outcome in 1e-9.
    """

    n: Int64Array
    sum_c: Int64Array
    sum_c2: Int64Array
    sum_y: Int64Array

    @property
    def gap(self) -> FloatArray:
        """Sum of confidence minus outcome in each bin, in labels; positive means over-confident."""
        return np.asarray((self.sum_c - self.sum_y) / UNIT)

    @property
    def total(self) -> Int64Array:
        """Labels over all bins, of shape (...)."""
        return np.asarray(self.n.sum(axis=-1))

    def merged(self, count: int) -> "Bins":
        """Neighbours added up, so that there are `count` of them, which divides their number."""
        step = self.n.shape[-1] // count
        rows = (self.n, self.sum_c, self.sum_c2, self.sum_y)
        return Bins(*(functools.reduce(np.add, (row[..., k::step] for k in range(step))) for row in rows))


@dataclass(frozen=True, slots=True, eq=False)
class Ordered:
    """Cells of one sketch in order of confidence; all arrays of shape (k,).

    `n` labels, `right` sum of outcomes (float), `position` in 0..1, and the sums of the sketch that belong to them.
    """

    cells: Int16Array
    n: Int64Array
    right: FloatArray
    position: FloatArray
    sums: Int64Array

    @property
    def n_pred(self) -> Int64Array:
        """(k,) predictions, with a label or without."""
        column: Int64Array = self.sums[Row.N_PRED]
        return column


def labelled(sketch: Sketch) -> Ordered:
    """The cells of a sketch that hold labels."""
    kept = sketch.sums[Row.N] != 0
    return ordered(replace(sketch, cells=sketch.cells[kept], sums=sketch.sums[:, kept]))


def ordered(sketch: Sketch) -> Ordered:
    """All cells of a sketch, with labels or without."""
    order = np.argsort(RANK[sketch.cells])
    cells, sums = sketch.cells[order], sketch.sums[:, order]
    n = sums[Row.N]
    return Ordered(cells, n, sums[Row.Y] / UNIT, position(cells, n, sums[Row.C]), sums)


def equal_width(sketch: Sketch, count: int, edges: Edges) -> Bins:
    """Sums by equal-width bin, shape (count,)."""
    return grouped(bin_of_cells(count, edges)[sketch.cells], sketch.sums, count)


def equal_mass_bins(view: Ordered, count: int) -> Int64Array:
    """Which of `count` bins of nearly equal mass each cell belongs to, shape (k,), by the middle rank of the cell.

    Cells are never cut: equal confidences share a bin, so some bins may be larger and some empty.
    """
    below = np.cumsum(view.n) - view.n
    return np.asarray((2 * below + view.n) * count // (2 * int(view.n.sum())))


def grouped(bins: Int64Array, sums: Int64Array, count: int) -> Bins:
    """Sums by bin number 0..count-1, exact: bins (k,), sums (rows, k) with rows as in `Row`."""
    rows = np.zeros((len(BINNED), count), dtype=np.int64)
    for out, row in zip(rows, BINNED, strict=True):
        np.add.at(out, bins, sums[row])
    return Bins(*rows)


def run_starts(numbers: Int64Array | FloatArray) -> Int64Array:
    """Where runs of equal numbers begin, ascending; there is at least one number."""
    return np.flatnonzero(np.concatenate([[True], numbers[1:] != numbers[:-1]]))


def equal_mass(view: Ordered, count: int) -> Bins:
    """Sums by bin of nearly equal mass, shape (count,); there is at least one label."""
    return grouped(equal_mass_bins(view, count), view.sums, count)


def ece_of(bins: Bins) -> float:
    """ECE of the bins of one sketch, shape (bins,), which hold at least one label."""
    return int(np.abs(bins.sum_c - bins.sum_y).sum()) / (int(bins.total) * UNIT)
