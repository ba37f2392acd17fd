"""Tallies: of each series the few sums that measures by bins and of totals need, side by side in one table.

They are the sketch's own integers added up by bin, so they add, subtract and slide as exactly, at a fraction of the
size; what is measured of them is what the whole sketch reads, to the last digit.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np

from monitor.calibration.bins import BINNED, Bins, run_starts
from monitor.calibration.cells import (
    UNIT,
    Edges,
    FloatArray,
    Int16Array,
    Int64Array,
    at_or_above,
    bin_edges,
    bin_of_cells,
)
from monitor.calibration.estimates import Estimates
from monitor.calibration.means import share
from monitor.calibration.measures import CONFIDENT, OF_BINS, OF_TOTALS, Confident, Sums, estimates
from monitor.calibration.panel import Panel
from monitor.calibration.reading import Bin
from monitor.calibration.sketch import Row

OF_COUNTS: Final = ("coverage", "abstention_rate")
"""Measures of predictions, labelled or not."""
TALLIED: Final = frozenset({*OF_TOTALS, *OF_BINS, *OF_COUNTS})
"""The measures that tallies can tell."""

_MORE: Final = 5


@dataclass(frozen=True, slots=True)
class Layout:
    """Equal-width bins of this convention of edges, and in which column of a table each sum stands: first labels,
    then c, c squared and y by bin, then c y, predictions, those below .9, labels from .9 on and their y."""

    count: int
    edges: Edges

    @property
    def width(self) -> int:
        """Columns of a table."""
        return len(BINNED) * self.count + _MORE


def add(table: Int64Array, layout: Layout, rows: Int64Array, cells: Int16Array, sums: Int64Array) -> None:
    """Add signed sums to the rows (t,) of a table (R, width), in place: cells (t,) with sums (12, t) as in a sketch."""
    if not len(cells):
        return
    flat, after = table.reshape(-1), len(BINNED) * layout.count
    place = rows * layout.width + bin_of_cells(layout.count, layout.edges)[cells]
    for row in BINNED:
        np.add.at(flat, place, sums[row])
        place += layout.count
    # Cells of one row that stand together are a run: what is added up first need not be found again.
    runs = run_starts(rows)
    start, confident = rows[runs] * layout.width + after, at_or_above(CONFIDENT)[cells]
    predictions, none = sums[Row.N_PRED], np.int64(0)
    more = (
        sums[Row.CY],
        predictions,
        np.where(confident, none, predictions),
        np.where(confident, sums[Row.N], none),
        np.where(confident, sums[Row.Y], none),
    )
    for number, values in enumerate(more):
        np.add.at(flat, start + number, np.add.reduceat(values, runs))


@dataclass(frozen=True, eq=False)
class Tallies:
    """A table of tallies: `table` (S, width), one row a series."""

    table: Int64Array
    layout: Layout

    @cached_property
    def bins(self) -> Bins:
        """(S, bins)"""
        columns = len(BINNED) * self.layout.count
        return Bins(*np.moveaxis(self.table[:, :columns].reshape(len(self.table), len(BINNED), -1), 1, 0))

    @cached_property
    def n(self) -> Int64Array:
        """(S,) labels."""
        return self.bins.total

    @property
    def n_predictions(self) -> Int64Array:
        """(S,)"""
        return self._more(1)

    @cached_property
    def coverage(self) -> FloatArray:
        """(S,) the labelled share of the predictions, NaN without any."""
        predictions = self.n_predictions
        return np.asarray(np.divide(self.n, predictions, out=np.full(len(predictions), np.nan), where=predictions > 0))

    def of(self, rows: Int64Array) -> "Tallies":
        """Those rows."""
        return replace(self, table=self.table[rows])

    def measured(self, names: Iterable[str], level: float) -> dict[str, Estimates]:
        """The measures of these names, all TALLIED, of all series; NaN where one is not known."""
        wanted = set(names)
        labelled = np.flatnonzero(self.n > 0)
        found: dict[str, Estimates] = {}
        if wanted & set(OF_COUNTS):
            predictions = self.n_predictions.astype(np.float64)
            for name, part in (("coverage", self.n), ("abstention_rate", self._more(2))):
                if name in wanted:
                    found[name] = share(part.astype(np.float64), predictions, level)
        of_labels = wanted - set(OF_COUNTS)
        if not of_labels:
            return found
        known = estimates(_TallySums(self.of(labelled), level), sorted(of_labels)) if len(labelled) else {}
        return found | {
            name: _spread(known[name], labelled, len(self.table)) if known else _unknown(len(self.table))
            for name in of_labels
        }

    def shown_bins(self, level: float) -> list[list[Bin]]:
        """The bins of each series that hold labels, as a reading has them."""
        bins = self.bins
        return bin_lists(bins, share(bins.sum_y / UNIT, bins.n.astype(np.float64), level), self.layout.count)

    def _more(self, place: int) -> Int64Array:
        column: Int64Array = self.table[:, len(BINNED) * self.layout.count + place]
        return column


def bin_lists(bins: Bins, accuracy: Estimates, count: int) -> list[list[Bin]]:
    """The bins (S, count) that hold labels, series by series, each with its accuracy and the interval of that."""
    columns = [
        bins.n.tolist(),
        (bins.sum_c / (np.maximum(bins.n, 1) * UNIT)).tolist(),
        *(each.tolist() for each in (accuracy.value, accuracy.low, accuracy.high)),
    ]
    edges = list(pairwise(bin_edges(count)))
    return [
        [
            Bin(start, end, n, mean, right, (low, high))
            for (start, end), n, mean, right, low, high in zip(edges, *series, strict=True)
            if n
        ]
        for series in zip(*columns, strict=True)
    ]


class _TallySums(Sums):
    """What measures read of tallies: their own bins, and in the panel one cell a series that holds its totals."""

    def __init__(self, tallies: Tallies, level: float) -> None:
        super().__init__(_of_totals(tallies), tallies.layout.count, tallies.layout.edges, level)
        self._tallies = tallies

    @cached_property
    def bins(self) -> Bins:
        return self._tallies.bins

    @cached_property
    def from_confident(self) -> Confident:
        return Confident(self._tallies._more(3), self._tallies._more(4))


def _of_totals(tallies: Tallies) -> Panel:
    """No confidence stands for such a cell, so a measure that asks for one reads NaN."""
    bins, every = tallies.bins, np.arange(len(tallies.table), dtype=np.int64)
    totals = [each.sum(axis=1) for each in (bins.n, bins.sum_c, bins.sum_c2, bins.sum_y)]
    labels, unknown = totals[0].astype(np.float64), np.full(len(every), np.nan)
    sums = np.stack([*totals, tallies._more(0)])
    cells = np.zeros(len(every), np.int64)
    return Panel(every, every, cells, unknown, sums, labels, totals[3] / UNIT, labels)


def _spread(known: Estimates, places: Int64Array, size: int) -> Estimates:
    """The estimates at their places among `size`, unknown elsewhere."""
    whole = _unknown(size)
    for column, values in ((whole.value, known.value), (whole.low, known.low), (whole.high, known.high)):
        column[places] = values
    return whole


def _unknown(size: int) -> Estimates:
    return Estimates(np.full(size, np.nan), np.full(size, np.nan), np.full(size, np.nan), "no labels")
