"""The likelihood ratios of one pane of many series: `monitor.drift.ratio` fed by a step."""

from dataclasses import dataclass

import numpy as np

from monitor.calibration.cells import FloatArray
from monitor.drift.baseline import Baselines
from monitor.drift.labels import Labels
from monitor.drift.ratio import ratio, tempered


@dataclass(frozen=True, slots=True, eq=False)
class Ratios:
    """What a pane adds to the 12 ratios of S series: `log_factor` and `excess`, its sum of ratio - 1, (S, 12) each."""

    log_factor: FloatArray
    excess: FloatArray


def ratios(baselines: Baselines, fed: FloatArray, excess: FloatArray, labels: Labels, expected: FloatArray) -> Ratios:
    """The factors of one pane of each series, after `fed` (S,) labels with the `excess` (S, 12) since the baseline.

    `expected` (t,) is what the baselines expect at each cell.
    """
    held = np.maximum(baselines.labels[:, 0] + fed, 1)
    mean = (baselines.excess + excess) / held[:, None]
    n, wrong, found = labels.total(labels.n), labels.n - labels.right, ratio(expected)
    stake = 1 / (1 + n / held)
    log_factor = labels.total(tempered(found, labels.right, wrong, stake[labels.series])).T
    added = labels.total(labels.right * found.if_right + wrong * found.if_wrong).T
    scale = 1 + stake[:, None] * mean
    uncertain = baselines.ratio_variance / held[:, None] / scale**2
    off = n[:, None] * np.log(scale) + 0.5 * (n * stake)[:, None] ** 2 * uncertain
    return Ratios(log_factor - off, added)
