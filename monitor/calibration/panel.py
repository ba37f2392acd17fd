"""A panel: the labelled cells of many series side by side, each series in order of confidence.

Every measure is computed for all series of a panel in one pass, and a single reading is a panel of one. Sums over a
series are added cell by cell in its own order, so neighbours in a panel change no digit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.calibration.bins import BINNED, Bins, run_starts
from monitor.calibration.cells import (
    CELLS,
    RANK,
    UNIT,
    Edges,
    FloatArray,
    Int64Array,
    Number,
    bin_of_cells,
    of_cells,
    position,
)
from monitor.calibration.sketch import Row, Sketch

LABELLED: Final = slice(Row.N, Row.CY + 1)
"""The rows of a sketch's sums that a panel keeps, in their order."""
CELLS_AT_ONCE: Final = 150_000
"""Cells of one panel, where there are many series: fewer cost more calls, more of them more memory than is kept."""
_FIRST: Final = int(Row.N)


@dataclass(frozen=True, eq=False)
class Panel:
    """S series with at least one label each, and their t labelled cells: those of a series stand together."""

    starts: Int64Array
    """(S,) the first cell of each series, ascending."""
    series: Int64Array
    """(t,) the series of each cell, 0..S-1, ascending."""
    cells: Int64Array
    """(t,) within a series in order of confidence."""
    position: FloatArray
    """(t,) the confidence that stands for the cell, 0..1."""
    sums: Int64Array
    """(5, t) labels, and in 1e-9 the sums of c, c squared, y and c y."""
    n: FloatArray
    """(t,) labels, at least 1."""
    right: FloatArray
    """(t,) sum of outcomes."""
    labels: FloatArray
    """(S,) labels of each series."""

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def wrong(self) -> FloatArray:
        """(t,) labels less the sum of outcomes."""
        return self.n - self.right

    @cached_property
    def right_and_half(self) -> FloatArray:
        """(t,) as `right` with one more label in each series, spread over its cells like the others and half right: so
        no series is certain because all its answers were right."""
        return self.right + self._half

    @cached_property
    def wrong_and_half(self) -> FloatArray:
        """(t,) as `wrong`, likewise."""
        return self.wrong + self._half

    @cached_property
    def _half(self) -> FloatArray:
        return self.n * self.spread(0.5 / self.labels)

    @cached_property
    def scratch(self) -> FloatArray:
        """(2, t) for whoever needs room: memory that is used again stays in the processor's cache."""
        return np.empty((2, len(self.cells)))

    @cached_property
    def sums_of_series(self) -> Int64Array:
        """(5, S) the sums over the cells of each series."""
        bounds = np.append(self.starts, len(self.cells))
        return np.asarray(np.diff(np.take(self._running, bounds, axis=1)), np.int64)

    @cached_property
    def n_up_to(self) -> Int64Array:
        """(t,) labels of the series at or below each cell."""
        return self._within(self._running[Row.N - _FIRST])

    @cached_property
    def right_up_to(self) -> FloatArray:
        """(t,) the sum of outcomes of the series at or below each cell."""
        return self._within(self._running[Row.Y - _FIRST]) / UNIT

    @cached_property
    def _running(self) -> Int64Array:
        """(5, t + 1) the sums over all cells before each, and over all: their differences are those of any run."""
        return _running_sums(self.sums)

    def _within(self, running: Int64Array) -> Int64Array:
        """(t,) of running sums (t + 1,) over all cells those within each series, each cell included."""
        return running[1:] - self.spread(running.take(self.starts))

    def row(self, row: Row) -> Int64Array:
        """(t,) one sum of every cell."""
        column: Int64Array = self.sums[row - _FIRST]
        return column

    def of_series(self, row: Row) -> Int64Array:
        """(S,) one sum of every series."""
        column: Int64Array = self.sums_of_series[row - _FIRST]
        return column

    def of_row(self, row: Row) -> FloatArray:
        """(S,) the mean over the labels of each series of c, c squared, y or c y; added up exactly."""
        return self.of_series(row) / UNIT / self.labels

    def of_runs(self, row: Row, first: Int64Array) -> Int64Array:
        """(runs,) one sum over runs of cells that begin at the first cell and at others, ascending; exact."""
        running = self._running[row - _FIRST]
        return np.asarray(np.diff(running.take(first), append=running[-1:]), np.int64)

    def by_number(self, numbers: Int64Array, count: int, rows: Iterable[Row]) -> list[Int64Array]:
        """Of each row the sums by series and number, (S, count), exact.

        numbers (t,) are 0..count-1 and ascend within each series; where none is, the sum is 0.
        """
        places = self.series * count + numbers
        first = run_starts(places)
        places = places.take(first)
        found = []
        for row in rows:
            sums = np.zeros(len(self) * count, np.int64)
            sums[places] = self.of_runs(row, first)
            found.append(sums.reshape(-1, count))
        return found

    def total(self, of_cells: FloatArray) -> FloatArray:
        """(S,) the sum over each series of (t,) values."""
        return np.asarray(np.add.reduceat(of_cells, self.starts))

    def mean(self, of_cells: FloatArray) -> FloatArray:
        """(S,) the sum over each series of (t,) values, divided by its labels."""
        return self.total(of_cells) / self.labels

    def spread(self, of_series: NDArray[Number]) -> NDArray[Number]:
        """(t,) the value of its series at each cell."""
        return np.repeat(of_series, self.cells_of_series)

    @cached_property
    def cells_of_series(self) -> Int64Array:
        """(S,) how many cells each series has."""
        return np.diff(self.starts, append=len(self.cells))

    def up_to(self, of_cells: Int64Array) -> Int64Array:
        """(t,) running sums of integers within each series, each cell included; exact."""
        return self._within(_running_sums(of_cells))


