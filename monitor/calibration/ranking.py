"""How well confidences rank: AUROC, and the risk of the answers that are kept (selective prediction)."""

from typing import Final

import numpy as np

from monitor.calibration.cells import UNIT, FloatArray, Int64Array
from monitor.calibration.estimates import Estimates, around, variance_of_mean
from monitor.calibration.panel import Panel
from monitor.calibration.sketch import Row

ONE_CLASS: Final = "one class only"
_EULER: Final = 0.5772156649015329
_TABLED: Final = 1 << 15
_HARMONIC: Final = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, _TABLED))])


def auroc(panel: Panel, level: float) -> Estimates:
    """The chance that a right answer has a higher confidence than a wrong one, ties counting half, 0..1.

    Hanley & McNeil 1982; normal interval with the variance of DeLong et al. 1988. Where all right answers rank on one
    side of all wrong ones that variance is 0; there the largest variance possible at an AUROC of half a pair less is
    taken (Birnbaum & Klose 1957). Confidences that share a cell count as tied.
    """
    right, wrong = panel.right, panel.wrong
    rights = panel.of_series(Row.Y) / UNIT
    wrongs = panel.labels - rights
    known = (rights > 0) & (wrongs > 0)
    rights, wrongs = np.where(known, rights, 1.0), np.where(known, wrongs, 1.0)
    right_up_to, wrong_up_to = panel.right_up_to, panel.n_up_to - panel.right_up_to
    of_right = (wrong_up_to - wrong / 2) * panel.spread(1 / wrongs)
    of_wrong = 1 - (right_up_to - right / 2) * panel.spread(1 / rights)
    area = panel.total(right * of_right) / rights
    off = panel.spread(area)
    variance = panel.total(right * (of_right - off) ** 2) / rights**2
    variance += panel.total(wrong * (of_wrong - off) ** 2) / wrongs**2
    fewer = np.minimum(rights, wrongs)
    moved = (area * fewer + 0.5) / (fewer + 1)
    variance = np.where(variance < 1e-12, moved * (1 - moved) / fewer, variance)
    return around(np.where(known, area, np.nan), variance, level, within=(0.0, 1.0), reason=ONE_CLASS)


def aurc(panel: Panel, level: float) -> Estimates:
    """Area under the risk-coverage curve, 0..1, lower is better (Geifman & El-Yaniv 2017).

    The mean over i = 1..n of the share of errors among the i most confident answers; equal confidences stand in random
    order, and the value is the mean over it. Normal interval by the influence of each label on itself and on the ranks
    of the others.
    """
    labels = panel.of_series(Row.N)
    above = panel.spread(labels) - panel.n_up_to
    wrong_above = above - (panel.spread(panel.of_series(Row.Y) / UNIT) - panel.right_up_to)
    of_all, of_above = _harmonic(labels), _harmonic(above)
    # The labels above a cell and its own are those above the cell before it.
    of_reach = np.concatenate([of_all[:1], of_above[:-1]])
    of_reach[panel.starts] = of_all
    steps = of_reach - of_above
    per_rank = panel.wrong / panel.n * steps
    area = panel.mean(wrong_above * steps - above * per_rank + panel.wrong)
    # In the limit it is the mean over errors of -ln u, u the share of answers at least as confident. An answer counts
    # by itself, and by raising u for every less confident one.
    own = panel.spread(of_all + 1) - of_reach - steps * above / panel.n
    pushed = per_rank / 2 - _running(panel, per_rank)
    return around(area, variance_of_mean(panel, pushed, own + pushed), level, within=(0.0, 1.0))


def _running(panel: Panel, of_cells: FloatArray) -> FloatArray:
    """(t,) running sums within each series, by integers, so that no series feels its neighbours; values under 1e3."""
    return np.asarray(panel.up_to(np.rint(of_cells * 1e12).astype(np.int64)) / 1e12)


def _harmonic(n: Int64Array) -> FloatArray:
    """1 + 1/2 + ... + 1/n of whole numbers, to 1e-12 (Euler & Maclaurin past the table)."""
    found: FloatArray = _HARMONIC.take(n, mode="clip")
    past = np.flatnonzero(n >= _TABLED)
    large = n[past].astype(np.float64)
    square = large * large
    found[past] = np.log(large) + _EULER + 0.5 / large - 1 / (12 * square) + 1 / (120 * square * square)
    return found
