"""The isotonic map: the rising curve that fits best of all (Ayer et al. 1955; Zadrozny & Elkan 2002)."""

import numpy as np
from scipy.optimize import isotonic_regression

from monitor.calibration.calibrators.curves import Points
from monitor.calibration.calibrators.logistic import Found, reasons
from monitor.calibration.calibrators.sample import Sample
from monitor.calibration.cells import FloatArray, Int64Array

_APART = 4.0
"""By how much each series is lifted above the one before, so that one regression serves all: more than 1."""


def isotonic(sample: Sample) -> Found:
    """Each run of cells with one fitted rate is level, and straight lines lead from one to the next."""
    first, rate = blocks(sample.right / sample.n, sample.n, sample.series)
    last = np.append(first[1:], len(sample.series)) - 1
    ends = np.repeat(np.arange(len(first)), 1 + (last > first))
    begins = np.diff(ends, prepend=-1) > 0
    x = sample.confidence[np.where(begins, first[ends], last[ends])].tolist()
    y = rate[ends].tolist()
    series = sample.series[first][ends]
    until = np.searchsorted(series, np.arange(1, len(sample) + 1)).tolist()
    found: Found = []
    begin = 0
    for end, reason in zip(until, reasons(sample, np.ones(len(sample)), two_confidences=True), strict=True):
        found.append(reason or Points(tuple(x[begin:end]), tuple(y[begin:end])))
        begin = end
    return found


def blocks(rate: FloatArray, weight: FloatArray, series: Int64Array) -> tuple[Int64Array, FloatArray]:
    """The isotonic regression of (t,) rates in 0..1, which stand in order, within each series: (blocks,) the first
    place of each, and its rate."""
    first = isotonic_regression(rate + _APART * series, weights=weight).blocks[:-1].astype(np.int64)
    mean = np.add.reduceat(rate * weight, first) / np.add.reduceat(weight, first)
    return first, np.clip(mean, 0.0, 1.0)
