"""What a perfectly calibrated model would read by chance alone: limits below that tell nothing."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from monitor.calibration.cells import Edges
from monitor.calibration.figures import figures
from monitor.calibration.panel import panel_of
from monitor.calibration.sketch import sketch_of

BIASED: Final = ("ece", "ece_equal_mass", "smooth_ece", "mce")
"""Measures that are above 0 by chance: those of which a reading has a null band."""
_LEVEL: Final = 0.95
_MEDIAN: Final = 1e-9  # the level of a band so narrow that both its ends are the median
_MOST: Final = 100_000
"""Labels from which on chance no longer matters for a limit that anybody sets."""


@dataclass(frozen=True, slots=True)
class ByChance:
    """What a calibrated model reads: half of the time more than `median`, and up to `high` (97.5 %)."""

    median: float
    high: float


@lru_cache(maxsize=256)
def by_chance(metric: str, labels: int, bins: int, edges: Edges) -> ByChance:
    """What a model that is calibrated reads of `metric`, one of BIASED, with so many labels (1 or more).

    Its confidences are spread evenly from 0.5 to 1. With those nearer to 1 it reads less, with lower ones more.
    """
    count = min(labels, _MOST)
    confidence = 0.5 + 0.5 * (np.arange(count) + 0.5) / count
    panel = panel_of([sketch_of(confidence, confidence)])
    median = figures(panel, bins, edges, _MEDIAN).null_bands[metric][0]
    high = figures(panel, bins, edges, _LEVEL).null_bands[metric][1]
    return ByChance(float(median[0]), float(high[0]))


def labels_for(metric: str, limit: float, bins: int, edges: Edges) -> int | None:
    """With about how many labels half of the readings of a calibrated model are below `limit`, in two digits.

    None where 100,000 do not suffice.
    """
    labels = 1.0
    while labels <= _MOST:
        median = by_chance(metric, math.ceil(labels), bins, edges).median
        if median < limit:
            unit = int(10 ** max(0, math.floor(math.log10(labels)) - 1))
            return math.ceil(labels / unit) * unit
        labels *= max(1.05, (median / limit) ** 2) if limit > 0 else math.inf
    return None
