"""Estimates of one measure for many series: values with their intervals, and where they are unknown the reason."""

from dataclasses import dataclass

import numpy as np

from monitor.calibration.cells import FloatArray
from monitor.calibration.panel import Panel
from monitor.calibration.uncertainty import z_of


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """(S,) values with the ends of their intervals. All three are NaN where the value is unknown, for `reason`."""

    value: FloatArray
    low: FloatArray
    high: FloatArray
    reason: str = ""


def around(
    value: FloatArray,
    variance: FloatArray,
    level: float,
    *,
    within: tuple[float, float],
    bias: FloatArray | float = 0.0,
    reason: str = "",
) -> Estimates:
    """Normal intervals from the variance of the values, kept within the measure's range.

    `bias`, 0 or more, is how much the values are too large on average: it lowers the lower ends only, so that an
    interval always holds its value.
    """
    half = z_of(level) * np.sqrt(np.maximum(variance, 0.0))
    low, high = within
    return Estimates(value, np.maximum(low, value - bias - half), np.minimum(high, value + half), reason)


def variance_of_mean(panel: Panel, if_right: FloatArray, if_wrong: FloatArray) -> FloatArray:
    """(S,) the variance of a mean over labels of (t,) values, one where the answer is right and one where it is wrong.

    `if_right` and `if_wrong` may be anything whose mean is the estimate. Each series counts with one label more, half
    right, half wrong.
    """
    (right, wrong), n = panel.scratch, panel.labels + 1
    np.multiply(panel.right_and_half, if_right, out=right)
    np.multiply(panel.wrong_and_half, if_wrong, out=wrong)
    first = (panel.total(right) + panel.total(wrong)) / n
    right *= if_right
    wrong *= if_wrong
    right += wrong
    second = panel.total(right) / n
    return np.asarray(np.maximum(second - first**2, 0.0) / panel.labels)