def _running_sums(of_cells: Int64Array) -> Int64Array:
    """(..., t + 1) the sums of (..., t) before each cell, and of all. Those may overflow; their differences do not."""
    running = np.zeros((*of_cells.shape[:-1], of_cells.shape[-1] + 1), np.int64)
    np.cumsum(of_cells, axis=-1, out=running[..., 1:])
    return running


def parts_of(sketches: Sequence[Sketch]) -> list[slice]:
    """Slices of sketches for panels of about `CELLS_AT_ONCE` cells."""
    up_to = np.cumsum([len(sketch.cells) for sketch in sketches], dtype=np.int64)
    first = np.flatnonzero(np.diff(up_to // CELLS_AT_ONCE, prepend=-1))
    return [slice(start, end) for start, end in pairwise([*first.tolist(), len(sketches)])]


def panel_of(sketches: Sequence[Sketch]) -> Panel:
    """The panel of sketches, at least one, that hold at least one label each."""
    cells = np.concatenate([sketch.cells for sketch in sketches]).astype(np.int64)
    sums = np.concatenate([sketch.sums[LABELLED] for sketch in sketches], axis=1)
    series = np.repeat(np.arange(len(sketches), dtype=np.int64), [len(sketch.cells) for sketch in sketches])
    labelled = sums[0] != 0
    if not labelled.all():
        series, cells, sums = series[labelled], cells[labelled], sums[:, labelled]
    place = series * CELLS + of_cells(RANK, cells)
    if (place[1:] < place[:-1]).any():
        order = np.argsort(place, kind="stable")
        cells, sums = cells[order], np.take(sums, order, axis=1)
    starts = np.searchsorted(series, np.arange(len(sketches)))
    n, right = sums[0].astype(np.float64), sums[Row.Y - _FIRST] / UNIT
    where = position(cells, sums[0], sums[Row.C - _FIRST])
    return Panel(starts, series, cells, where, sums, n, right, np.add.reduceat(n, starts))


def bins_of_panel(panel: Panel, count: int, edges: Edges) -> Bins:
    """Sums by series and equal-width bin, shape (S, count), exact. In order of confidence every bin is one run."""
    return Bins(*panel.by_number(of_cells(bin_of_cells(count, edges), panel.cells), count, BINNED))
