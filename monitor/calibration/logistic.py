"""Calibration slope and intercept: the logistic regression of outcome on the logit of confidence (Cox 1958)."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from monitor.calibration.cells import UNIT, FloatArray, Int64Array
from monitor.calibration.estimates import Estimates, around
from monitor.calibration.odds import log_odds, logit, sigmoid
from monitor.calibration.panel import Panel
from monitor.calibration.sketch import Row

NO_FIT: Final = "no slope: it needs two confidences, and right and wrong answers that overlap"
FARTHEST: Final = 50.0
"""A slope or an intercept beyond it is that of answers which the confidence separates."""
_ITERATIONS: Final = 30
_TOLERANCE: Final = 1e-6
"""Of a step that is the last one: its square is what it leaves."""
_LONGEST_STEP: Final = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """outcome ~ Bernoulli(sigmoid(slope x logit(confidence) + intercept)); calibrated = slope 1, intercept 0.

    A slope below 1: confidences are too extreme, over-confident where high and under-confident where low.
    """

    slope: Estimates
    intercept: Estimates


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """The data and the state of some of the series: `series` (S,) their places in the panel, `place` (t,) of the cells.

    `right` and `right_by_logit` (S,) are sums over the cells.
    """

    series: Int64Array
    starts: Int64Array
    place: Int64Array
    logit: FloatArray
    n: FloatArray
    right: FloatArray
    right_by_logit: FloatArray
    slope: FloatArray
    intercept: FloatArray

    def total(self, of_cells: FloatArray) -> FloatArray:
        return np.asarray(np.add.reduceat(of_cells, self.starts))

    def without(self, done: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> "_Fit":
        """The series that are not done."""
        kept = ~done
        cells = kept[self.place]
        place = (np.cumsum(kept) - 1)[self.place[cells]]
        return _Fit(
            self.series[kept],
            np.searchsorted(place, np.arange(int(kept.sum()))),
            place,
            self.logit[cells],
            self.n[cells],
            self.right[kept],
            self.right_by_logit[kept],
            self.slope[kept],
            self.intercept[kept],
        )


def line(panel: Panel, level: float) -> Line:
    """Slope and intercept by damped Newton steps; intervals from the Fisher information at the fit.

    They begin without a slope, at the log odds of being right: from there no step is too long.
    """
    found = np.full((5, len(panel)), np.nan)
    by_logit = logit(panel.position)
    fit = _Fit(
        np.arange(len(panel)),
        panel.starts,
        panel.series,
        by_logit,
        panel.n,
        panel.of_series(Row.Y) / UNIT,
        panel.total(panel.right * by_logit),
        np.zeros(len(panel)),
        log_odds((panel.of_series(Row.Y) / UNIT + 0.5) / (panel.labels + 1)),
    )
    for _ in range(_ITERATIONS):
        fit, ended = _step(fit)
        found[:, fit.series[ended.done]] = ended.values[:, ended.done]
        if ended.done.all():
            break
        if ended.done.any():
            fit = fit.without(ended.done)
    slope, intercept, slope_variance, intercept_variance, _ = found
    reach = (-np.inf, np.inf)
    return Line(
        around(slope, slope_variance, level, within=reach, reason=NO_FIT),
        around(intercept, intercept_variance, level, within=reach, reason=NO_FIT),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Ended:
    done: np.ndarray[tuple[int], np.dtype[np.bool_]]
    values: FloatArray


def _step(fit: _Fit) -> tuple[_Fit, _Ended]:
    """One Newton step of every series; done are those that stand still, and those that have no fit."""
    chance = sigmoid(fit.slope[fit.place] * fit.logit + fit.intercept[fit.place])
    expected = fit.n * chance
    weight = expected * (1 - chance)
    by_logit = weight * fit.logit
    g1, g0 = fit.right_by_logit - fit.total(expected * fit.logit), fit.right - fit.total(expected)
    h11, h01, h00 = fit.total(by_logit * fit.logit), fit.total(by_logit), fit.total(weight)
    determinant = h11 * h00 - h01 * h01
    sound = determinant > 1e-9 * h11 * h00
    safe = np.where(sound, determinant, 1.0)
    along, up = (h00 * g1 - h01 * g0) / safe, (h11 * g0 - h01 * g1) / safe
    longest = np.maximum(np.abs(along), np.abs(up))
    damped = np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, _LONGEST_STEP))
    slope, intercept = fit.slope + damped * along, fit.intercept + damped * up
    lost = ~sound | (np.abs(slope) > FARTHEST) | (np.abs(intercept) > FARTHEST)
    still = ~lost & (longest < _TOLERANCE * (1 + np.abs(slope)))
    values = np.stack([slope, intercept, h00 / safe, h11 / safe, longest])
    values[:, lost] = np.nan
    return replace(fit, slope=slope, intercept=intercept), _Ended(lost | still, values)
