"""Labels: what one step of the detectors is fed, one pane of each of S series."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from monitor.calibration.bins import run_starts
from monitor.calibration.cells import CELLS, RANK, FloatArray, Int16Array, Int64Array, cell_index, position
from monitor.calibration.panel import Panel
from monitor.drift.bands import PARTS, part_of


@dataclass(frozen=True, eq=False)
class Labels:
    """The labelled cells of S series, at least one each; those of a series stand together in order of confidence.

    `series` (t,) 0..S-1, ascending; `cells` (t,); `position` (t,) the confidence of the cell, 0..1; `n` (t,) labels,
    above 0, a fraction where a label stands for a part of a cluster; `right` (t,) the sum of their outcomes, 0..n.
    """

    size: int
    series: Int64Array
    cells: Int16Array | Int64Array
    position: FloatArray
    n: FloatArray
    right: FloatArray

    @cached_property
    def part(self) -> Int64Array:
        """(t,) low, middle or high: 0..2."""
        return part_of(self.cells)

    @cached_property
    def _starts(self) -> Int64Array:
        return np.searchsorted(self.series, np.arange(self.size))

    @cached_property
    def _runs(self) -> tuple[Int64Array, Int64Array]:
        """The first cell of each part of a series that has any, and which of the S x 3 parts it is."""
        key = self.series * PARTS + self.part
        first = run_starts(key)
        return first, key[first]

    def by_part(self, of_cells: FloatArray) -> FloatArray:
        """(S, 3) sums over the cells of each series and part, of (t,) values.

        In order of confidence every part of a series is one run of cells, so its digits do not depend on the others.
        """
        first, place = self._runs
        sums = np.zeros(self.size * PARTS)
        sums[place] = np.add.reduceat(of_cells, first)
        return sums.reshape(self.size, PARTS)

    def total(self, of_cells: FloatArray) -> FloatArray:
        """(..., S) sums over the cells of each series, of (..., t) values."""
        return np.asarray(np.add.reduceat(of_cells, self._starts, axis=-1))


def of_panel(panel: Panel) -> Labels:
    """The labels of a panel: independent of each other as far as the sketches know."""
    return Labels(len(panel), panel.series, panel.cells, panel.position, panel.n, panel.right)


def of_clusters(series: ArrayLike, confidence: ArrayLike, outcome: ArrayLike, cluster: ArrayLike) -> Labels:
    """The labels of k rows of one pane each, where the m rows of one cluster count as one label, 1/m each.

    All (k,), at least one row: series 0..S-1, all of them present; confidence and outcome in 0..1; cluster integers,
    compared within a series. A cluster lies in one pane. The product of the m factors, each to the power 1/m, is at
    most their mean (geometric and arithmetic mean), so what a cluster adds is at most a bet on its averaged residual.
    A sketch cannot give this: it counts rows, and does not know which of them share a cause.
    """
    of, c, y = np.asarray(series, np.int64), np.asarray(confidence, np.float64), np.asarray(outcome, np.float64)
    _, place, size = np.unique(
        np.stack([of, np.asarray(cluster, np.int64)]), axis=1, return_inverse=True, return_counts=True
    )
    weight = 1.0 / size[place]
    key = of * CELLS + RANK[cell_index(c)]
    names, at = np.unique(key, return_inverse=True)
    rows, held = np.bincount(at), np.bincount(at, weight).astype(np.float64)
    sum_c = np.floor(np.bincount(at, c) * 1e9 + 0.5).astype(np.int64)
    cells = cell_index(c)[np.unique(key, return_index=True)[1]]
    return Labels(
        int(of.max()) + 1,
        names // CELLS,
        cells,
        position(cells, rows.astype(np.int64), sum_c),
        held,
        np.minimum(np.bincount(at, weight * y), held),
    )
