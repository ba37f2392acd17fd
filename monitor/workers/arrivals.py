"""Arrivals: of which models predictions came, and of which labels."""

from collections.abc import Mapping

import numpy as np

from monitor.calibration.sketch import Row
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import Mask, Stack, series_of


def arrivals(changes: Stack, series: Mapping[int, SeriesName]) -> tuple[set[str], set[str]]:
    """Models of the series to which the changes bring predictions, and of those to which they bring labels, or others
    in their place."""
    of = series_of(changes.keys)
    predicted = changes.sums[Row.N_PRED] > 0
    labelled = (changes.sums[Row.N] != 0) | (changes.sums[Row.Y] != 0)

    def models(came: Mask) -> set[str]:
        return {series[number].model for number in np.unique(of[changes.rows[came]]).tolist()}

    return models(predicted), models(labelled)
