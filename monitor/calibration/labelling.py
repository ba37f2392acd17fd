"""Labelling: whether it depends on confidence, and what all predictions would read if everyone of them had a label.

Where the confident are labelled less often, the mean over labels is not the mean over predictions: in the example of
docs/measures.md a true ECE of .17 reads .05. Two corrections: the labels of each stratum of confidence stand for all
its predictions (post-stratification), or each label for as many as its sampling propensity says (Hajek).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from monitor.calibration.bins import Ordered, ordered
from monitor.calibration.cells import UNIT, Edges, FloatArray, Int64Array, bin_of_cells
from monitor.calibration.sketch import Row, Sketch
from monitor.calibration.uncertainty import DRAWS, Interval, basic_interval, seeded, z_of
from monitor.errors import NotEnoughData

MIN_LABELS: Final = 10
"""Labels that a stratum needs to stand for its predictions, and an estimate to be one."""
BANDS: Final = 10

NO_PREDICTIONS: Final = "no predictions"
ONE_CONFIDENCE: Final = "all confidences lie together"
ALL_OR_NONE: Final = "all predictions are labelled, or none is"
NO_PROPENSITY: Final = "no label came with a propensity"


@dataclass(frozen=True, slots=True)
class Band:
    """Neighbouring confidences, and how many of their predictions have a label."""

    low: float
    high: float
    n_predictions: int
    n: int


@dataclass(frozen=True, slots=True)
class Trend:
    """How the chance of a label moves with confidence."""

    bands: tuple[Band, ...]
    slope: float
    """Change of the share of labelled predictions from confidence 0 to 1; negative: the confident are labelled less."""
    chi_square: float
    """Of one degree of freedom, where labelling does not depend on confidence."""
    p_value: float


def labelling_trend(sketch: Sketch, bands: int = BANDS) -> Trend:
    """The chi-square test for a linear trend in proportions (Cochran 1954, Armitage 1955) of labels over confidence.

    The bands, at most so many, hold about equally many predictions in whole cells; their score is the mean confidence
    of these. Raises NotEnoughData without predictions, with one band, and where all or none are labelled.
    """
    view = ordered(sketch)
    if not len(view.n_pred):
        raise NotEnoughData(NO_PREDICTIONS)
    middle = np.cumsum(view.n_pred) - view.n_pred / 2
    starts = np.unique(np.floor(middle * bands / view.n_pred.sum()).astype(np.int64), return_index=True)[1]
    n_pred, n = np.add.reduceat(view.n_pred, starts), np.add.reduceat(view.n, starts)
    score = np.add.reduceat(view.n_pred * view.position, starts) / n_pred
    whole = float(n_pred.sum())
    share = float(n.sum()) / whole
    if not 0 < share < 1:
        raise NotEnoughData(ALL_OR_NONE)
    centred = score - float((n_pred * score).sum()) / whole
    spread = float((n_pred * centred**2).sum())
    if spread <= 1e-12 * whole:
        raise NotEnoughData(ONE_CONFIDENCE)
    pull = float((centred * n).sum())
    chi_square = pull**2 / (share * (1 - share) * spread)
    ends = [*starts[1:].tolist(), len(view.n)]
    found = tuple(
        Band(float(view.position[first]), float(view.position[end - 1]), round(n_pred[band]), round(n[band]))
        for band, (first, end) in enumerate(zip(starts.tolist(), ends, strict=True))
    )
    return Trend(found, pull / spread, chi_square, 2 * NormalDist().cdf(-math.sqrt(chi_square)))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Overall:
    """Accuracy, signed gap, ECE and Brier score by one way of weighting the labels."""

    accuracy: Estimate
    """Mean outcome, 0..1."""
    signed_gap: Estimate
    """Mean confidence minus mean outcome, -1..1; positive means over-confident."""
    ece: Estimate
    """0..1."""
    brier: Estimate
    """0..1; with weights, the labels of a cell count by their mean confidence and its square."""
    n_effective: float
    """So many labels of equal weight would tell as much (Kish 1965): the labels themselves where all weigh the same."""


def post_stratified(sketch: Sketch, count: int, edges: Edges, level: float) -> Overall:
    """The labels of each stratum of confidence standing for all predictions of it (Holt & Smith 1979).

    Right where labelling depends on confidence alone. Strata are whole cells, put together with their neighbours until
    each has MIN_LABELS labels, so predictions among which nothing is labelled are never taken for calibrated. Raises
    NotEnoughData with fewer labels than that, and without predictions.
    """
    view = ordered(sketch)
    if not view.n_pred.sum():
        raise NotEnoughData(NO_PREDICTIONS)
    _enough(float(view.n.sum()))
    stratum = _strata(view)
    factor = (np.bincount(stratum, view.n_pred) / np.bincount(stratum, view.n))[stratum]
    equal = _Weights.equal(view)
    weights = _Weights(
        factor * equal.w, factor * equal.wy, factor * equal.wc, factor**2 * equal.w2, factor**2 * equal.w2y
    )
    return _overall(view, weights, stratum, (count, edges), level, rng=seeded(sketch))


def weighted(sketch: Sketch, count: int, edges: Edges, level: float) -> Overall:
    """Each label with the weight 1 / propensity, at most 1e4, and 1 where none was given (Hajek 1971).

    Right where the propensities are. Raises NotEnoughData where no label has one, and where the weights leave fewer
    than MIN_LABELS effective labels.
    """
    view = ordered(sketch)
    excess = view.sums[Row.EXCESS_W :] / np.array([[1e6]] * 3 + [[1e3]] * 3)
    if not excess.any():
        raise NotEnoughData(NO_PROPENSITY)
    equal = _Weights.equal(view)
    weights = _Weights(
        equal.w + excess[0], equal.wy + excess[1], equal.wc + excess[2], equal.w2 + excess[3], equal.w2y + excess[4]
    )
    _enough(weights.effective)
    return _overall(view, weights, None, (count, edges), level, rng=seeded(sketch))


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """Sums over the labels of each cell, (k,): weights, weighted y, weighted c, squared weights, and these times y."""

    w: FloatArray
    wy: FloatArray
    wc: FloatArray
    w2: FloatArray
    w2y: FloatArray

    @classmethod
    def equal(cls, view: Ordered) -> "_Weights":
        """Every label with weight 1."""
        n = view.n.astype(np.float64)
        return cls(n, view.right, view.sums[Row.C] / UNIT, n, view.right)

    @property
    def effective(self) -> float:
        return float(self.w.sum() ** 2 / self.w2.sum())

    def square(self, of_right: FloatArray, of_wrong: FloatArray, n: float) -> FloatArray:
        """(k,) the sum of squared weights times squares of a residual that is one thing for right answers and another
        for wrong ones; with one label more, spread like the others, half right, so that nothing is certain."""
        right = self.w2y + self.w2 / (2 * n)
        return np.asarray(right * of_right**2 + (self.w2 * (1 + 1 / n) - right) * of_wrong**2)


def _strata(view: Ordered) -> Int64Array:
    """The stratum of each cell, 0.. ascending with confidence; each holds at least MIN_LABELS labels."""
    number, held = 0, 0.0
    left = float(view.n.sum())
    stratum = np.zeros(len(view.n), np.int64)
    for cell, n in enumerate(view.n.tolist()):
        if held >= MIN_LABELS and left >= MIN_LABELS:
            number, held = number + 1, 0.0
        stratum[cell] = number
        held += n
        left -= n
    return stratum


def _enough(labels: float) -> None:
    if labels < MIN_LABELS:
        raise NotEnoughData(f"{MIN_LABELS} labels are needed, {math.ceil(MIN_LABELS - labels)} more")


def _overall(
    view: Ordered,
    weights: _Weights,
    stratum: Int64Array | None,
    bins: tuple[int, Edges],
    level: float,
    *,
    rng: np.random.Generator,
) -> Overall:
    """The estimates of weighted labels; their variance is taken about the means of the strata, or about the whole."""
    group = np.zeros(len(view.n), np.int64) if stratum is None else stratum
    total, n = float(weights.w.sum()), float(view.n.sum())
    held = np.bincount(group, weights.w)
    right = (np.bincount(group, weights.wy) / held)[group]
    gap = (np.bincount(group, weights.wc - weights.wy) / held)[group]
    of_gap = weights.square(view.position - 1 - gap, view.position - gap, n)
    accuracy = _normal(
        float(weights.wy.sum()) / total, float(weights.square(1 - right, -right, n).sum()) / total**2, level, 0.0
    )
    signed_gap = _normal(float((weights.wc - weights.wy).sum()) / total, float(of_gap.sum()) / total**2, level, -1.0)
    bin_of = bin_of_cells(*bins)[view.cells]
    gaps = np.bincount(bin_of, weights.wc - weights.wy) / total
    if stratum is None:  # how many labels a bin has is chance too
        mean = gaps[bin_of]
        inside = np.bincount(bin_of, weights.square(view.position - 1 - mean, view.position - mean, n))
        variance = inside + gaps**2 * (weights.w2.sum() - np.bincount(bin_of, weights.w2))
    else:
        variance = np.bincount(bin_of, of_gap)
    ece = _absolute(gaps, np.sqrt(variance) / total, level, rng)
    loss = _brier(view, weights)
    mean_loss = (np.bincount(group, loss) / held)[group]
    of_loss = weights.square((1 - view.position) ** 2 - mean_loss, view.position**2 - mean_loss, n)
    brier = _normal(float(loss.sum()) / total, float(of_loss.sum()) / total**2, level, 0.0)
    return Overall(accuracy, signed_gap, ece, brier, weights.effective)


def _brier(view: Ordered, weights: _Weights) -> FloatArray:
    """(k,) the weighted sum of c^2 - 2cy + y of each cell."""
    n, right = np.maximum(view.n, 1), np.maximum(view.sums[Row.Y], 1)
    square, of_right = view.sums[Row.C2] / UNIT / n, view.sums[Row.CY] / right
    return np.asarray(weights.w * square - 2 * weights.wy * of_right + weights.wy)


def _normal(value: float, variance: float, level: float, lowest: float) -> Estimate:
    half = z_of(level) * math.sqrt(variance)
    return Estimate(value, (max(lowest, value - half), min(1.0, value + half)))


def _absolute(gaps: FloatArray, spread: FloatArray, level: float, rng: np.random.Generator) -> Estimate:
    """The sum of absolute gaps of bins; its interval from gaps drawn again, as for ECE without weights."""
    noise = spread * rng.standard_normal((DRAWS, len(gaps)))
    tails = [(1 - level) / 2, (1 + level) / 2]
    again, null = np.abs(gaps + noise).sum(axis=1), np.abs(noise).sum(axis=1)
    low, high = np.quantile(again, tails)
    value = float(np.abs(gaps).sum())
    null_high = float(np.quantile(null, tails[1]))
    return Estimate(value, basic_interval(value, (float(low), float(again.mean()), float(high)), null_high))
