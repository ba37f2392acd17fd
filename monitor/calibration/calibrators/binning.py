"""Maps that are steps: histogram binning, and scaling-binning."""

from typing import Final

import numpy as np

from monitor.calibration.bins import run_starts
from monitor.calibration.calibrators.curves import IDENTITY, LogOdds, Steps
from monitor.calibration.calibrators.isotonic import blocks
from monitor.calibration.calibrators.logistic import Found, platt, reasons
from monitor.calibration.calibrators.sample import Sample
from monitor.calibration.cells import FloatArray, Int64Array
from monitor.calibration.odds import sigmoid

BINS: Final = 10


def histogram(sample: Sample) -> Found:
    """Ten bins with about as many labels each, and the share right in each (Zadrozny & Elkan 2001).

    A bin with k right of n says (k + 1/2) / (n + 1), as if it had half a right and half a wrong answer more. Bins that
    fall are put together, so that the map never does.
    """
    first = _bins(sample)
    n, right = np.add.reduceat(sample.n, first), np.add.reduceat(sample.right, first)
    level, rate = blocks((right + 0.5) / (n + 1), n + 1, sample.series[first])
    return _steps(sample, first[level], rate, reasons(sample, np.ones(len(sample)), two_confidences=True))


def scaling_binning(sample: Sample) -> Found:
    """Platt's map, and within each of ten bins with about as many labels its mean (Kumar et al. 2019)."""
    lines = platt(sample)
    known = [each if isinstance(each, LogOdds) else IDENTITY for each in lines]
    slope, intercept = np.array([(each.a, each.m) for each in known]).T
    scaled = sigmoid(slope[sample.series] * sample.odds + intercept[sample.series])
    first = _bins(sample)
    mean = np.add.reduceat(scaled * sample.n, first) / np.add.reduceat(sample.n, first)
    return _steps(sample, first, mean, [each if isinstance(each, str) else "" for each in lines])


def _bins(sample: Sample) -> Int64Array:
    """The first cell of each bin. A cell is never cut: it belongs to the bin of its middle label."""
    whole = sample.labels[sample.series]
    before = np.cumsum(sample.n) - sample.n
    below = before - before[sample.starts][sample.series]
    share = np.clip((below + sample.n / 2) / whole, 0.0, 1 - 1e-9)
    return run_starts(sample.series * BINS + np.floor(share * BINS).astype(np.int64))


def _steps(sample: Sample, first: Int64Array, value: FloatArray, why_not: list[str]) -> Found:
    """Steps that begin at these cells; between two of them at the middle of what lies between their cells."""
    inside = np.diff(sample.series[first], prepend=-1) == 0
    after = first[inside]
    middle = (sample.confidence[after - 1] + sample.confidence[after]) / 2
    upto = np.minimum(np.maximum(middle, sample.high[after - 1]), sample.low[after]).tolist()
    ends = np.searchsorted(sample.series[first], np.arange(1, len(sample) + 1))
    levels = np.clip(value, 0.0, 1.0).tolist()
    found: Found = []
    begin = 0
    for series, (end, reason) in enumerate(zip(ends.tolist(), why_not, strict=True)):
        # There is one step fewer than values in every series before.
        steps = upto[begin - series : end - series - 1]
        found.append(reason or Steps(tuple(steps), tuple(levels[begin:end])))
        begin = end
    return found
