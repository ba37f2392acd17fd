"""The figures of many series: every measure of every series of a panel, by name, in one pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from monitor.calibration import binned, means
from monitor.calibration.bins import Bins
from monitor.calibration.cells import UNIT, Edges, FloatArray, Int64Array
from monitor.calibration.estimates import Estimates
from monitor.calibration.measures import Sums, estimates
from monitor.calibration.panel import Panel

Bands: TypeAlias = tuple[FloatArray, FloatArray]

MEASURES: Final = (
    "mean_confidence", "accuracy", "signed_gap", "ece", "ece_debiased", "ece_equal_mass", "smooth_ece", "mce",
    "over_confident_part", "under_confident_part", "brier", "brier_miscalibration", "brier_discrimination",
    "brier_uncertainty", "reliability", "resolution", "log_loss", "calibration_slope", "calibration_intercept",
    "spiegelhalter_z", "auroc", "aurc", "sharpness", "confident_error_share",
)  # fmt: skip
"""Names of the measures that need labels, as in a reading."""


@dataclass(frozen=True, slots=True, eq=False)
class Above:
    """The labelled predictions with confidence >= a threshold, (S, thresholds) each."""

    n: Int64Array
    accuracy: Estimates
    coverage: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """All that is computed of S series with labels. Arrays have the shape (S,), or (S, ...) where several are meant."""

    estimates: Mapping[str, Estimates]
    null_bands: Mapping[str, Bands]
    bins: Bins
    bin_accuracy: Estimates
    above: Above
    right: FloatArray
    """(S, 20) right answers by equal-width bin."""
    wrong: FloatArray


def figures(panel: Panel, count: int, edges: Edges, level: float) -> Figures:
    """Every measure of the panel, with `count` bins of this convention of edges, at this confidence level."""
    sums = Sums(panel, count, edges, level)
    found, bins = estimates(sums, MEASURES), sums.bins
    null_bands = {
        "ece": (sums.wide.null_low, sums.wide.null_high),
        "ece_equal_mass": (sums.even.null_low, sums.even.null_high),
        "smooth_ece": (sums.smooth.null_low, sums.smooth.null_high),
        "mce": binned.mce_null_band(bins, level),
    }
    right = bins.sum_y / UNIT
    n = bins.n.astype(np.float64)
    counted = sums.histogram
    rights = counted.sum_y / UNIT
    n_above, sum_above = sums.above
    above = Above(
        n_above,
        means.share(sum_above / UNIT, n_above.astype(np.float64), level),
        n_above / panel.labels[:, None],
    )
    return Figures(found, null_bands, bins, means.share(right, n, level), above, rights, counted.n - rights)
