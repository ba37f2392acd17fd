"""Likelihood ratios against the baseline on a grid of slope and intercept: the warn tier.

An alternative is a line over the log odds of the expected outcome g: q = sigmoid(slope x logit(g) + intercept). The
ratio of a label is q / g if it is right and (1 - q) / (1 - g) if it is wrong. Its mean is 1 where g is exact. A fitted
g is not, so the mean m of (ratio - 1) over the baseline and all panes fed is kept, as the page tier keeps that of the
residuals, and the factor of a label is (1 + s (ratio - 1)) / (1 + s m), whose mean is 1 as long as m goes on. Only an
estimate of m is known, from `held` labels; for n labels at once that costs the factor
exp((n s)^2 x variance / held / 2), which is divided off. The stake s = 1 / (1 + n / held) is 1 for a known baseline.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.calibration.cells import FloatArray
from monitor.calibration.odds import log_odds, sigmoid

ALTERNATIVES: Final = (
    (1.0, -0.15), (1.0, -0.35), (1.0, -0.7), (1.0, -1.2), (1.0, 0.3), (0.8, 0.0),
    (0.6, 0.0), (0.6, 0.4), (0.35, 0.6), (1.4, 0.0), (1.4, -0.4), (0.6, -0.4),
)  # fmt: skip
"""Slope and intercept over the expected log odds; below slope 1 confidences have become too extreme."""


@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """Of every alternative at each cell, (12, t): ratio less 1 of a right and of a wrong label; above -1."""

    if_right: FloatArray
    if_wrong: FloatArray


def ratio(expected: FloatArray) -> Ratio:
    """The ratios of the alternatives where labels are expected to be right with these chances, (t,), no 0 and no 1."""
    slope, intercept = np.array(ALTERNATIVES).T[..., None]
    other = sigmoid(slope * log_odds(expected) + intercept)
    return Ratio(other / expected - 1, (1 - other) / (1 - expected) - 1)


def tempered(found: Ratio, right: FloatArray, wrong: FloatArray, stake: FloatArray) -> FloatArray:
    """(12, t) the log factors before the mean is divided off, at the stakes (t,); linear in the cell counts.

    A fraction counts as that part of a right and of a wrong label: at most the factor of the fraction itself.
    """
    return np.asarray(right * np.log(1 + stake * found.if_right) + wrong * np.log(1 + stake * found.if_wrong))


def excess(expected: FloatArray, n: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of the labels of one baseline, (t,) each: the sum of ratio - 1 and the variance of one label's ratio, (12,) each.

    The variance is that of outcomes as expected: it stays above 0 when all outcomes were equal.
    """
    found = ratio(expected)
    sums = (right * found.if_right + (n - right) * found.if_wrong).sum(axis=1)
    variances = (n * (expected * found.if_right**2 + (1 - expected) * found.if_wrong**2)).sum(axis=1) / n.sum()
    return sums, variances
