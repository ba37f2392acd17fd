"""Confidence sequences: intervals that hold the truth at every look at once, however often and whenever one looks.

An interval at 95 % is wrong one time in twenty, so whoever reads it all day, and acts when it leaves 0, acts on chance
sooner or later. A confidence sequence at 95 % is wrong **at any time** in one history out of twenty.

**What it is over.** All labels since a start, in order of prediction: at each look those of the panes up to there. The
start was fixed before they came, perhaps because of earlier ones. d = c - y is a label's confidence minus outcome, m_i
the mean of d_i given all before it (and, if you like, given its confidence); the sequence holds the mean of m_1..m_n,
for every n at once. Nothing is assumed of the m_i: they may drift. A window that forgets is another sum with another
start at each look, and is not covered.

**Why it holds.** For a stake k in -1..1 the product of (1 + k d_i) / (1 + k m_i) has mean 1 at every time, so with a
chance of alpha at most does a mixture of such products over k, chosen beforehand, ever reach 1 / alpha (Ville 1939).
The logarithm is concave: the product of (1 + k m_i) is at most (1 + k m)^n, with m their mean. So while the mixture
stays below 1 / alpha, so does that of prod(1 + k d_i) / (1 + k m)^n, and the sequence is all m where it does. No
variance is estimated and no n is "large enough". The bets are those of Waudby-Smith and Ramdas 2024, at fixed stakes,
so that only counts by cell are needed: any order within the panes gives the same digits. The cells' confidences stand
for those in them, which are within 1/600.
"""

import math
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from monitor.calibration import means
from monitor.calibration.bins import Bins
from monitor.calibration.cells import Edges, FloatArray, bin_of_cells
from monitor.calibration.closed_form import eces
from monitor.calibration.estimates import Estimates
from monitor.calibration.panel import Panel, bins_of_panel
from monitor.calibration.sketch import Row

Evidence: TypeAlias = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""(S,) values and their slopes at (S,) places: convex, and rising towards the larger end of what is sought."""

_HALVED: Final = 0.9 / 2.0 ** np.arange(8)
STAKES: Final = np.concatenate([_HALVED, -_HALVED[::-1]])
"""(16,) with equal shares. The best stake falls with the root of the labels: .9 is for some tens, .007 for a million.
Backwards they are the stakes of the other side."""
_CAUTION: Final = -np.log1p(-np.abs(STAKES)) - np.abs(STAKES)
_ROUNDS: Final = 100
_CLOSE: Final = 1e-10


def signed_gap(panel: Panel, level: float) -> Estimates:
    """Mean confidence minus mean outcome since the start, -1..1, with the ends of its confidence sequence.

    Positive means over-confident. At `level`, 0..1, as the module says. A fraction f counts as f right and 1 - f wrong
    labels, which makes the sequence a little wide.
    """
    value = means.signed_gap(panel, level).value
    low, high = _ends(log_products(panel, np.ones(len(panel.n))), panel.labels, math.log(1 / (1 - level)))
    return Estimates(value, np.minimum(low, value), np.maximum(high, value))


def ece(panel: Panel, count: int, edges: Edges, level: float) -> Estimates:
    """ECE since the start, 0..1, in `count` equal-width bins, with the ends of its confidence sequence.

    It holds the mean over the labels of |mean of the m_i of their bin|, the m_i given the confidences. ECE is the
    largest of the 2^count means of d with a sign for each bin, so where all of their sequences hold, it lies between
    the lower end of any and the largest of the upper ends. Half of alpha goes to the signed gap, and half in equal
    parts to the 2^(count - 1) pairs of patterns. The upper end takes log(1 + x) >= x - x^2 (-log(1 - k) - k) / k^2 for
    |x| <= k (Fan, Grama and Liu 2015): then all patterns are equally wide, by n times the Brier score alone. So it is
    wide: it also allows for the upward bias of ECE, at all looks.
    """
    bins, odds = bins_of_panel(panel, count, edges), math.log(2 / (1 - level))
    value, ones = eces(bins), np.ones(len(panel.n))
    gap_low, gap_high = _ends(log_products(panel, ones), panel.labels, odds)
    odds += (count - 1) * math.log(2)
    pattern_low, _ = _ends(log_products(panel, _pattern(panel, bins, count, edges)), panel.labels, odds)
    low = np.maximum.reduce([pattern_low, gap_low, -gap_high, np.zeros(len(panel))])
    return Estimates(value, np.minimum(low, value), np.minimum(value + half_width(panel, odds), 1.0))


def half_width(panel: Panel, odds: float) -> FloatArray:
    """(S,) how far the mean of d, with any sign for each label that is known before its outcome, can be from that of
    the m_i with these signs: a sequence of its own, at alpha = exp(-odds), from the labels and the Brier score alone.
    """
    squares = panel.labels * (panel.of_row(Row.C2) - 2 * panel.of_row(Row.CY) + panel.of_row(Row.Y))
    caution = _CAUTION * squares[:, None]
    slopes = np.broadcast_to(STAKES, caution.shape)
    farthest = _outermost(lambda away: _mixed(STAKES * away[:, None] - caution, slopes), 2 * panel.labels, odds)
    return farthest / panel.labels


def log_products(panel: Panel, sign: FloatArray) -> FloatArray:
    """(S, 16) the logarithm of the product over the labels of 1 + stake x sign x (c - y); sign (t,) +1 or -1."""
    products = np.empty((len(panel), len(STAKES)))
    if_right, if_wrong = sign * (panel.position - 1), sign * panel.position
    for place, stake in enumerate(STAKES.tolist()):
        each = panel.right * np.log1p(stake * if_right) + panel.wrong * np.log1p(stake * if_wrong)
        products[:, place] = panel.total(each)
    return products


def log_mixture(products: FloatArray, n: FloatArray, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(S,) the logarithm of the mixture if the mean of n (S,) labels were `mean` (S,), and its slope there; convex."""
    scale = 1 + STAKES * mean[:, None]
    return _mixed(products - n[:, None] * np.log(scale), -n[:, None] * STAKES / scale)


def _mixed(logs: FloatArray, slopes: FloatArray) -> tuple[FloatArray, FloatArray]:
    top = logs.max(axis=1)
    share = np.exp(logs - top[:, None])
    total = share.sum(axis=1)
    return top + np.log(total / len(STAKES)), (share * slopes).sum(axis=1) / total


def _ends(products: FloatArray, n: FloatArray, odds: float) -> tuple[FloatArray, FloatArray]:
    """(S,) the ends of all means at which the log mixture is at most `odds`."""
    highest = _outermost(lambda mean: log_mixture(products, n, mean), np.ones(len(n)), odds)
    lowest = _outermost(lambda mean: log_mixture(products[:, ::-1], n, mean), np.ones(len(n)), odds)
    return -lowest, highest


def _pattern(panel: Panel, bins: Bins, count: int, edges: Edges) -> FloatArray:
    """(t,) the side of the gap of each cell's bin."""
    side = np.where(bins.sum_c >= bins.sum_y, 1.0, -1.0)
    return np.asarray(side[panel.series, bin_of_cells(count, edges)[panel.cells]])


def _outermost(evidence: Evidence, start: FloatArray, odds: float) -> FloatArray:
    """(S,) the largest places up to `start` where the evidence is at most `odds`.

    By Newton steps, which never pass the place that they seek: a step too few leaves the sequence wider.
    """
    place = start
    for _ in range(_ROUNDS):
        value, slope = evidence(place)
        step = np.maximum(value - odds, 0.0) / np.where(value > odds, slope, 1.0)
        place = place - step
        if float(step.max()) < _CLOSE:
            break
    return place
