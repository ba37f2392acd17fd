"""Calibration error by bins, for many series: ECE and its parts, MCE. Every series holds at least one label."""

import math
from typing import Final

import numpy as np
from scipy.special import erf, ndtri

from monitor.calibration.bins import BINNED, Bins
from monitor.calibration.cells import UNIT, FloatArray
from monitor.calibration.estimates import Estimates, around
from monitor.calibration.panel import Panel
from monitor.calibration.sketch import Row

_STEPS: Final = 4
_FARTHEST: Final = 6.0
_SURE: Final = 1e9
"""Deviations that a value is away from a sum that does not vary."""


def one_sided(bins: Bins, level: float, *, sign: int) -> Estimates:
    """The part of ECE from bins whose confidence exceeds their accuracy (sign 1), or the reverse (-1), 0..1.

    Over-confident minus under-confident part is the signed gap; together they are ECE. Normal interval, with the
    mean and variance that the positive part of a normal gap has in each bin: the bias is taken off its lower end.
    """
    value = np.maximum(sign * (bins.sum_c - bins.sum_y), 0).sum(axis=-1) / (bins.total * float(UNIT))
    mean, deviation = sign * bins.gap / bins.total[:, None], gap_deviations(bins) / bins.total[:, None]
    ratio = mean / deviation
    above = (1 + erf(ratio / math.sqrt(2))) / 2
    density = np.exp(-ratio * ratio / 2) / math.sqrt(2 * math.pi)
    first = np.where(bins.n > 0, mean * above + deviation * density, 0.0)
    second = np.where(bins.n > 0, (mean**2 + deviation**2) * above + mean * deviation * density, 0.0)
    bias = np.maximum(first.sum(axis=-1) - value, 0.0)
    return around(np.asarray(value), (second - first**2).sum(axis=-1), level, within=(0.0, 1.0), bias=bias)


def mce(bins: Bins, level: float) -> Estimates:
    """Largest |mean confidence - accuracy| of any bin that holds labels, 0..1 (Naeini et al. 2015).

    Noisy where a bin holds few labels. Its interval is that of all bins' gaps at once (Sidak 1967), so it is wide.
    """
    n = np.where(bins.n > 0, bins.n, 1)
    gaps = np.where(bins.n > 0, np.abs(bins.gap) / n, 0.0)
    used = (bins.n > 0).sum(axis=-1)
    reach = ndtri((1 + level ** (1 / used)) / 2)[:, None] * np.where(bins.n > 0, gap_deviations(bins) / n, 0.0)
    low, high = (gaps - reach).max(axis=-1), (gaps + reach).max(axis=-1)
    return Estimates(gaps.max(axis=-1), np.maximum(low, 0.0), np.minimum(high, 1.0))


def mce_null_band(bins: Bins, level: float) -> tuple[FloatArray, FloatArray]:
    """Where MCE would lie, were the model calibrated: quantiles of the largest of independent half normals."""
    deviation = np.sqrt(np.maximum(bins.sum_c - bins.sum_c2, 0) / UNIT) / np.maximum(bins.n, 1)
    widest = deviation.max(axis=-1)
    relative = np.divide(deviation, widest[:, None], out=np.ones(deviation.shape), where=widest[:, None] > 0)
    low, high = _largest(relative, np.array([(1 - level) / 2, (1 + level) / 2])) * widest
    return np.minimum(low, 1.0), np.minimum(high, 1.0)


def _largest(deviation: FloatArray, quantiles: FloatArray) -> FloatArray:
    """(q, S) the quantiles (q,) of the largest of |N(0, deviation)|, to 1e-6; deviations (S, bins), the widest 1.

    Newton steps on the logarithm of its distribution over that of the value: concave and rising, so from below no step
    goes too far. It is no less than the largest of the k widest, were all of these as narrow as the last: for the k
    where that is most.
    """
    wanted = quantiles[:, None]
    widest_first = -np.sort(-deviation, axis=-1)
    of_equals = ndtri((1 + wanted ** (1 / np.arange(1, deviation.shape[-1] + 1))) / 2)
    value = (widest_first * of_equals[:, None]).max(axis=-1)
    scale = np.divide(1 / math.sqrt(2), deviation, out=np.full(deviation.shape, _SURE), where=deviation > 0)
    for _ in range(_STEPS):
        ratio = value[..., None] * scale
        below = erf(ratio)
        rise = np.multiply(ratio, np.exp(-ratio * ratio), out=np.zeros(ratio.shape), where=ratio < _FARTHEST)
        slope = 2 / math.sqrt(math.pi) * (rise / below).sum(axis=-1)
        value = value * np.exp((np.log(wanted) - np.log(below.prod(axis=-1))) / slope)
    return np.asarray(value)


def gap_deviations(bins: Bins) -> FloatArray:
    """(S, bins) standard deviation of each bin's sum of confidence minus outcome, given its number of labels.

    Outcomes vary as if right with chance (k + 1/2) / (n + 1), so that a bin of only right answers is not certain.
    """
    chance = (bins.sum_y / UNIT + 0.5) / (bins.n + 1)
    return np.sqrt(np.maximum(bins.n * chance * (1 - chance), 1e-18))


def equal_mass(panel: Panel, count: int) -> Bins:
    """(S, count) sums by bin of nearly equal mass, by the middle rank of each cell (Nguyen & O'Connor 2015).

    Cells are never cut: equal confidences share a bin, so some bins may be larger and some empty.
    """
    middles = (2 * panel.n_up_to - panel.row(Row.N)) * count
    bins = (middles / panel.spread(2 * panel.of_series(Row.N))).astype(np.int64)  # a quotient of whole numbers: exact
    return Bins(*panel.by_number(bins, count, BINNED))
