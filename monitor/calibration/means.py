"""Means of many series: accuracy, confidence, the signed gap, sharpness, and shares above a threshold."""

from typing import Final

import numpy as np

from monitor.calibration.cells import UNIT, FloatArray
from monitor.calibration.estimates import Estimates, around, variance_of_mean
from monitor.calibration.panel import Panel
from monitor.calibration.sketch import Row
from monitor.calibration.uncertainty import z_of

NO_SPREAD: Final = "every confidence is 0, 0.5 or 1"


def accuracy(panel: Panel, level: float) -> Estimates:
    """Mean outcome, 0..1; Wilson interval."""
    return share(panel.of_row(Row.Y) * panel.labels, panel.labels, level)


def mean_confidence(panel: Panel, level: float) -> Estimates:
    """Mean confidence, 0..1; normal interval, of no width when all confidences are equal."""
    mean = panel.of_row(Row.C)
    return around(mean, (panel.of_row(Row.C2) - mean * mean) / panel.labels, level, within=(0.0, 1.0))


def signed_gap(panel: Panel, level: float) -> Estimates:
    """Mean confidence minus mean outcome, -1..1; positive means over-confident. Normal interval.

    The outcomes' own part of its variance is taken at (k + 1/2) / (n + 1) right, so that only right answers are not
    certain.
    """
    confidence, right = panel.of_row(Row.C), panel.of_row(Row.Y)
    chance = (right * panel.labels + 0.5) / (panel.labels + 1)
    shared = panel.of_row(Row.CY) - confidence * right
    variance = panel.of_row(Row.C2) - confidence * confidence - 2 * shared + chance * (1 - chance)
    gap = (panel.of_series(Row.C) - panel.of_series(Row.Y)) / UNIT / panel.labels
    return around(gap, variance / panel.labels, level, within=(-1.0, 1.0))


def sharpness(panel: Panel, level: float) -> Estimates:
    """Variance of the stated confidences, 0..0.25: 0 where all are equal (Murphy & Winkler 1987). Normal interval."""
    mean = panel.of_row(Row.C)
    square = (panel.position - panel.spread(mean)) ** 2
    weighted = panel.n * square
    variance = panel.mean(weighted * square) - panel.mean(weighted) ** 2
    value = np.maximum(panel.of_row(Row.C2) - mean * mean, 0.0)
    return around(value, variance / panel.labels, level, within=(0.0, 0.25))


def spiegelhalter_z(panel: Panel, level: float) -> Estimates:
    """How far the Brier score is above what the stated confidences promise, in standard errors (Spiegelhalter 1986).

    About normal with variance 1 where the model is calibrated; positive is worse than promised. It does not see faults
    that the Brier score does not see, such as a gap at a confidence of 0.5.
    """
    y, c, cy, c2 = (panel.of_series(row) for row in (Row.Y, Row.C, Row.CY, Row.C2))
    p = panel.position
    lean = 1 - 2 * p
    if_wrong = -p * lean
    if_right = if_wrong + lean
    variance = panel.total(panel.n * if_right * -if_wrong)
    variance = np.where(variance > 0, variance, np.nan)
    value = (y - c - 2 * cy + 2 * c2) / UNIT / np.sqrt(variance)
    spread = variance_of_mean(panel, if_right, if_wrong) * panel.labels**2
    return around(value, spread / variance, level, within=(-np.inf, np.inf), reason=NO_SPREAD)


def share(part: FloatArray, whole: FloatArray, level: float) -> Estimates:
    """A proportion with Wilson's score interval, within 0..1 (Wilson 1927); unknown where the whole is 0.

    `part` may hold fractions: these vary less than the 0/1 outcomes assumed, so there the interval is a little wide.
    """
    n = np.where(whole > 0, whole, np.nan)
    z = z_of(level)
    value, square = part / n, z * z / n
    centre = (value + square / 2) / (1 + square)
    half = z / (1 + square) * np.sqrt(value * (1 - value) / n + square / (4 * n))
    low, high = np.minimum(value, centre - half), np.maximum(value, centre + half)
    return Estimates(value, np.maximum(low, 0.0), np.minimum(high, 1.0))
