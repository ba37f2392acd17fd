"""Which share of which predictions people should look at: one share for all, or more where it is less sure.

Every prediction is drawn by itself with the propensity of its stratum (Poisson sampling), and each answer weighs
1 / propensity (Hajek), so every allocation with propensities above 0 is fair; they differ in how much is learnt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.calibration.cells import FloatArray
from monitor.errors import BadInput

EDGES: Final = (0.5, 0.7, 0.8, 0.9, 0.95)
"""Where one stratum of confidence ends and the next begins, the edge included in the higher one."""
FEWEST: Final = 0.25
"""No stratum has less than this part of the share: what was once safe need not stay so."""
MOST: Final = 4.0
WORTH: Final = 0.9
"""Strata are used where they are expected to leave at most this part of the variance that one share for all leaves."""
PRIOR: Final = 4.0
"""Labels that the middle of a stratum's confidences weighs against those that it has."""
_HALVINGS: Final = 100


@dataclass(frozen=True, slots=True)
class Stratum:
    """Predictions of neighbouring confidence, low <= confidence < high; of `n`, `labelled` have a label so far.

    `right` is the sum of their outcomes.
    """

    low: float
    high: float
    n: int
    labelled: int = 0
    right: float = 0.0

    @property
    def accuracy(self) -> float:
        """What accuracy to expect, 0..1: of its labels, drawn towards the middle of its confidences."""
        return (self.right + PRIOR * (self.low + self.high) / 2) / (self.labelled + PRIOR)


@dataclass(frozen=True, slots=True)
class Allocation:
    """The propensity of each stratum, in (0, 1]; `is_stratified`: they differ."""

    propensities: tuple[float, ...]
    is_stratified: bool
    gain: float
    """The variance that is expected to be left, over that of one share for all."""


def allocation(strata: Sequence[Stratum], share: float) -> Allocation:
    """Propensities that draw `share` (0..1) of all in expectation: Neyman's where they are worth it, else one for all.

    Neyman (1934): in proportion to the spread of the outcome within a stratum and around the whole. Bounded by FEWEST
    and MOST times the share, and by 1. Raises BadInput for a share that is none.
    """
    if not 0 < share <= 1:
        raise BadInput(f"a share of predictions to look at must lie above 0 and at most at 1, got {share:g}", "share")
    equal = np.full(len(strata), share)
    n = np.array([each.n for each in strata], float)
    spread = _spread(strata, n)
    bounded = _bounded(n, spread, share)
    left, right = _variance(n, spread, bounded), _variance(n, spread, equal)
    gain = left / right if right > 0 else 1.0
    chosen = bounded if gain <= WORTH else equal
    return Allocation(tuple(chosen.tolist()), bool(gain <= WORTH), gain if gain <= WORTH else 1.0)


def _spread(strata: Sequence[Stratum], n: FloatArray) -> FloatArray:
    """(k,) the root of the mean squared distance of an outcome from the mean of all, by stratum."""
    accuracy = np.array([each.accuracy for each in strata])
    mean = float(n @ accuracy / n.sum()) if n.sum() else 0.0
    spread: FloatArray = np.sqrt(accuracy * (1 - accuracy) + (accuracy - mean) ** 2)
    return spread


def _bounded(n: FloatArray, spread: FloatArray, share: float) -> FloatArray:
    """(k,) propensities in proportion to the spread within their bounds, drawing share * n.sum() in expectation."""
    low, high = share * FEWEST, min(1.0, share * MOST)
    if not n.sum() or not (spread * n).sum():
        return np.full(len(n), share)
    fewest, most = 0.0, high / float(spread[spread > 0].min())
    for _ in range(_HALVINGS):
        middle = (fewest + most) / 2
        drawn = float(n @ np.clip(middle * spread, low, high))
        fewest, most = (middle, most) if drawn < share * n.sum() else (fewest, middle)
    return np.clip(most * spread, low, high)


def _variance(n: FloatArray, spread: FloatArray, propensity: FloatArray) -> float:
    """Of the Hajek estimate of the mean outcome, to first order."""
    return float(np.sum(n * spread**2 * (1 / propensity - 1)) / max(1.0, n.sum()) ** 2)
