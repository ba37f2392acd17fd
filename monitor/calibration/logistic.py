"""Calibration slope and intercept: the logistic regression of outcome on the logit of confidence (Cox 1958)."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np

from monitor.calibration.bins import run_starts
from monitor.calibration.cells import UNIT, FloatArray, Int64Array
from monitor.calibration.estimates import Estimates, around
from monitor.calibration.odds import log_odds, logit, sigmoid
from monitor.calibration.panel import Panel
from monitor.calibration.sketch import Row

Flags: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]

NO_FIT: Final = "no slope: it needs two confidences, and right and wrong answers that overlap"
FARTHEST: Final = 50.0
"""A slope or an intercept beyond it is that of answers which the confidence separates."""
_ITERATIONS: Final = 30
_TOLERANCE: Final = 3e-4
"""Of a step that is the last one: its square is what it leaves."""
_LONGEST_STEP: Final = 2.0
_WIDTH: Final = 0.4
"""Cells within so much of a logit are one where a fit begins: it ends near the fit to all, for a tenth of the price."""
_APART: Final = 1000
"""More intervals than the logits of a series have."""
_NEAR: Final = 8.0
"""A slope or an intercept of the groups beyond it is no place to begin."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """outcome ~ Bernoulli(sigmoid(slope x logit(confidence) + intercept)); calibrated = slope 1, intercept 0.

    A slope below 1: confidences are too extreme, over-confident where high and under-confident where low.
    """

    slope: Estimates
    intercept: Estimates


@dataclass(frozen=True, eq=False)
class _Cells:
    """The cells of some series: `counts` (S,) how many each has, `logit` and `n` (t,) where they lie and their labels.

    `right` and `right_by_logit` (S,) are sums over the cells of a series.
    """

    counts: Int64Array
    logit: FloatArray
    n: FloatArray
    right: FloatArray
    right_by_logit: FloatArray
    variance: FloatArray | None = None
    """(t,) of the logits within each, where several cells were gathered."""

    @cached_property
    def _starts(self) -> Int64Array:
        return np.cumsum(self.counts) - self.counts

    def total(self, of_cells: FloatArray) -> FloatArray:
        return np.asarray(np.add.reduceat(of_cells, self._starts))

    def spread(self, of_series: FloatArray) -> FloatArray:
        return np.repeat(of_series, self.counts)

    def of(self, kept: Flags) -> "_Cells":
        """Those of the series that are kept, (S,)."""
        cells = np.repeat(kept, self.counts)
        return _Cells(
            self.counts[kept],
            self.logit[cells],
            self.n[cells],
            self.right[kept],
            self.right_by_logit[kept],
            None if self.variance is None else self.variance[cells],
        )


def line(panel: Panel, level: float) -> Line:
    """Slope and intercept by damped Newton steps; intervals from the Fisher information at the fit."""
    by_logit = logit(panel.position)
    right = panel.of_series(Row.Y) / UNIT
    cells = _Cells(panel.cells_of_series, by_logit, panel.n, right, panel.total(panel.right * by_logit))
    # Without a slope, at the log odds of being right: from there no step is too long.
    flat = np.stack([np.zeros(len(panel)), log_odds((right + 0.5) / (panel.labels + 1))])
    groups = _gathered(panel, cells)
    begun = _fitted(groups, flat)[:2]
    is_near = (np.abs(begun) < _NEAR).all(axis=0) | (groups.counts == cells.counts)
    slope, intercept, slope_variance, intercept_variance, _ = _fitted(cells, np.where(is_near, begun, flat))
    reach = (-np.inf, np.inf)
    return Line(
        around(slope, slope_variance, level, within=reach, reason=NO_FIT),
        around(intercept, intercept_variance, level, within=reach, reason=NO_FIT),
    )


def _gathered(panel: Panel, cells: _Cells) -> _Cells:
    """The cells of each series whose logits lie in the same interval of `_WIDTH`, taken as one."""
    first = run_starts(np.floor(cells.logit / _WIDTH) + panel.series * _APART)
    counts = np.diff(np.searchsorted(first, panel.starts), append=len(first))
    n, weighted = np.add.reduceat(cells.n, first), cells.n * cells.logit
    mean = np.add.reduceat(weighted, first) / n
    variance = np.maximum(np.add.reduceat(weighted * cells.logit, first) / n - mean**2, 0.0)
    return _Cells(counts, mean, n, cells.right, cells.right_by_logit, variance)


def _fitted(cells: _Cells, begin: FloatArray) -> FloatArray:
    """(5, S) slope, intercept, their variances, and the last step; NaN where there is no fit. begin (2, S)."""
    found = np.full((5, begin.shape[1]), np.nan)
    left = np.arange(begin.shape[1])
    line = begin
    for _ in range(_ITERATIONS):
        values, done = _step(cells, line)
        found[:, left[done]] = values[:, done]
        if done.all():
            break
        line = values[:2]
        if done.any():
            left, cells, line = left[~done], cells.of(~done), line[:, ~done]
    return found


def _step(cells: _Cells, line: FloatArray) -> tuple[FloatArray, Flags]:
    """One Newton step of every series; done are those that stand still, and those that have no fit.

    line (2, S) slope and intercept; the result has the rows of `_fitted`.
    """
    chance = sigmoid(cells.spread(line[0]) * cells.logit + cells.spread(line[1]))
    expected = cells.n * chance
    weight = expected * (1 - chance)
    by_logit = weight * cells.logit
    expected_by_logit = expected * cells.logit
    if cells.variance is not None:
        # The next terms of the expansion about the mean of the logits.
        spread = weight * cells.variance * cells.spread(line[0])
        bent = spread * (0.5 - chance) * cells.spread(line[0])
        expected += bent
        expected_by_logit += spread + bent * cells.logit
    g1, g0 = cells.right_by_logit - cells.total(expected_by_logit), cells.right - cells.total(expected)
    h11, h01, h00 = cells.total(by_logit * cells.logit), cells.total(by_logit), cells.total(weight)
    determinant = h11 * h00 - h01 * h01
    sound = determinant > 1e-9 * h11 * h00
    safe = np.where(sound, determinant, 1.0)
    along, up = (h00 * g1 - h01 * g0) / safe, (h11 * g0 - h01 * g1) / safe
    longest = np.maximum(np.abs(along), np.abs(up))
    damped = np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, _LONGEST_STEP))
    slope, intercept = line[0] + damped * along, line[1] + damped * up
    lost = ~sound | (np.abs(slope) > FARTHEST) | (np.abs(intercept) > FARTHEST)
    still = ~lost & (longest < _TOLERANCE * (1 + np.abs(slope)))
    values = np.stack([slope, intercept, h00 / safe, h11 / safe, longest])
    values[:, lost] = np.nan
    return values, lost | still
