"""Interval and null band of ECE for many series at once, without chance: moments and a Cornish-Fisher expansion.

Bins hold sums of many labels, so their gaps are nearly normal and ECE is a sum of folded normals, whose first moments
are known. Against resampling the 5 % and 95 % quantiles are within 2.5 % where n is some hundreds or more.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import erfc

from monitor.calibration.bins import Bins
from monitor.calibration.cells import UNIT, FloatArray
from monitor.calibration.uncertainty import z_of

_ROOT = math.sqrt(2 / math.pi)


@dataclass(frozen=True, slots=True, eq=False)
class ManyBands:
    """ECE of S series, less its bias, with interval and null band: arrays of shape (S,), values 0..1."""

    ece: FloatArray
    debiased: FloatArray
    low: FloatArray
    high: FloatArray
    null_low: FloatArray
    null_high: FloatArray


def eces(bins: Bins) -> FloatArray:
    """Expected calibration error: the mean over labels of |mean confidence - accuracy| of their bin, (S,) in 0..1.

    Naeini et al. 2015; the bin's mean confidence, not its centre (Guo et al. 2017). Biased upwards at small n: compare
    it with its null band. Exact to 2e-9. Every series holds at least one label.
    """
    return np.asarray(np.abs(bins.sum_c - bins.sum_y).sum(axis=-1) / (bins.total * float(UNIT)))


def bands_of_many(bins: Bins, level: float) -> ManyBands:
    """What `uncertainty.ece_bands` draws, in closed form, for bins of shape (S, bins); each series holds a label."""
    ece = eces(bins)
    n = bins.total[..., None].astype(np.float64)
    z = z_of(level)
    null_low, null_high = _null(bins, n, z)
    low, mean, high = _bootstrap(bins, n, z)
    inside = ece <= null_high
    start = np.where(inside, 0.0, np.maximum(0.0, 2 * ece - high))
    end = ece + np.maximum(mean - low, high - mean)
    end = np.minimum(1.0, np.where(inside, np.maximum(end, high), end))
    return ManyBands(ece, np.clip(2 * ece - mean, 0.0, end), start, end, np.maximum(0.0, null_low), null_high)


def _null(bins: Bins, n: FloatArray, z: float) -> tuple[FloatArray, FloatArray]:
    """Quantiles of a sum of half normals, with the variance of each bin known exactly: the sum of c (1 - c)."""
    spread = np.sqrt(np.maximum(bins.sum_c - bins.sum_c2, 0) / UNIT) / n
    mean = _ROOT * spread.sum(axis=-1)
    variance = (1 - 2 / math.pi) * (spread**2).sum(axis=-1)
    third = _ROOT * (4 / math.pi - 1) * (spread**3).sum(axis=-1)
    fourth = 8 * (math.pi - 3) / math.pi**2 * (spread**4).sum(axis=-1)
    return _quantile(mean, variance, third, fourth, -z), _quantile(mean, variance, third, fourth, z)


def _bootstrap(bins: Bins, n: FloatArray, z: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Lower quantile, mean and upper quantile of ECE when labels are drawn again: sums of folded normals."""
    inside = np.maximum(bins.n, 1)
    gap = bins.gap / n
    chance = (bins.sum_y / UNIT + 0.5) / (bins.n + 1)
    # A bin's gap varies with its outcomes, and with how many of the labels fall into it.
    spread = np.sqrt(bins.n * chance * (1 - chance) / n**2 + gap**2 * n / inside / n - gap**2 / n)
    spread = np.maximum(spread, 1e-15)
    # Moments of folded normals, all but the gap itself in parts that vanish as it outgrows its spread: differences of
    # whole moments would then be nothing but rounding, as in a million answers to one question.
    ratio = np.abs(gap) / spread
    density, flipped = _ROOT * np.exp(-ratio * ratio / 2), erfc(ratio / math.sqrt(2))
    lift = density - ratio * flipped
    third = spread**3 * (density * (4 * ratio**2 - 1) - 4 * ratio**3 * flipped + 6 * ratio * lift**2 + 2 * lift**3)
    # Bins share the labels: a draw more in one is a draw less in another.
    pull = np.abs(gap) * (1 - flipped)
    shared = (pull.sum(axis=-1) ** 2 - (pull**2).sum(axis=-1)) / n[..., 0]
    mean = (np.abs(gap) + spread * lift).sum(axis=-1)
    variance = np.maximum((spread**2 * (1 - lift * (2 * ratio + lift))).sum(axis=-1) - shared, 1e-30)
    third = third.sum(axis=-1)
    none = np.zeros_like(mean)
    return _quantile(mean, variance, third, none, -z), mean, _quantile(mean, variance, third, none, z)


def _quantile(mean: FloatArray, variance: FloatArray, third: FloatArray, fourth: FloatArray, z: float) -> FloatArray:
    """The quantile at a standard normal z from four cumulants (Cornish & Fisher 1938)."""
    variance = np.maximum(variance, 1e-30)
    skew, excess = third / variance**1.5, fourth / variance**2
    step = z + (z * z - 1) * skew / 6 + (z**3 - 3 * z) * excess / 24 - (2 * z**3 - 5 * z) * skew**2 / 36
    return np.asarray(mean + np.sqrt(variance) * step)
