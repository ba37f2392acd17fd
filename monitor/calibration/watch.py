"""The watch over a deployed certificate: does its promise still hold, on labels that came after it was deployed.

A bound of one look, read every hour, calls a promise broken by chance sooner or later. The one here holds at every look
at once: a promise that is kept throughout is called broken **ever** with a chance of at most `FALSE_ALARM`.

**Why it holds.** Let p be the accuracy that is promised, y an outcome. If answers are right with a chance of at least
p, whatever came before, the product of 1 + k (p - y) over the labels has a mean of at most 1 at every time, for each
stake k from 0 to 1 / (1 - p). So has a mixture of such products that was chosen beforehand, and the chance that it ever
reaches 1 / a is at most a (Ville 1939; betting: Waudby-Smith and Ramdas 2024). With u = k (1 - p) a right answer
multiplies the capital by 1 - u and a wrong one by 1 + u p / (1 - p), so counts are all that is needed. A share of an
outcome is counted as parts of a right and of a wrong one, which the concave logarithm makes cautious.

**Old merits do not hide a new fault.** A product over all labels would have to lose again what a good year gained. So a
bet begins anew on every day that has labels, the j-th with the share 1 / (j (j + 1)) of the capital; what has not
begun counts as it was staked. The price is the logarithm of j (j + 1): 12 after a year, which is what 570 labels tell
of a fall from 0.95 to 0.90.

Tallies may be weighed in any order within a day, and only once: labels that come, or change, after their predictions
were taken for mature count for nothing here.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.calibration.cells import FloatArray
from monitor.calibration.certificates import EVEN, Side
from monitor.calibration.ladder import first_cells
from monitor.calibration.sketch import Row, Sketch

FALSE_ALARM: Final = 0.01
"""Chance, over its whole life, that a certificate whose promise is kept is called broken."""

_ODDS: Final = -math.log(FALSE_ALARM)
_STAKES: Final = 0.9 / 2.0 ** np.arange(10)
"""(10,) u with equal shares: .9 is for a promise that fails outright, .002 for one that fails by the hundredth part."""
_HALVINGS: Final = 30


@dataclass(frozen=True, slots=True)
class Tally:
    """The labels on a certificate's side of its threshold, of some stretch of prediction time.

    `right` is the sum of the outcomes; `weight` and `square` those of the weights 1 / propensity and of their squares.
    """

    n: int
    right: float
    weight: float
    square: float


def tally(sketch: Sketch, threshold: float, side: Side) -> Tally:
    """What a sketch holds at or above an exact threshold (accept), or below it (reject)."""
    inside = first_cells(threshold)[sketch.cells]
    if side == "reject":
        inside = 1 - inside

    def total(row: Row) -> float:
        return float(inside @ sketch.row(row))

    n = total(Row.N)
    return Tally(round(n), total(Row.Y) / 1e9, n + total(Row.EXCESS_W) / 1e6, n + total(Row.EXCESS_W2) / 1e3)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a promise stands. Without labels all but `n` and `bound` are None."""

    n: int
    """Labels on the side since the certificate was deployed."""
    bound: float | None
    """The upper bound of the accuracy (accept; of reject the lower one) that holds at every look: it cannot have been
    beyond it all the time. None where labels were sampled unevenly, which nothing here allows for."""
    shortfall: float | None
    """By how much the bound misses the promise, -1..1: above 0 it is broken."""
    accuracy: float | None = None
    worst_from: int | None = None
    """The place of the day from which on the evidence against the promise is strongest."""
    worst_n: int | None = None
    """Labels from there on."""
    worst_accuracy: float | None = None

    @property
    def broken(self) -> bool:
        """Whether the promise is surely broken, at the chance of `FALSE_ALARM`."""
        return self.shortfall is not None and self.shortfall > 0


def standing(tallies: list[Tally], target: float, side: Side) -> Standing:
    """Weigh the days since deployment, oldest first, those without labels left out."""
    n = np.array([each.n for each in tallies], np.float64)
    right = np.array([each.right for each in tallies], np.float64)
    total = int(n.sum())
    if not total:
        return Standing(0, 1.0 if side == "accept" else 0.0, (target if side == "accept" else 1 - target) - 1.0)
    accuracy = float(right.sum() / total)
    weight, square = sum(each.weight for each in tallies), sum(each.square for each in tallies)
    if weight**2 < EVEN * total * square:
        return Standing(total, None, None, accuracy)
    kept, broken, wanted = _weighed(n, right, target, side)
    upper = _upper(kept, broken)
    worst = int(np.argmax(_capital(kept, broken, wanted)[:-1]))
    since_n, since_right = float(n[worst:].sum()), float(right[worst:].sum())
    return Standing(
        n=total,
        bound=upper if side == "accept" else 1 - upper,
        shortfall=wanted - upper,
        accuracy=accuracy,
        worst_from=worst,
        worst_n=round(since_n),
        worst_accuracy=since_right / since_n,
    )


def is_broken(tallies: list[Tally], target: float, side: Side) -> bool:
    """Whether the promise is surely broken: what `standing` says without looking for the bound."""
    return log_capital(tallies, target, side) > _ODDS


def log_capital(tallies: list[Tally], target: float, side: Side) -> float:
    """The logarithm of what 1, bet against the promise, has become; its mean is 1 where the promise is just kept."""
    n = np.array([each.n for each in tallies], np.float64)
    right = np.array([each.right for each in tallies], np.float64)
    return float(np.logaddexp.reduce(_capital(*_weighed(n, right, target, side))))


def _weighed(n: FloatArray, right: FloatArray, target: float, side: Side) -> tuple[FloatArray, FloatArray, float]:
    """From each day on what keeps the promise and what breaks it, and which share is to keep it."""
    kept, wanted = (right, target) if side == "accept" else (n - right, 1 - target)
    return _since(kept), _since(n - kept), wanted


def _since(each: FloatArray) -> FloatArray:
    """(D,) the sums from each day on."""
    return np.asarray(np.cumsum(each[::-1])[::-1])


def _capital(kept: FloatArray, broken: FloatArray, wanted: float) -> FloatArray:
    """(D + 1,) the logarithms of what the bet of each day has become, and of what has not begun."""
    gain = np.log1p(_STAKES * wanted / (1 - wanted))
    logs = kept[:, None] * np.log1p(-_STAKES) + broken[:, None] * gain
    place = np.arange(1, len(kept) + 1)
    staked = -np.log(place * (place + 1.0)) - math.log(len(_STAKES))
    return np.append(np.logaddexp.reduce(logs, axis=1) + staked, -math.log(len(kept) + 1))


def _upper(kept: FloatArray, broken: FloatArray) -> float:
    """The largest share against which the capital is not enough; it rises with the share."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if float(np.logaddexp.reduce(_capital(kept, broken, middle))) < _ODDS:
            low = middle
        else:
            high = middle
    return high
