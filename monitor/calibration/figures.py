"""The figures of many series: every measure of every series of a panel, by name, in one pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from monitor.calibration import binned, losses, means, ranking
from monitor.calibration.bins import Bins, grouped_runs
from monitor.calibration.cells import UNIT, Edges, FloatArray, Int64Array, at_or_above
from monitor.calibration.closed_form import bands_of_many
from monitor.calibration.estimates import Estimates
from monitor.calibration.logistic import line
from monitor.calibration.panel import Panel, bins_of_panel
from monitor.calibration.smooth import smooth_ece

Bands: TypeAlias = tuple[FloatArray, FloatArray]

CONFIDENT: Final = 0.9
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
    bins, mass = bins_of_panel(panel, count, edges), binned.equal_mass(panel, count)
    wide, even = bands_of_many(bins, level), bands_of_many(mass, level)
    smooth, parts, fitted = smooth_ece(panel, level), losses.brier_parts(panel, level), line(panel, level)
    reliability, resolution = losses.murphy_parts(bins, level)
    above = _above(panel, level)
    estimates = {
        "mean_confidence": means.mean_confidence(panel, level),
        "accuracy": means.accuracy(panel, level),
        "signed_gap": means.signed_gap(panel, level),
        "ece": Estimates(wide.ece, wide.low, wide.high),
        "ece_debiased": Estimates(wide.debiased, wide.low, wide.high),
        "ece_equal_mass": Estimates(even.ece, even.low, even.high),
        "smooth_ece": smooth.estimates,
        "mce": binned.mce(bins, level),
        "over_confident_part": binned.one_sided(bins, level, sign=1),
        "under_confident_part": binned.one_sided(bins, level, sign=-1),
        "brier": losses.brier(panel, level),
        "brier_miscalibration": parts.miscalibration,
        "brier_discrimination": parts.discrimination,
        "brier_uncertainty": parts.uncertainty,
        "reliability": reliability,
        "resolution": resolution,
        "log_loss": losses.log_loss(panel, level),
        "calibration_slope": fitted.slope,
        "calibration_intercept": fitted.intercept,
        "spiegelhalter_z": means.spiegelhalter_z(panel, level),
        "auroc": ranking.auroc(panel, level),
        "aurc": ranking.aurc(panel, level),
        "sharpness": means.sharpness(panel, level),
        "confident_error_share": _confident_errors(panel, above, level),
    }
    null_bands = {
        "ece": (wide.null_low, wide.null_high),
        "ece_equal_mass": (even.null_low, even.null_high),
        "smooth_ece": (smooth.null_low, smooth.null_high),
        "mce": binned.mce_null_band(bins, level),
    }
    right = bins.sum_y / UNIT
    n = bins.n.astype(np.float64)
    counted = bins_of_panel(panel, HISTOGRAM_BINS, edges)
    rights = counted.sum_y / UNIT
    return Figures(estimates, null_bands, bins, means.share(right, n, level), above, rights, counted.n - rights)


def _above(panel: Panel, level: float) -> Above:
    """What each acceptance threshold selects."""
    reached = panel.series * (len(THRESHOLDS) + 1) + _REACHED[panel.cells]
    between = grouped_runs(reached, panel.sums, (len(panel), len(THRESHOLDS) + 1))
    n = np.cumsum(between.n[:, :0:-1], axis=1)[:, ::-1]
    right = np.cumsum(between.sum_y[:, :0:-1], axis=1)[:, ::-1] / UNIT
    return Above(n, means.share(right, n.astype(np.float64), level), n / panel.labels[:, None])


def _confident_errors(panel: Panel, above: Above, level: float) -> Estimates:
    """Share of all labelled predictions that had confidence >= 0.9 and were wrong, 0..1; Wilson interval."""
    at = THRESHOLDS.index(CONFIDENT)
    n = above.n[:, at]
    wrong = np.where(n > 0, n * (1 - np.nan_to_num(above.accuracy.value[:, at])), 0.0)
    return means.share(wrong, panel.labels, level)
