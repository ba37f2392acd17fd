"""Brier score and log loss of many series, and what the Brier score consists of.

An outcome that is a fraction counts as one drawn with that chance, so the Brier score is the mean of c^2 - 2cy + y.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import isotonic_regression

from monitor.calibration.bins import Bins
from monitor.calibration.cells import HIGH, IS_ATOM, UNIT, FloatArray
from monitor.calibration.estimates import Estimates, around, variance_of_mean
from monitor.calibration.means import share
from monitor.calibration.panel import Panel
from monitor.calibration.sketch import Row

LOG_LOSS_CLIP: Final = 1e-7
"""Confidences are clipped to [clip, 1 - clip] before the logarithm."""
LARGEST_LOG_LOSS: Final = -float(np.log(LOG_LOSS_CLIP))
_APART: Final = 4.0


def brier(panel: Panel, level: float) -> Estimates:
    """Mean of (confidence - outcome) squared, 0..1, lower is better (Brier 1950). Exact to 2e-9; normal interval."""
    p = panel.position
    variance = variance_of_mean(panel, (1 - p) ** 2, p * p)
    return around(_brier(panel), variance, level, within=(0.0, 1.0))


def _brier(panel: Panel) -> FloatArray:
    whole = panel.row(Row.C2) - 2 * panel.row(Row.CY) + panel.row(Row.Y)
    return np.asarray(np.add.reduceat(whole, panel.starts) / UNIT / panel.labels)


def log_loss(panel: Panel, level: float) -> Estimates:
    """Mean of -y ln c - (1 - y) ln(1 - c), in nats, 0..16.1; confidences are clipped at 1e-7 from 0 and 1 (Good 1952).

    From the mean and the spread of each cell: within 2e-4 of the raw pairs at n = 500, within 3e-5 on large streams.
    """
    p = np.clip(panel.position, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    right, wrong = -np.log(p), -np.log1p(-p)
    loss = panel.right * right + panel.wrong * wrong
    # Spread inside a wide cell: the next terms of the expansion of the logarithm about the cell's mean. Log-spaced
    # cells need none, and there the unit of the sums would be larger than the terms.
    wide = np.flatnonzero(~IS_ATOM[panel.cells] & (panel.cells < HIGH))
    q, n = p[wide], panel.n[wide]
    mean = panel.row(Row.C)[wide] / n / UNIT
    with_outcome = (panel.row(Row.CY)[wide] - mean * panel.row(Row.Y)[wide]) / UNIT
    variance = np.maximum(panel.row(Row.C2)[wide] / n / UNIT - mean * mean, 0.0)
    first = with_outcome / q + with_outcome / (1 - q)
    second = variance / 2 * (panel.right[wide] / (q * q) + panel.wrong[wide] / ((1 - q) * (1 - q)))
    loss[wide] += second - first
    return around(panel.mean(loss), variance_of_mean(panel, right, wrong), level, within=(0.0, LARGEST_LOG_LOSS))


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

    Normal intervals, to first order: fitting the recalibration moves neither score in its first order.
    """
    fitted, p = recalibrated(panel), panel.position
    base = panel.total(panel.right) / panel.labels
    uncertainty = base * (1 - base)
    at_best = panel.mean(panel.n * fitted * (1 - fitted))
    mean = panel.spread(base)
    of_mean = ((1 - mean) ** 2, mean * mean)
    of_best = ((1 - fitted) ** 2, fitted * fitted)
    of_stated = ((1 - p) ** 2, p * p)

    def difference(first: tuple[FloatArray, FloatArray], second: tuple[FloatArray, FloatArray]) -> FloatArray:
        return variance_of_mean(panel, first[0] - second[0], first[1] - second[1])

    return BrierParts(
        around(np.maximum(_brier(panel) - at_best, 0.0), difference(of_stated, of_best), level, within=(0.0, 1.0)),
        around(np.maximum(uncertainty - at_best, 0.0), difference(of_mean, of_best), level, within=(0.0, 0.25)),
        _uncertainty(base, share(base * panel.labels, panel.labels, level)),
    )


def _uncertainty(base: FloatArray, interval: Estimates) -> Estimates:
    """m (1 - m) of a mean outcome m, between what it is at the ends of the interval of m."""
    low, high = interval.low * (1 - interval.low), interval.high * (1 - interval.high)
    holds_half = (interval.low < 0.5) & (interval.high > 0.5)
    return Estimates(base * (1 - base), np.minimum(low, high), np.where(holds_half, 0.25, np.maximum(low, high)))


def recalibrated(panel: Panel) -> FloatArray:
    """(t,) the isotonic regression of outcome on confidence within each series, 0..1 (Ayer et al. 1955).

    One call for all series: each is lifted above the one before, so that no block of equal values reaches across.
    """
    lifted = panel.right / panel.n + _APART * panel.series
    edges = isotonic_regression(lifted, weights=panel.n).blocks[:-1]
    right, n = np.add.reduceat(panel.row(Row.Y), edges), np.add.reduceat(panel.row(Row.N), edges)
    return np.asarray(np.repeat(right / UNIT / n, np.diff(edges, append=len(lifted))))


def murphy_parts(bins: Bins, level: float) -> tuple[Estimates, Estimates]:
    """Reliability (lower is better) and resolution (higher is better) of binned forecasts, 0..1 (Murphy 1973).

    bins of shape (S, bins), each series with a label. Brier score = reliability - resolution + uncertainty, but for the
    spread of the confidences inside the bins. Reliability is biased upwards at small n, like ECE.
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

    return (
        around(reliability, variance(gap**2, 2 * gap), level, within=(0.0, 1.0)),
        around(resolution, variance(lift**2, 2 * lift), level, within=(0.0, 0.25)),
    )
