"""What passes each threshold: the risk-coverage curve, with the bound of what is right at each step.

Each bound is of one threshold that was chosen before the labels were seen. Whoever picks the best of them needs a
certificate (`certificates`).
"""

from typing import Final

import msgspec

from monitor.calibration.binomial import lower_bound, lower_bound_of_fractions, upper_bound
from monitor.calibration.ladder import has_fractions, rungs_above
from monitor.calibration.sketch import Row, Sketch

DELTA: Final = 0.05
"""Each end of an interval is wrong with half this chance."""


class Passing(msgspec.Struct, frozen=True):
    """What has a confidence at or above a threshold. Accuracy and its interval are null without a label there."""

    threshold: float
    n_predictions: int
    coverage: float
    """Share of all predictions."""
    n: int
    """Labels."""
    accuracy: float | None
    interval: tuple[float, float] | None
    """Of Clopper and Pearson, at 1 - DELTA; with outcomes that are shares, of Hoeffding."""


def passing(sketch: Sketch) -> list[Passing]:
    """The steps of the ladder, from the highest threshold at which something passes down to 0."""
    whole = sketch.total(Row.N_PRED)
    if not whole:
        return []
    rungs = rungs_above(sketch, 1.0)
    if has_fractions(sketch):
        low = lower_bound_of_fractions(rungs.right, rungs.n, DELTA / 2)
        high = 1 - lower_bound_of_fractions(rungs.n - rungs.right, rungs.n, DELTA / 2)
    else:
        low, high = lower_bound(rungs.right, rungs.n, DELTA / 2), upper_bound(rungs.right, rungs.n, DELTA / 2)
    return [
        Passing(
            threshold=float(rungs.threshold[at]),
            n_predictions=int(rungs.n_pred[at]),
            coverage=float(rungs.n_pred[at] / whole),
            n=int(rungs.n[at]),
            accuracy=float(rungs.right[at] / rungs.n[at]) if rungs.n[at] else None,
            interval=(float(low[at]), float(high[at])) if rungs.n[at] else None,
        )
        for at in range(len(rungs))
        if rungs.n_pred[at]
    ]
