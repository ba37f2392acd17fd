"""A sample: the labelled cells of many series as what maps are fitted to and scored on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.calibration.bins import run_starts
from monitor.calibration.cells import (
    CELLS,
    LOWER_END,
    RANK,
    UNIT,
    UPPER_END,
    FloatArray,
    Int64Array,
    position,
)
from monitor.calibration.sketch import Row, Sketch

WEIGHT_UNIT: Final = 1e6
SQUARE_UNIT: Final = 1e3
_NOTHING = 1e-6  # of a label: what rounding leaves


class Sum(IntEnum):
    """The rows of `Sample.sums`: labels and the sum of their outcomes, each plain, by weight, and by weight squared."""

    N = 0
    Y = 1
    W = 2
    WY = 3
    W2 = 4
    W2Y = 5


@dataclass(frozen=True, eq=False)
class Sample:
    """S series with at least one label each, and their t labelled cells, which stand together in order of confidence.

    Confidences are clipped; cells that lie together beyond the clip are one.
    """

    starts: Int64Array
    """(S,) the first cell of each series."""
    series: Int64Array
    """(t,) the series of each cell, ascending."""
    confidence: FloatArray
    """(t,) the confidence that stands for the cell, ascending within a series, clip..1-clip."""
    low: FloatArray
    """(t,) where the cell begins, likewise clipped."""
    high: FloatArray
    """(t,) where it ends."""
    sums: FloatArray
    """(6, t) rows as in `Sum`."""

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def n(self) -> FloatArray:
        """(t,) labels; weighted ones count as so many of equal weight as would tell as much about the series (Kish
        1965), in proportion to their weights."""
        return np.asarray(self.sums[Sum.W] * self._scale[self.series])

    @cached_property
    def right(self) -> FloatArray:
        """(t,) the sum of their outcomes, 0..n."""
        return np.asarray(np.clip(self.sums[Sum.WY] * self._scale[self.series], 0.0, self.n))

    @cached_property
    def labels(self) -> FloatArray:
        """(S,) the sum of `n`."""
        return self.total(self.n)

    @cached_property
    def rate(self) -> FloatArray:
        """(S,) the mean outcome, 0..1."""
        return self.total(self.right) / self.labels

    @cached_property
    def log_right(self) -> FloatArray:
        """(t,) ln c."""
        return np.asarray(np.log(self.confidence))

    @cached_property
    def log_wrong(self) -> FloatArray:
        """(t,) ln(1 - c)."""
        return np.asarray(np.log1p(-self.confidence))

    @cached_property
    def odds(self) -> FloatArray:
        """(t,) log odds of c."""
        return self.log_right - self.log_wrong

    @cached_property
    def ones(self) -> FloatArray:
        """(t,) the feature of an intercept."""
        return np.ones(len(self.series))

    @cached_property
    def _scale(self) -> FloatArray:
        return self.total(self.sums[Sum.W]) / self.total(self.sums[Sum.W2])

    def total(self, of_cells: FloatArray) -> FloatArray:
        """(S,) the sum over each series of (t,) values."""
        return np.asarray(np.add.reduceat(of_cells, self.starts))

    def only(self, series: NDArray[np.bool_]) -> "Sample":
        """The series (S,) that are chosen."""
        return self._kept(series[self.series])

    def without_empty(self) -> "Sample":
        """Less the cells that hold no label."""
        return self._kept(self.sums[Sum.N] > _NOTHING)

    def pooled(self) -> "Sample":
        """All series as one, its cells in the order in which they stand here: for sums, not for steps."""
        return replace(self, starts=self.starts[:1], series=np.zeros_like(self.series))

    def _kept(self, cells: NDArray[np.bool_]) -> "Sample":
        first = run_starts(self.series[cells])
        series = np.repeat(np.arange(len(first)), np.diff(first, append=int(cells.sum())))
        return Sample(first, series, self.confidence[cells], self.low[cells], self.high[cells], self.sums[:, cells])


def sample_of(sketches: Sequence[Sketch], clip: float) -> Sample:
    """The sample of sketches, at least one, that hold at least one label each; `clip` in 0..0.5, both without."""
    cells = np.concatenate([sketch.cells for sketch in sketches])
    sums = np.concatenate([sketch.sums for sketch in sketches], axis=1)
    series = np.repeat(np.arange(len(sketches), dtype=np.int64), [len(sketch.cells) for sketch in sketches])
    order = np.argsort(series * CELLS + RANK[cells], kind="stable")
    order = order[sums[Row.N, order] > 0]
    series, cells, sums = series[order], cells[order], sums[:, order]
    where, low, high = (
        np.clip(place, clip, 1 - clip)
        for place in (position(cells, sums[Row.N], sums[Row.C]), LOWER_END[cells], UPPER_END[cells])
    )
    first = np.flatnonzero(np.diff(series, prepend=-1) | (np.diff(where, prepend=-1.0) != 0))
    last = np.append(first[1:], len(series)) - 1
    rows = np.stack([np.add.reduceat(row, first) for row in _weighed(sums)])
    starts = np.searchsorted(series[first], np.arange(len(sketches)))
    return Sample(starts, series[first], where[first], low[first], high[last], rows)


def _weighed(sums: Int64Array) -> Iterator[FloatArray]:
    n, y = sums[Row.N].astype(np.float64), sums[Row.Y] / UNIT
    yield n
    yield y
    yield n + sums[Row.EXCESS_W] / WEIGHT_UNIT
    yield y + sums[Row.EXCESS_WY] / WEIGHT_UNIT
    yield n + sums[Row.EXCESS_W2] / SQUARE_UNIT
    yield y + sums[Row.EXCESS_W2Y] / SQUARE_UNIT


def folds(sample: Sample, count: int, rng: np.random.Generator) -> Iterator[tuple[Sample, Sample]]:
    """The labels dealt at random into `count` parts: for each, the sample without it, and the part alone.

    The part keeps the cells of the sample, some of them empty. Where outcomes are fractions or weighted, the labels of
    a cell are dealt as if all its right ones were alike, and all its wrong ones.
    """
    right, wrong = (
        _dealt(whole, count, rng) for whole in (sample.sums[Sum.Y], sample.sums[Sum.N] - sample.sums[Sum.Y])
    )
    of_right, of_wrong = sample.sums[Sum.Y :: 2], sample.sums[Sum.N :: 2] - sample.sums[Sum.Y :: 2]
    for part in range(count):
        sums = np.empty_like(sample.sums)
        sums[Sum.Y :: 2] = of_right * right[:, part]
        sums[Sum.N :: 2] = of_wrong * wrong[:, part] + sums[Sum.Y :: 2]
        rest = replace(sample, sums=np.maximum(sample.sums - sums, 0.0))
        yield rest.without_empty(), replace(sample, sums=sums)


def _dealt(labels: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """(t, count) which share of (t,) labels falls to each part; a rest below one label is shared by all."""
    whole = np.floor(labels + _NOTHING).astype(np.int64)
    rest = np.maximum(labels - whole, 0.0)[:, None] / count
    dealt = rng.multinomial(whole, np.full(count, 1 / count)) + rest
    return np.asarray(dealt / np.maximum(labels, _NOTHING)[:, None])
