"""Budget: the one knob, expected false alarms a year, shared out over the series."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from monitor.calibration.cells import FloatArray

MOST_UPDATES: Final = 8784.0
"""Hours of a leap year: no series is fed more panes."""
UNKNOWN_SHARE: Final = 0.1
"""Of the budget, for series whose rate is not known yet."""


def alphas(false_alarms_per_year: float, updates_per_year: Sequence[float | None]) -> FloatArray:
    """(S,) the alarm rate per pane fed of each series: the sum of alpha x updates a year stays within the budget.

    An update is one non-empty mature pane that is fed; None where the rate is not known yet. Those series share a tenth
    of the budget (all of it if there are no others) as if each were fed every hour; the others share the rest with one
    alpha for all, so that a year without drift is expected to bring at most the budget, whatever depends on whatever.
    Rates above 8,784 are refused like negative ones and a negative budget: ValueError.
    """
    rates = np.array([np.nan if rate is None else rate for rate in updates_per_year], dtype=np.float64)
    known = ~np.isnan(rates)
    if false_alarms_per_year < 0 or bool((rates[known] < 0).any() or (rates[known] > MOST_UPDATES).any()):
        raise ValueError(f"a budget is 0 or more, updates a year are 0..{MOST_UPDATES:.0f}")
    total = float(rates[known].sum())
    reserved = false_alarms_per_year * (1.0 if total == 0 else UNKNOWN_SHARE) if not known.all() else 0.0
    shared = np.zeros(len(rates))
    if total > 0:
        shared[known] = (false_alarms_per_year - reserved) / total
    if reserved:
        shared[~known] = reserved / (MOST_UPDATES * int((~known).sum()))
    return np.minimum(shared, 1.0)
