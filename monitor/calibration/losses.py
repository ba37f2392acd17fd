"""Brier score and log loss of many series, and what the Brier score consists of.

An outcome that is a fraction counts as one drawn with that chance, so the Brier score is the mean of c^2 - 2cy + y.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import isotonic_regression

from monitor.calibration.bins import Bins
from monitor.calibration.cells import CELLS, HIGH, IS_ATOM, UNIT, FloatArray, Int64Array, of_cells
from monitor.calibration.estimates import Estimates, around, variance_of_mean
from monitor.calibration.means import share
from monitor.calibration.panel import Panel
from monitor.calibration.sketch import Row

LOG_LOSS_CLIP: Final = 1e-7
"""Confidences are clipped to [clip, 1 - clip] before the logarithm."""
LARGEST_LOG_LOSS: Final = -float(np.log1p(LOG_LOSS_CLIP - 1))
"""Of a wrong answer at the largest confidence, computed as such: the logarithm of the clip itself is 5e-10 less."""
_APART: Final = 4.0
FLATTERY: Final = 1.5
_IS_WIDE: Final = ~IS_ATOM & (np.arange(CELLS) < HIGH)


def brier(panel: Panel, level: float) -> Estimates:
    """Mean of (confidence - outcome) squared, 0..1, lower is better (Brier 1950). Exact to 2e-9; normal interval."""
    p = panel.position
    variance = variance_of_mean(panel, (1 - p) ** 2, p * p)
    return around(_brier(panel), variance, level, within=(0.0, 1.0))


def _brier(panel: Panel) -> FloatArray:
    whole = panel.of_series(Row.C2) - 2 * panel.of_series(Row.CY) + panel.of_series(Row.Y)
    return np.asarray(whole / UNIT / panel.labels)


def log_loss(panel: Panel, level: float) -> Estimates:
    """Mean of -y ln c - (1 - y) ln(1 - c), in nats, 0..16.1; confidences are clipped at 1e-7 from 0 and 1 (Good 1952).

    From the mean and the spread of each cell: within 2e-4 of the raw pairs at n = 500, within 3e-5 on large streams.
    """
    p = np.clip(panel.position, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    right, wrong = -np.log(p), -np.log1p(-p)
    loss = panel.right * right + panel.wrong * wrong
    is_wide = of_cells(_IS_WIDE, panel.cells)
    if is_wide.any():
        loss += is_wide * _of_spread(panel, p)
    return around(panel.mean(loss), variance_of_mean(panel, right, wrong), level, within=(0.0, LARGEST_LOG_LOSS))


def _of_spread(panel: Panel, p: FloatArray) -> FloatArray:
    """(t,) what the spread of confidences p inside a wide cell adds to its log loss: the next terms of the expansion
    of the logarithm about the cell's mean. Log-spaced cells need none, and there the unit of the sums would be larger
    than the terms."""
    with_outcome = panel.row(Row.CY) / UNIT - p * panel.right
    half_variance = np.maximum(panel.row(Row.C2) / (panel.n * (2 * UNIT)) - p * p / 2, 0.0)
    q = 1 - p
    first = with_outcome / (p * q)
    second = half_variance * (panel.right / (p * p) + panel.wrong / (q * q))
    return np.asarray(second - first)


@dataclass(frozen=True, slots=True, eq=False)
class BrierParts:
    """The Brier score as miscalibration - discrimination + uncertainty, each in 0..1."""

    miscalibration: Estimates
    """What the best monotone recalibration would take off."""
    discrimination: Estimates
    """What the recalibrated confidences are better than the mean outcome."""
    uncertainty: Estimates
    """The Brier score of the mean outcome."""


def brier_parts(panel: Panel, level: float) -> BrierParts:
    """The CORP decomposition (Dimitriadis, Gneiting & Jordan 2021): against the isotonic recalibration of the sample.

    Intervals to first order, in which fitting the recalibration moves neither score. In the second it flatters itself,
    by between one and two variances of an outcome for each of its blocks (Stein 1981, Meyer & Woodroofe 2000): one and
    a half, as simulations have it, are taken off the lower ends.
    """
    blocks = _isotonic(panel)
    fitted = blocks.spread(blocks.right / blocks.n)
    chance = (blocks.right + 0.5) / (blocks.n + 1)
    starts = np.searchsorted(blocks.first, panel.starts)
    flattery = FLATTERY * np.add.reduceat(chance * (1 - chance), starts) / panel.labels
    base = panel.of_row(Row.Y)
    uncertainty = base * (1 - base)
    at_best = np.add.reduceat(blocks.right * (1 - blocks.right / blocks.n), starts) / panel.labels

    def difference(stated: FloatArray) -> FloatArray:
        """Of the Brier score of stated confidences less that of the fitted ones."""
        off = stated - fitted
        if_wrong = off * (stated + fitted)
        return variance_of_mean(panel, if_wrong - 2 * off, if_wrong)

    return BrierParts(
        around(
            np.maximum(_brier(panel) - at_best, 0.0),
            difference(panel.position),
            level,
            within=(0.0, 1.0),
            bias=flattery,
        ),
        around(
            np.maximum(uncertainty - at_best, 0.0),
            difference(panel.spread(base)),
            level,
            within=(0.0, 0.25),
            bias=np.maximum(flattery - uncertainty / panel.labels, 0.0),
        ),
        _uncertainty(base, share(base * panel.labels, panel.labels, level)),
    )


def _uncertainty(base: FloatArray, interval: Estimates) -> Estimates:
    """m (1 - m) of a mean outcome m, between what it is at the ends of the interval of m."""
    low, high = interval.low * (1 - interval.low), interval.high * (1 - interval.high)
    holds_half = (interval.low < 0.5) & (interval.high > 0.5)
    return Estimates(base * (1 - base), np.minimum(low, high), np.where(holds_half, 0.25, np.maximum(low, high)))


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """Runs of cells with one fitted value: the first cell of each, its right answers and labels, (blocks,) each."""

    first: Int64Array
    right: FloatArray
    n: FloatArray
    cells: int

    def spread(self, of_blocks: FloatArray) -> FloatArray:
        """(t,) the value of its block at each cell."""
        return np.asarray(np.repeat(of_blocks, np.diff(self.first, append=self.cells)))


def _isotonic(panel: Panel) -> _Blocks:
    """The isotonic regression of outcome on confidence within each series (Ayer et al. 1955).

    One call for all series: each is lifted above the one before, so that no block reaches across.
    """
    lifted = panel.right / panel.n + _APART * panel.series
    first = isotonic_regression(lifted, weights=panel.n).blocks[:-1].astype(np.int64)
    right, n = panel.of_runs(Row.Y, first), panel.of_runs(Row.N, first)
    # Equal neighbours are one block: whether the regression pools them depends on the rounding of the lift.
    rises = np.diff(right / n, prepend=-1.0) != 0
    rises[np.searchsorted(first, panel.starts)] = True
    first = first[rises]
    right, n = panel.of_runs(Row.Y, first), panel.of_runs(Row.N, first)
    return _Blocks(first, right / UNIT, n.astype(np.float64), len(lifted))


def recalibrated(panel: Panel) -> FloatArray:
    """(t,) what the best monotone recalibration of each series makes of its cells, 0..1."""
    blocks = _isotonic(panel)
    return blocks.spread(blocks.right / blocks.n)


def murphy_parts(bins: Bins, level: float) -> tuple[Estimates, Estimates]:
    """Reliability (lower is better) and resolution (higher is better) of binned forecasts, 0..1 (Murphy 1973).

    bins of shape (S, bins), each series with a label. Brier score = reliability - resolution + uncertainty, but for the
    spread of the confidences inside the bins. Both are biased upwards, by about the variance of one outcome for each
    bin (Broecker 2012), which is taken off the lower ends of their intervals.
    """
    n = bins.total[:, None].astype(np.float64)
    used = np.maximum(bins.n, 1)
    right, confidence = bins.sum_y / UNIT / used, bins.sum_c / UNIT / used
    base = (bins.sum_y / UNIT).sum(axis=-1, keepdims=True) / n
    part = bins.n / n
    gap, lift = confidence - right, right - base
    reliability, resolution = (part * gap**2).sum(axis=-1), (part * lift**2).sum(axis=-1)
    chance = (bins.sum_y / UNIT + 0.5) / (bins.n + 1)
    spread = chance * (1 - chance)

    def variance(of_bin: FloatArray, of_outcome: FloatArray) -> FloatArray:
        mean = (part * of_bin).sum(axis=-1)
        return np.asarray(((part * (of_bin**2 + of_outcome**2 * spread)).sum(axis=-1) - mean**2) / n[:, 0])

    flattery = np.where(bins.n > 0, spread, 0.0).sum(axis=-1) / n[:, 0]
    of_mean = (base * (1 - base) / n)[:, 0]
    return (
        around(reliability, variance(gap**2, 2 * gap), level, within=(0.0, 1.0), bias=flattery),
        around(
            resolution, variance(lift**2, 2 * lift), level, within=(0.0, 0.25), bias=np.maximum(flattery - of_mean, 0.0)
        ),
    )
