"""The figures of many series: every measure of every series of a panel, by name, in one pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from monitor.calibration import binned, means
from monitor.calibration.bins import Bins, grouped_runs
from monitor.calibration.cells import UNIT, Edges, FloatArray, Int64Array, at_or_above
from monitor.calibration.estimates import Estimates
from monitor.calibration.measures import Sums, estimates
from monitor.calibration.panel import Panel, bins_of_panel

Bands: TypeAlias = tuple[FloatArray, FloatArray]

THRESHOLDS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
MEASURES: Final = (
    "mean_confidence", "accuracy", "signed_gap", "ece", "ece_debiased", "ece_equal_mass", "smooth_ece", "mce",
    "over_confident_part", "under_confident_part", "brier", "brier_miscalibration", "brier_discrimination",
    "brier_uncertainty", "reliability", "resolution", "log_loss", "calibration_slope", "calibration_intercept",
    "spiegelhalter_z", "auroc", "aurc", "sharpness", "confident_error_share",
)  # fmt: skip
"""Names of the measures that need labels, as in a reading."""
HISTOGRAM_BINS: Final = 20
_REACHED: Final = np.sum([at_or_above(threshold) for threshold in THRESHOLDS], axis=0)
"""How many of the thresholds each cell reaches, (1649,)."""


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
    counted = bins_of_panel(panel, HISTOGRAM_BINS, edges)
    rights = counted.sum_y / UNIT
    above = _above(panel, level)
    return Figures(found, null_bands, bins, means.share(right, n, level), above, rights, counted.n - rights)


def _above(panel: Panel, level: float) -> Above:
    """What each acceptance threshold selects."""
    reached = panel.series * (len(THRESHOLDS) + 1) + _REACHED[panel.cells]
    between = grouped_runs(reached, panel.sums, (len(panel), len(THRESHOLDS) + 1))
    n = np.cumsum(between.n[:, :0:-1], axis=1)[:, ::-1]
    right = np.cumsum(between.sum_y[:, :0:-1], axis=1)[:, ::-1] / UNIT
    return Above(n, means.share(right, n.astype(np.float64), level), n / panel.labels[:, None])
