"""Shift of the confidences: how far those of two sets of predictions lie apart. No label is needed, and none is used.

A shift says that the confidences changed, not that they became wrong: other traffic moves them too, and a model whose
answers get worse while it goes on as sure as before does not move them at all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import gammaincinv

from monitor.calibration.cells import GRID, HIGH, LOW, FloatArray, Int16Array, Int64Array
from monitor.calibration.estimates import Estimates
from monitor.calibration.sketch import Row, Sketch
from monitor.calibration.uncertainty import z_of

NO_PREDICTIONS: Final = "no predictions in one of the two"
PLACES: Final = 2 * GRID + 1
"""Confidences as multiples of 1/1200: the atoms, and between two of them the middle."""
_EVERY: Final = 10
"""At so many places apart the variance under no shift is summed."""


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """Of S pairs: `distance` 0..1 with its interval; `mean_change` -1..1, positive where the later confidences are
    higher; and the null band of the distance, (S,) each. NaN where one of the two holds no predictions."""

    distance: Estimates
    mean_change: FloatArray
    null_low: FloatArray
    null_high: FloatArray


def place_of(cells: Int16Array) -> Int64Array:
    """(t,) the place of each cell, 0..1200: that of its interval for the cells near 0 and 1 that are split further."""
    places = cells.astype(np.int64)
    return np.where(places >= LOW, 1, np.where(places >= HIGH, PLACES - 2, places))


def predictions_by_place(sketches: Sequence[Sketch]) -> FloatArray:
    """(S, 1201) predictions, labelled or not."""
    counts = np.zeros((len(sketches), PLACES))
    for row, sketch in zip(counts, sketches, strict=True):
        np.add.at(row, place_of(sketch.cells), sketch.row(Row.N_PRED))
    return counts


def shift(before: Sequence[Sketch], after: Sequence[Sketch], level: float) -> Shift:
    """How far the confidences of each `after` lie from those of its `before`.

    The distance is that of Wasserstein, of order 1: by how much confidence a prediction must be moved, on average, to
    make one set of the other. It is at least |mean_change|, and more where some went up and others down. Known to
    1/600, and exactly for multiples of that. Predictions are taken as independent.

    The null band is where it would lie if both were drawn from one distribution, their own together: mean and variance
    of the area under a Brownian bridge without its sign (del Barrio, Gine and Matran 1999), as a gamma distribution.
    Atoms are no obstacle: it takes the distribution as it is. The interval is normal, from the influence of each
    prediction; up to the top of the null band it starts at 0, and above, the noise is taken off in quadrature.
    """
    first, second = predictions_by_place(before), predictions_by_place(after)
    sizes = np.stack([first.sum(axis=1), second.sum(axis=1)])
    sizes = np.where(sizes.min(axis=0) > 0, sizes, np.nan)
    below_first, below_second = (
        np.cumsum(each, axis=1)[:, :-1] / n[:, None] for each, n in zip((first, second), sizes, strict=True)
    )
    step = 1 / (PLACES - 1)
    apart = below_first - below_second
    distance = np.abs(apart).sum(axis=1) * step
    per_pair = (1 / sizes).sum(axis=0)
    pooled = (first + second) / sizes.sum(axis=0)[:, None]
    null_mean, null_variance = _bridge(np.cumsum(pooled, axis=1)[:, :-1])
    null_mean, null_variance = null_mean * np.sqrt(per_pair), null_variance * per_pair
    null_low, null_high = (_gamma(null_mean, null_variance, (1 + side * level) / 2) for side in (-1, 1))
    half = z_of(level) * np.sqrt(_variance(apart, (first, second), sizes))
    lower = np.sqrt(np.maximum(distance**2 - null_mean**2, 0.0)) - half
    low = np.where(distance <= null_high, 0.0, np.maximum(lower, 0.0))
    high = np.minimum(np.maximum(distance + half, np.where(distance <= null_high, null_high, 0.0)), 1.0)
    unknown = np.isnan(distance)
    low, high = (np.where(unknown, np.nan, end) for end in (low, high))
    return Shift(Estimates(distance, low, high, NO_PREDICTIONS), apart.sum(axis=1) * step, null_low, null_high)


def _variance(apart: FloatArray, counts: tuple[FloatArray, FloatArray], sizes: FloatArray) -> FloatArray:
    """(S,) the variance of the distance, its signs taken as given: that of the mean of a function of the confidence."""
    rises = np.concatenate([np.zeros((len(apart), 1)), np.cumsum(np.sign(apart), axis=1)], axis=1) / (PLACES - 1)
    variance = np.zeros(len(apart))
    for count, n in zip(counts, sizes, strict=True):
        mean = (count * rises).sum(axis=1) / n
        variance += ((count * rises**2).sum(axis=1) / n - mean**2) / n
    return np.asarray(np.maximum(variance, 0.0))


def _bridge(below: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(S,) mean and variance of the integral over 0..1 of |B(F(c))|, B a Brownian bridge; below (S, 1200) is F.

    cov(|X|, |Y|) of Gaussian X, Y with correlation r is 2/pi sd sd (root(1 - r^2) + r asin r - 1).
    """
    deviation = np.sqrt(np.maximum(below * (1 - below), 0.0))
    mean = math.sqrt(2 / math.pi) * deviation.sum(axis=1) / (PLACES - 1)
    coarse = np.clip(below[:, _EVERY // 2 :: _EVERY], 1e-12, 1 - 1e-12)
    weight = deviation.reshape(len(below), -1, _EVERY).sum(axis=2) / (PLACES - 1)
    odds, variance = np.sqrt(coarse / (1 - coarse)), np.empty(len(below))
    for series in range(len(below)):  # one at a time: its pairs of places fill the processor's cache
        ratio = odds[series][:, None] / odds[series]
        r = np.minimum(ratio, 1 / ratio)
        shared = 2 / math.pi * (np.sqrt(np.maximum(1 - r * r, 0.0)) + r * np.arcsin(r) - 1)
        variance[series] = weight[series] @ shared @ weight[series]
    return mean, variance


def _gamma(mean: FloatArray, variance: FloatArray, quantile: float) -> FloatArray:
    """(S,) the quantile of a gamma distribution, at most 1; 0 where all confidences are equal."""
    known = variance > 0
    safe_mean, safe_variance = np.where(known, mean, 1.0), np.where(known, variance, 1.0)
    found = gammaincinv(safe_mean**2 / safe_variance, quantile) * safe_variance / safe_mean
    return np.where(np.isnan(mean), np.nan, np.where(known, np.minimum(found, 1.0), 0.0))
