"""Smooth ECE (Blasiok & Nakkiran 2023): calibration error without bins, at the bandwidth that equals it.

The residuals are smoothed by a Gaussian kernel that is reflected at 0 and 1. In cosines that is a product, so a panel
is smoothed by one discrete cosine transform to and one back, on the 601 points of the sketch's own grid.
"""

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from monitor.calibration.cells import GRID, UNIT, FloatArray, Int64Array
from monitor.calibration.estimates import Estimates, variance_of_mean
from monitor.calibration.panel import Panel
from monitor.calibration.sketch import Row
from monitor.calibration.uncertainty import z_of

Singles: TypeAlias = NDArray[np.float32]
"""Of single precision: digits beyond those of a measure that is known to 1e-4 are not worth twice the time."""

POINTS: Final = GRID + 1
COARSE: Final = GRID // 2 + 1
"""Every second point of the grid, and half of the waves: enough for wide kernels."""
WIDE: Final = 0.02
NARROWEST: Final = 1.5 / GRID
"""The smallest bandwidth that the grid can tell from none; a smooth ECE below it is known to about 1e-4."""
_ROUNDS: Final = 12
_CLOSE: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class SmoothEce:
    """Smooth ECE of S series with intervals, and its null band, (S,) each: 0..1."""

    estimates: Estimates
    null_low: FloatArray
    null_high: FloatArray


def smooth_ece(panel: Panel, level: float) -> SmoothEce:
    """The bandwidth at which the smoothed residual, integrated without its sign, equals the bandwidth: 0..1.

    Two-sided like ECE, continuous in the confidences, without bins to choose. Within 1e-4 of the raw pairs. The
    interval is to first order in the labels, with the noise taken off the lower end in quadrature; the null band is
    that of a Gaussian residual of a calibrated model, mean and variance in closed form.
    """
    waves = _waves(panel, (panel.row(Row.C) - panel.row(Row.Y)) / UNIT)
    value, variance = np.empty(len(panel)), np.empty(len(panel))
    is_wide = _integral(np.abs(_smoothed(waves[:, :COARSE], np.full(len(panel), WIDE)))) >= WIDE
    sides = np.zeros(waves.shape, np.float32)
    points = np.where(is_wide, COARSE, POINTS)
    for some, size, bracket in ((is_wide, COARSE, (WIDE, 1.0)), (~is_wide, POINTS, (NARROWEST, WIDE))):
        if some.any():
            part = waves[some, :size]
            value[some], fall = _fixed_point(part, bracket)
            sides[some, :size] = _sides(part, np.maximum(value[some], NARROWEST))
            variance[some] = 1 / (1 + fall) ** 2
    side = _at_cells(panel, sides, points)
    variance *= variance_of_mean(panel, side * (panel.position - 1), side * panel.position)
    null_mean, null_deviation = _null(panel)
    z = z_of(level)
    half = z * np.sqrt(variance)
    # Skewed like a sum of half normals, by 1.32 times its spread over its mean (Cornish & Fisher 1938).
    spread = null_deviation / np.maximum(null_mean, NARROWEST)
    tilt = 1.32 * spread * (z * z - 1) / 6
    null_high = np.minimum(null_mean + (z + tilt) * null_deviation, 1.0)
    without_noise = np.sqrt(np.maximum(value**2 - null_mean**2, 0.0))
    low = np.where(value <= null_high, 0.0, np.maximum(without_noise - half, 0.0))
    return SmoothEce(
        Estimates(value, low, np.minimum(value + half, 1.0)),
        np.maximum(null_mean + (tilt - z) * null_deviation, 0.0),
        null_high,
    )


def _waves(panel: Panel, of_cells: FloatArray) -> Singles:
    """(S, 601) cosine coefficients of values at the cells, per label; `_smoothed` turns them back."""
    x = panel.position * GRID
    left = np.minimum(x.astype(np.int64), GRID - 1)
    share, at = x - left, panel.series * POINTS + left
    each = of_cells / panel.spread(panel.labels)
    size = len(panel) * POINTS
    grid = np.bincount(at, each * (1 - share), size) + np.bincount(at + 1, each * share, size)
    columns = grid.reshape(-1, POINTS).astype(np.float32)
    columns[:, [0, -1]] *= 2  # a transform counts its two ends once, all others twice
    return np.asarray(dct(columns, type=1, overwrite_x=True) / 2, np.float32)


def _smoothed(waves: Singles, bandwidth: FloatArray) -> Singles:
    """(S, p) the density of the values, smoothed, at p points from 0 to 1; waves (S, p)."""
    decay = (-(np.pi**2) / 2 * np.arange(waves.shape[1]) ** 2).astype(np.float32)
    kernel = np.exp(np.square(bandwidth).astype(np.float32)[:, None] * decay)
    kernel *= waves
    return np.asarray(dct(kernel, type=1, overwrite_x=True), np.float32)


def _integral(of_grid: Singles) -> FloatArray:
    """(S,) by the trapezoidal rule over 0..1."""
    ends = of_grid[:, 0] + of_grid[:, -1]
    return np.asarray((of_grid.sum(axis=1, dtype=np.float64) - ends / 2) / (of_grid.shape[1] - 1))


