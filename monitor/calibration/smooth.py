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
NARROWEST: Final = 1.5 / GRID
"""The smallest bandwidth that the grid can tell from none; a smooth ECE below it is known to about 1e-4."""
RUNGS: Final = ((GRID // 4 + 1, 0.025), (GRID // 2 + 1, 0.0125), (POINTS, NARROWEST))
"""How many points of the grid, and as many waves, are enough from which bandwidth on."""
_NOTHING: Final = np.float32(-50)
"""Logarithm of a kernel that counts as none: smaller ones are numbers with which processors are slow."""
_ROUNDS: Final = 12
_CLOSE: Final = 5e-5
"""How far from its root a bandwidth may be at which the last secant step is taken: that squares the distance."""


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
    grid = _grid(panel)
    waves = _waves(panel, grid, (panel.row(Row.C) - panel.row(Row.Y)) / UNIT)
    value, variance = np.empty(len(panel)), np.empty(len(panel))
    sides, points = np.zeros(waves.shape, np.float32), np.empty(len(panel), np.int64)
    left, widest = np.arange(len(panel)), 1.0
    for size, narrowest in RUNGS:
        bottom = _integral(np.abs(_smoothed(waves[left, :size], np.full(len(left), narrowest))))
        is_here = (bottom >= narrowest) | (size == POINTS)
        here, left = left[is_here], left[~is_here]
        if len(here):
            part = waves[here, :size]
            value[here], fall = _fixed_point(part, bottom[is_here], narrowest, widest)
            sides[here, :size], points[here] = _sides(part, np.maximum(value[here], NARROWEST)), size
            variance[here] = 1 / (1 + fall) ** 2
        if not len(left):
            break
        widest = narrowest
    side = _at_cells(panel, sides, points)
    variance *= variance_of_mean(panel, side * (panel.position - 1), side * panel.position)
    null_mean, null_deviation = _null(panel, grid)
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


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """The two points of the grid that each cell lies between.

    `at` (2 t,), the left ones first, counts the points of all series, one series after the other; `share` (2, t) is how
    much of the cell goes to which.
    """

    at: Int64Array
    share: FloatArray


def _grid(panel: Panel) -> _Grid:
    x = panel.position * GRID
    left = np.minimum(x.astype(np.int64), GRID - 1)
    share, at = x - left, panel.series * POINTS + left
    return _Grid(np.concatenate([at, at + 1]), np.stack([1 - share, share]))


def _waves(panel: Panel, grid: _Grid, of_cells: FloatArray) -> Singles:
    """(S, 601) cosine coefficients of values at the cells, per label; `_smoothed` turns them back."""
    shares = grid.share * (of_cells * panel.spread(0.5 / panel.labels))
    values = np.bincount(grid.at, shares.reshape(-1), len(panel) * POINTS).astype(np.float32)
    columns = values.reshape(-1, POINTS)
    columns[:, [0, -1]] *= 2  # a transform counts its two ends once, all others twice
    return np.asarray(dct(columns, type=1, overwrite_x=True), np.float32)


def _smoothed(waves: Singles, bandwidth: FloatArray) -> Singles:
    """(S, p) the density of the values, smoothed, at p points from 0 to 1; waves (S, p)."""
    decay = (-(np.pi**2) / 2 * np.arange(waves.shape[1]) ** 2).astype(np.float32)
    kernel = np.square(bandwidth).astype(np.float32)[:, None] * decay
    np.exp(np.maximum(kernel, _NOTHING, out=kernel), out=kernel)
    kernel *= waves
    return np.asarray(dct(kernel, type=1, overwrite_x=True), np.float32)


def _integral(of_grid: Singles) -> FloatArray:
    """(S,) by the trapezoidal rule over 0..1."""
    ends = of_grid[:, 0] + of_grid[:, -1]
    return np.asarray((of_grid.sum(axis=1, dtype=np.float64) - ends / 2) / (of_grid.shape[1] - 1))


def _fixed_point(waves: Singles, bottom: FloatArray, narrowest: float, widest: float) -> tuple[FloatArray, FloatArray]:
    """(S,) the bandwidth from narrowest to widest that equals its integral, and how steeply the integral falls there.

    The integral falls with the bandwidth, from `bottom` (S,) at the narrowest to the gap of all labels, so there is
    one, between these two. Where `bottom` is less than the narrowest bandwidth, it is the answer and does not fall.
    """
    count = len(waves)
    found, steep, left = bottom.copy(), np.zeros(count), np.arange(count)
    gap = np.abs(waves[:, 0]).astype(np.float64)
    low, high = np.maximum(gap, narrowest), np.clip(bottom, narrowest, widest)
    # Noise falls like the root of the bandwidth, the gap not at all.
    at = np.clip(np.sqrt(gap**2 + np.maximum(bottom**2 - gap**2, 0) * narrowest / high), low, high)
    before, over_before = np.full(count, narrowest), bottom - narrowest
    fall = np.zeros(count)
    for number in range(_ROUNDS):
        over = _integral(np.abs(_smoothed(waves, at))) - at
        moved = np.where(at == before, 1.0, at - before)
        fall = np.where(at == before, fall, np.clip((over_before - over) / moved - 1, 0.0, 20.0))
        low, high = np.where(over > 0, at, low), np.where(over > 0, high, at)
        step = at + over / (1 + fall)
        following = np.where((step < low) | (step > high), (low + high) / 2, step)
        done = (np.abs(over) < _CLOSE) | (number == _ROUNDS - 1)
        found[left[done]], steep[left[done]] = following[done], fall[done]
        if done.all():
            break
        kept = ~done
        left, waves = left[kept], waves[kept]
        before, over_before, at = at[kept], over[kept], following[kept]
        low, high, fall = low[kept], high[kept], fall[kept]
    is_floored = bottom < narrowest
    return np.where(is_floored, bottom, found), np.where(is_floored, 0.0, steep)


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


def _null(panel: Panel, grid: _Grid) -> tuple[FloatArray, FloatArray]:
    """(S,) mean and standard deviation of smooth ECE, were the model calibrated: its residual is Gaussian then."""
    of_cells = (panel.row(Row.C) - panel.row(Row.C2)) / UNIT / panel.spread(panel.labels)
    waves = _waves(panel, grid, of_cells)
    mean, deviation = np.empty(len(panel)), np.empty(len(panel))
    guess = np.clip(0.56 * np.cbrt(np.maximum(waves[:, 0], 0.0)), NARROWEST, 0.4).astype(np.float64)
    left = np.arange(len(panel))
    for size, narrowest in RUNGS:
        is_here = (guess[left] >= 0.8 * narrowest) | (size == POINTS)
        here, left = left[is_here], left[~is_here]
        if len(here):
            mean[here], deviation[here] = _null_of(waves[here, :size], guess[here])
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
