"""Smooth ECE (Blasiok & Nakkiran 2023): calibration error without bins, at the bandwidth that equals it.

The residuals are smoothed by a Gaussian kernel that is reflected at 0 and 1. In cosines that is a product, so a panel
is smoothed by one discrete cosine transform to and one back. The points of a grid are the middles of its equal parts,
so that an integral is their mean.
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

POINTS: Final = GRID
NARROWEST: Final = 1.5 / GRID
"""The smallest bandwidth that the grid can tell from none; a smooth ECE below it is known to about 1e-4."""
RUNGS: Final = ((GRID // 8, 0.025), (GRID // 4, 0.0125), (GRID // 2, 0.00625), (POINTS, NARROWEST))
"""How many points, and as many waves, are enough from which bandwidth on: they leave out 1e-7 of a kernel, at the
narrowest 2e-5."""
_SPREAD: Final = 1 / (2 * POINTS) ** 2
"""By how much the grid itself smooths an atom, which lies in the middle between two of its points: a variance."""
_DECAY: Final = (-(np.pi**2) / 2 * np.arange(POINTS) ** 2).astype(np.float32)
"""(600,) logarithm of what a kernel of bandwidth 1 leaves of each wave."""
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
    sides = np.zeros(waves.shape, np.float32)
    left, widest = np.arange(len(panel)), 1.0
    for size, narrowest in RUNGS:
        bottom = _integral(np.abs(_smoothed(waves[left, :size], np.full(len(left), narrowest))))
        is_here = (bottom >= narrowest) | (size == POINTS)
        here, left = left[is_here], left[~is_here]
        if len(here):
            part = waves[here, :size]
            value[here], fall, side = _fixed_point(part, bottom[is_here], narrowest, widest)
            sides[here, :size] = _waves_of_grid(side, np.maximum(value[here], NARROWEST))
            variance[here] = 1 / (1 + fall) ** 2
        if not len(left):
            break
        widest = narrowest
    moved = _at_cells(grid, dct(sides, type=3, overwrite_x=True))
    variance *= variance_of_mean(panel, moved * (panel.position - 1), moved * panel.position)
    noise = (panel.row(Row.C) - panel.row(Row.C2)) / UNIT / panel.spread(panel.labels)
    null_mean, null_deviation = _null(_waves(panel, grid, noise))
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
    """The two points of the grid that each cell lies between, (t,) each, counted over all series.

    Beyond either end lies the reflection of the outermost point. `share` is how much of the cell is the right point's.
    """

    left: Int64Array
    right: Int64Array
    share: Singles


def _grid(panel: Panel) -> _Grid:
    place = panel.position * POINTS + 0.5
    right, first = place.astype(np.int64), panel.series * POINTS
    share = (place - right).astype(np.float32)
    return _Grid(first + np.maximum(right - 1, 0), first + np.minimum(right, POINTS - 1), share)


def _waves(panel: Panel, grid: _Grid, of_cells: FloatArray) -> Singles:
    """(S, 600) cosine coefficients of values at the cells, per label; `_smoothed` turns them back."""
    values = (of_cells * panel.spread(0.5 / panel.labels)).astype(np.float32)
    to_right = values * grid.share
    values -= to_right
    points = np.zeros(len(panel) * POINTS, np.float32)
    np.add.at(points, grid.left, values)
    np.add.at(points, grid.right, to_right)
    return np.asarray(dct(points.reshape(-1, POINTS), type=2, overwrite_x=True), np.float32)


def _at_cells(grid: _Grid, of_grid: Singles) -> FloatArray:
    """(t,) the values of a grid, (S, 600), at the cells that lie between its points."""
    points = of_grid.reshape(-1)
    left = points.take(grid.left, mode="clip")
    return np.asarray(left + (points.take(grid.right, mode="clip") - left) * grid.share)


def _smoothed(waves: Singles, bandwidth: FloatArray) -> Singles:
    """(..., S, p) the density of the values, smoothed, at p points; waves (S, p), bandwidth (..., S)."""
    return np.asarray(dct(_damped(waves, bandwidth), type=3, overwrite_x=True), np.float32)


def _damped(waves: Singles, bandwidth: FloatArray) -> Singles:
    """(..., S, p) what the kernels leave of the waves."""
    kernel = (np.square(bandwidth) - _SPREAD).astype(np.float32)[..., None] * _DECAY[: waves.shape[1]]
    np.exp(np.maximum(kernel, _NOTHING, out=kernel), out=kernel)
    kernel *= waves
    return kernel


def _integral(of_grid: Singles) -> FloatArray:
    """Over 0..1, of the last axis."""
    return np.asarray(of_grid.mean(axis=-1), np.float64)


def _fixed_point(
    waves: Singles, bottom: FloatArray, narrowest: float, widest: float
) -> tuple[FloatArray, FloatArray, Singles]:
    """(S,) the bandwidth from narrowest to widest that equals its integral, how steeply the integral falls there, and
    (S, p) the side of 0 on which the smoothed residual is.

    The integral falls with the bandwidth, from `bottom` (S,) at the narrowest to the gap of all labels, so there is
    one, between these two. Where `bottom` is less than the narrowest bandwidth, it is the answer and does not fall.
    """
    count = len(waves)
    found, steep, left, side = bottom.copy(), np.zeros(count), np.arange(count), np.empty_like(waves)
    gap = np.abs(waves[:, 0]).astype(np.float64)
    low, high = np.maximum(gap, narrowest), np.clip(bottom, narrowest, widest)
    # Noise falls like the root of the bandwidth, the gap not at all.
    at = np.clip(np.sqrt(gap**2 + np.maximum(bottom**2 - gap**2, 0) * narrowest / high), low, high)
    before, over_before = np.full(count, narrowest), bottom - narrowest
    fall = np.zeros(count)
    for number in range(_ROUNDS):
        residual = _smoothed(waves, at)
        over = _integral(np.abs(residual)) - at
        moved = np.where(at == before, 1.0, at - before)
        fall = np.where(at == before, fall, np.clip((over_before - over) / moved - 1, 0.0, 20.0))
        low, high = np.where(over > 0, at, low), np.where(over > 0, high, at)
        step = at + over / (1 + fall)
        following = np.where((step < low) | (step > high), (low + high) / 2, step)
        done = (np.abs(over) < _CLOSE) | (number == _ROUNDS - 1)
        found[left[done]], steep[left[done]], side[left[done]] = following[done], fall[done], np.sign(residual[done])
        if done.all():
            break
        kept = ~done
        left, waves = left[kept], waves[kept]
        before, over_before, at = at[kept], over[kept], following[kept]
        low, high, fall = low[kept], high[kept], fall[kept]
    is_floored = bottom < narrowest
    return np.where(is_floored, bottom, found), np.where(is_floored, 0.0, steep), side


def _waves_of_grid(of_grid: Singles, bandwidth: FloatArray) -> Singles:
    """(S, p) waves of the values at p points, smoothed. Of the sides of a smoothed residual: what a residual moves."""
    return _damped(dct(of_grid, type=2, overwrite_x=True) / np.float32(2 * of_grid.shape[1]), bandwidth)


def _null(waves: Singles) -> tuple[FloatArray, FloatArray]:
    """(S,) mean and standard deviation of smooth ECE, were the model calibrated: its residual is Gaussian then.

    waves (S, 600) of its variance. The mean is the fixed point of that of the integral, by how this falls with the
    bandwidth: like its root where kernels overlap (fall .5), not at all where each confidence stands alone (fall 0).
    """
    noise = np.maximum(waves[:, 0], 0.0).astype(np.float64)
    guess = np.clip(0.56 * np.cbrt(noise), NARROWEST, 0.4)
    [integral] = _null_means(waves, guess[None])
    at = np.clip(np.cbrt(np.square(integral) * guess), NARROWEST, 0.4)
    mean, wider = _null_means(waves, np.stack([at, WIDER * at]))
    known = (mean > 0) & (wider > 0)
    fall = np.log(np.where(known, mean, 1.0) / np.where(known, wider, 1.0)) / np.log(WIDER)
    fall = np.clip(fall, 0.0, 0.5)
    share = ALONE + (OVERLAPPING - ALONE) * fall / 0.5
    return (mean * at**fall) ** (1 / (1 + fall)), np.sqrt(share * noise) / (1 + fall)


def _null_means(waves: Singles, bandwidth: FloatArray) -> FloatArray:
    """(k, S) means of the integral of a Gaussian residual without its sign.

    waves (S, 600) of its variance by confidence, bandwidth (k, S), of which the first is the narrowest.
    """
    found, left = np.empty(bandwidth.shape), np.arange(len(waves))
    for size, narrowest in RUNGS:
        is_here = (bandwidth[0, left] >= narrowest) | (size == POINTS)
        here, left = left[is_here], left[~is_here]
        if len(here):
            of_these = bandwidth[:, here]
            narrower = _smoothed(waves[here, :size], of_these / np.sqrt(2))
            np.sqrt(np.maximum(narrower, 0, out=narrower), out=narrower)
            found[:, here] = _integral(narrower)
    return np.asarray(found * np.sqrt(math.pi**-1.5 / bandwidth))


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