def _fixed_point(waves: Singles, bracket: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
    """(S,) the bandwidth that equals its integral, and how steeply the integral falls there (0 or more).

    The integral falls with the bandwidth, so there is one. Secant steps, kept within the bracket; where already the
    narrowest kernel gives less than its bandwidth, what it gives.
    """
    count = len(waves)
    found, steep, left = np.empty(count), np.empty(count), np.arange(count)
    low, high = np.full(count, bracket[0]), np.full(count, bracket[1])
    # Never at the root itself, where all residuals have one sign: the slope there takes two points.
    at, fall = np.clip(0.8 * np.abs(waves[:, 0]), 2 * low, high), np.zeros(count)
    before = over_before = np.zeros(count)
    for number in range(_ROUNDS):
        over = _integral(np.abs(_smoothed(waves, at))) - at
        if number:
            moved = np.where(at == before, 1.0, at - before)
            fall = np.where(at == before, fall, np.clip((over_before - over) / moved - 1, 0.0, 20.0))
        floored = (over < 0) & (at <= NARROWEST)
        low, high = np.where(over > 0, at, low), np.where(over > 0, high, at)
        step = at + over / (1 + fall)
        following = np.where((step < low) | (step > high), (low + high) / 2, step)
        # As long as nothing is known of the lower end it may be the answer itself.
        following = np.where((step < low) & (low == bracket[0]), low, following)
        done = floored | (np.abs(over) < _CLOSE) | (number == _ROUNDS - 1)
        found[left[done]] = np.where(floored, at + over, following)[done]
        steep[left[done]] = fall[done]
        if done.all():
            break
        kept = ~done
        left, waves = left[kept], waves[kept]
        before, over_before, at = at[kept], over[kept], following[kept]
        low, high, fall = low[kept], high[kept], fall[kept]
    return found, steep


def _sides(waves: Singles, bandwidth: FloatArray) -> Singles:
    """(S, p) on which side of 0 the smoothed residual is, smoothed in its turn, -1..1: what a residual there moves."""
    sign = np.sign(_smoothed(waves, bandwidth))
    return _smoothed(np.asarray(dct(sign, type=1) / (2 * (waves.shape[1] - 1)), np.float32), bandwidth)


def _at_cells(panel: Panel, of_grid: Singles, points: Int64Array) -> FloatArray:
    """(t,) the values of a grid, of its own number of points for each series, between which the cells lie."""
    steps = (points - 1)[panel.series]
    x = panel.position * steps
    left = np.minimum(x.astype(np.int64), steps - 1)
    at, flat = panel.series * of_grid.shape[1] + left, of_grid.reshape(-1)
    return np.asarray(flat[at] + (flat[at + 1] - flat[at]) * (x - left))


def _null(panel: Panel) -> tuple[FloatArray, FloatArray]:
    """(S,) mean and standard deviation of smooth ECE, were the model calibrated: its residual is Gaussian then."""
    waves = _waves(panel, (panel.row(Row.C) - panel.row(Row.C2)) / UNIT / panel.spread(panel.labels))
    mean, deviation = np.empty(len(panel)), np.empty(len(panel))
    guess = np.clip(0.56 * np.cbrt(np.maximum(waves[:, 0], 0.0)), NARROWEST, 0.4).astype(np.float64)
    is_wide = guess >= WIDE / 2
    for some, size in ((is_wide, COARSE), (~is_wide, POINTS)):
        if some.any():
            mean[some], deviation[some] = _null_of(waves[some, :size], guess[some])
    return mean, deviation


def _null_of(waves: Singles, guess: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The fixed point of the mean of the integral, by how it falls with the bandwidth: like its root where kernels
    overlap (fall .5), not at all where each confidence stands alone (fall 0)."""
    at = np.clip(np.cbrt(np.square(_null_mean(waves, guess)) * guess), NARROWEST, 0.4)
    mean, wider = _null_mean(waves, at), _null_mean(waves, WIDER * at)
    known = (mean > 0) & (wider > 0)
    fall = np.log(np.where(known, mean, 1.0) / np.where(known, wider, 1.0)) / np.log(WIDER)
    fall = np.clip(fall, 0.0, 0.5)
    width = (mean * at**fall) ** (1 / (1 + fall))
    share = ALONE + (OVERLAPPING - ALONE) * fall / 0.5
    variance = share * np.maximum(waves[:, 0], 0.0).astype(np.float64)
    return width, np.sqrt(variance) / (1 + fall)


def _null_mean(waves: Singles, bandwidth: FloatArray) -> FloatArray:
    """(S,) mean of the integral of a Gaussian residual without its sign; waves of its variance by confidence."""
    narrower = np.maximum(_smoothed(waves, bandwidth / np.sqrt(2)), 0)
    square = narrower / (2 * np.sqrt(np.pi) * bandwidth).astype(np.float32)[:, None]
    return np.asarray(math.sqrt(2 / math.pi) * _integral(np.sqrt(square)))


def _overlapping() -> float:
    """The variance of the integral over that of the residuals, where kernels overlap.

    From cov(|X|, |Y|) = (E|X|)^2 (root(1 - r^2) + r asin r - 1) of two Gaussian values at a distance of d bandwidths,
    r = exp(-d^2 / 4).
    """
    distance = np.linspace(-12, 12, 48001)
    r = np.exp(-(distance**2) / 4)
    both = float(np.trapezoid(np.sqrt(1 - r * r) + r * np.arcsin(r) - 1, distance))
    return both / (math.pi * math.sqrt(math.pi))


OVERLAPPING: Final = _overlapping()
ALONE: Final = 1 - 2 / np.pi
"""The same where each confidence stands alone: the variance of a half normal."""
WIDER: Final = 1.25
