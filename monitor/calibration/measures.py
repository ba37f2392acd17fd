"""The measures by name, each worked out when it is asked for: a rule on ECE pays for ECE alone, to the same digits."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from monitor.calibration import binned, losses, means, ranking
from monitor.calibration.bins import Bins
from monitor.calibration.cells import UNIT, Edges, Int64Array, at_or_above, of_cells
from monitor.calibration.closed_form import ManyBands, bands_of_many
from monitor.calibration.estimates import Estimates
from monitor.calibration.logistic import Line, line
from monitor.calibration.losses import BrierParts
from monitor.calibration.panel import Panel, bins_of_panel
from monitor.calibration.sketch import Row
from monitor.calibration.smooth import SmoothEce, smooth_ece

CONFIDENT: Final = 0.9
HISTOGRAM_BINS: Final = 20
THRESHOLDS: Final = (0.5, 0.6, 0.7, 0.8, CONFIDENT, 0.95, 0.99)
_REACHED: Final = np.sum([at_or_above(threshold) for threshold in THRESHOLDS], axis=0)
"""How many of the thresholds each cell reaches, (1649,)."""


class Confident(NamedTuple):
    """(S,) labels with confidence .9 or more, and the sum of their outcomes in 1e-9."""

    n: Int64Array
    sum_y: Int64Array


class Sums:
    """S series with labels, and what several measures share. `level` is that of the intervals."""

    def __init__(self, panel: Panel, count: int, edges: Edges, level: float) -> None:
        """`panel` of the labelled cells; `count` bins of this convention of edges."""
        self.panel, self.count, self.level = panel, count, level
        self._edges = edges

    @cached_property
    def bins(self) -> Bins:
        """Equal-width bins, (S, count)."""
        if HISTOGRAM_BINS % self.count == 0:
            return self.histogram.merged(self.count)
        return bins_of_panel(self.panel, self.count, self._edges)

    @cached_property
    def histogram(self) -> Bins:
        """Equal-width bins, (S, 20)."""
        return bins_of_panel(self.panel, HISTOGRAM_BINS, self._edges)

    @cached_property
    def from_confident(self) -> Confident:
        """Labels with confidence .9 or more."""
        n, right = self.above
        place = THRESHOLDS.index(CONFIDENT)
        return Confident(n[:, place], right[:, place])

    @cached_property
    def above(self) -> tuple[Int64Array, Int64Array]:
        """(S, thresholds) labels with confidence >= each threshold, and the sum of their outcomes in 1e-9."""
        reached = of_cells(_REACHED, self.panel.cells)
        between = self.panel.by_number(reached, len(THRESHOLDS) + 1, (Row.N, Row.Y))
        n, right = (np.cumsum(each[:, :0:-1], axis=1)[:, ::-1] for each in between)
        return n, right

    @cached_property
    def wide(self) -> ManyBands:
        """ECE over the bins."""
        return bands_of_many(self.bins, self.level)

    @cached_property
    def even(self) -> ManyBands:
        """ECE over bins of equal mass."""
        return bands_of_many(binned.equal_mass(self.panel, self.count), self.level)

    @cached_property
    def smooth(self) -> SmoothEce:
        return smooth_ece(self.panel, self.level)

    @cached_property
    def parts(self) -> BrierParts:
        return losses.brier_parts(self.panel, self.level)

    @cached_property
    def fitted(self) -> Line:
        return line(self.panel, self.level)

    @cached_property
    def murphy(self) -> tuple[Estimates, Estimates]:
        """Reliability and resolution."""
        return losses.murphy_parts(self.bins, self.level)


def _confident_errors(sums: Sums) -> Estimates:
    """Share of all labelled predictions that had confidence >= 0.9 and were wrong, 0..1; Wilson interval."""
    n, right = sums.from_confident.n.astype(np.float64), sums.from_confident.sum_y / UNIT
    share = np.divide(right, n, out=np.zeros(len(n)), where=n > 0)
    return means.share(np.where(n > 0, n * (1 - share), 0.0), sums.panel.labels, sums.level)


Measure = Callable[[Sums], Estimates]

OF_TOTALS: Final[Mapping[str, Measure]] = {
    "mean_confidence": lambda sums: means.mean_confidence(sums.panel, sums.level),
    "accuracy": lambda sums: means.accuracy(sums.panel, sums.level),
    "signed_gap": lambda sums: means.signed_gap(sums.panel, sums.level),
}
"""Measures of the sums over each series: they need no cells."""

OF_BINS: Final[Mapping[str, Measure]] = {
    "ece": lambda sums: Estimates(sums.wide.ece, sums.wide.low, sums.wide.high),
    "ece_debiased": lambda sums: Estimates(sums.wide.debiased, sums.wide.low, sums.wide.high),
    "mce": lambda sums: binned.mce(sums.bins, sums.level),
    "over_confident_part": lambda sums: binned.one_sided(sums.bins, sums.level, sign=1),
    "under_confident_part": lambda sums: binned.one_sided(sums.bins, sums.level, sign=-1),
    "reliability": lambda sums: sums.murphy[0],
    "resolution": lambda sums: sums.murphy[1],
    "confident_error_share": _confident_errors,
}
"""Measures of sums by bin."""

OF_CELLS: Final[Mapping[str, Measure]] = {
    "ece_equal_mass": lambda sums: Estimates(sums.even.ece, sums.even.low, sums.even.high),
    "smooth_ece": lambda sums: sums.smooth.estimates,
    "brier": lambda sums: losses.brier(sums.panel, sums.level),
    "brier_miscalibration": lambda sums: sums.parts.miscalibration,
    "brier_discrimination": lambda sums: sums.parts.discrimination,
    "brier_uncertainty": lambda sums: sums.parts.uncertainty,
    "log_loss": lambda sums: losses.log_loss(sums.panel, sums.level),
    "calibration_slope": lambda sums: sums.fitted.slope,
    "calibration_intercept": lambda sums: sums.fitted.intercept,
    "spiegelhalter_z": lambda sums: means.spiegelhalter_z(sums.panel, sums.level),
    "auroc": lambda sums: ranking.auroc(sums.panel, sums.level),
    "aurc": lambda sums: ranking.aurc(sums.panel, sums.level),
    "sharpness": lambda sums: means.sharpness(sums.panel, sums.level),
}
"""Measures that need every cell."""

_EVERY: Final = {**OF_TOTALS, **OF_BINS, **OF_CELLS}


def estimates(sums: Sums, names: Iterable[str]) -> dict[str, Estimates]:
    """The measures of these names. KeyError for another name."""
    return {name: _EVERY[name](sums) for name in names}
