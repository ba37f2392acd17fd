"""Calibration measures of one sketch. docs/measures.md has each definition, its range and its source for readers.

Every function takes a sketch and returns a float, exact to the unit 1e-9 of the stored sums unless it says otherwise,
and raises NotEnoughData, with the reason that a reader is shown, where the value is unknown. An outcome that is a
fraction counts as an outcome drawn with that chance. `view` is `ordered(sketch)`, for callers that have it already.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.calibration.bins import Ordered, ece_of, equal_mass, equal_width, mce_of, ordered
from monitor.calibration.cells import HIGH, IS_ATOM, UNIT, Edges, FloatArray, at_or_above, delay_bounds
from monitor.calibration.sketch import Row, Sketch
from monitor.errors import NotEnoughData

LOG_LOSS_CLIP: Final = 1e-7  # confidences are clipped to [clip, 1 - clip] before the logarithm
CONFIDENT: Final = 0.9
THRESHOLDS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

NO_LABELS: Final = "no labels"
NO_PREDICTIONS: Final = "no predictions"
ONE_CLASS: Final = "one class only"
NO_DELAYS: Final = "no label times"


def labels(sketch: Sketch) -> int:
    """How many labelled predictions there are. Raises NotEnoughData when none."""
    n = sketch.total(Row.N)
    if n <= 0:
        raise NotEnoughData(NO_LABELS)
    return n


def coverage(sketch: Sketch) -> float:
    """Labelled predictions over all predictions, 0..1. Raises NotEnoughData without predictions."""
    predictions = sketch.total(Row.N_PRED)
    if predictions <= 0:
        raise NotEnoughData(NO_PREDICTIONS)
    return sketch.total(Row.N) / predictions


def accuracy(sketch: Sketch) -> float:
    """Mean outcome of the labelled predictions, 0..1."""
    return sketch.total(Row.Y) / (labels(sketch) * UNIT)


def mean_confidence(sketch: Sketch) -> float:
    """Mean confidence of the labelled predictions, 0..1."""
    return sketch.total(Row.C) / (labels(sketch) * UNIT)


def signed_gap(sketch: Sketch) -> float:
    """Mean confidence minus mean outcome, -1..1; positive means over-confident."""
    return (sketch.total(Row.C) - sketch.total(Row.Y)) / (labels(sketch) * UNIT)


def brier(sketch: Sketch) -> float:
    """Mean of (confidence - outcome) squared, 0..1, lower is better (Brier 1950).

    For an outcome y that is a fraction: mean of c^2 - 2cy + y, the expectation over an outcome drawn with chance y.
    """
    return (sketch.total(Row.C2) - 2 * sketch.total(Row.CY) + sketch.total(Row.Y)) / (labels(sketch) * UNIT)


def log_loss(sketch: Sketch, *, view: Ordered | None = None) -> float:
    """Mean of -y ln c - (1 - y) ln(1 - c), in nats, 0..16.1; confidences are clipped at 1e-7 from 0 and 1 (Good 1952).

    From the mean and the spread of each cell: within 2e-4 of the raw pairs at n = 500, within 3e-5 on large streams.
    """
    n = labels(sketch)
    return float(_log_losses(view or ordered(sketch)).sum()) / n


def _log_losses(view: Ordered) -> FloatArray:
    """The summed loss of each cell, shape (k,)."""
    p = np.clip(view.position, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    wrong = view.n - view.right
    loss = -view.right * np.log(p) - wrong * np.log1p(-p)
    # Spread inside a wide cell: the next terms of the expansion of the logarithm about the cell's mean. Log-spaced
    # cells need none, and there the unit of the sums would be larger than the terms.
    wide = ~IS_ATOM[view.cells] & (view.cells < HIGH)
    mean = view.sums[Row.C] / view.n / UNIT
    with_outcome = (view.sums[Row.CY] - mean * view.sums[Row.Y]) / UNIT
    variance = np.maximum(view.sums[Row.C2] / view.n / UNIT - mean * mean, 0.0)
    first = with_outcome / p + with_outcome / (1 - p)
    second = variance / 2 * (view.right / (p * p) + wrong / ((1 - p) * (1 - p)))
    return np.asarray(loss + np.where(wide, second - first, 0.0))


def ece(sketch: Sketch, count: int = 10, edges: Edges = "right_closed") -> float:
    """Expected calibration error: the mean over labels of |mean confidence - accuracy| of their bin, 0..1.

    Equal-width bins. Naeini et al. 2015; the bin's mean confidence, not its centre (Guo et al. 2017).
    Biased upwards at small n: compare it with its null band.
    """
    labels(sketch)
    return ece_of(equal_width(sketch, count, edges))


def mce(sketch: Sketch, count: int = 10, edges: Edges = "right_closed") -> float:
    """Largest |mean confidence - accuracy| of any bin that holds labels, 0..1 (Naeini et al. 2015).

    Noisy where a bin holds few labels.
    """
    labels(sketch)
    return mce_of(equal_width(sketch, count, edges))


def over_confident_part(sketch: Sketch, count: int = 10, edges: Edges = "right_closed") -> float:
    """The part of ECE from bins whose confidence exceeds their accuracy, 0..1.

    Minus the under-confident part it is the signed gap; together they are ECE.
    """
    return _one_sided(sketch, count, edges, sign=1)


def under_confident_part(sketch: Sketch, count: int = 10, edges: Edges = "right_closed") -> float:
    """The part of ECE from bins whose accuracy exceeds their confidence, 0..1."""
    return _one_sided(sketch, count, edges, sign=-1)


def _one_sided(sketch: Sketch, count: int, edges: Edges, *, sign: int) -> float:
    n = labels(sketch)
    bins = equal_width(sketch, count, edges)
    return int(np.maximum(sign * (bins.sum_c - bins.sum_y), 0).sum()) / (n * UNIT)


def ece_equal_mass(sketch: Sketch, count: int = 10, *, view: Ordered | None = None) -> float:
    """ECE with bins of nearly equal numbers of labels, 0..1 (Nguyen & O'Connor 2015). Bins take whole cells.

    Cells are coarser than values: up to 0.005 from the raw pairs at n = 500, less with more labels.
    """
    labels(sketch)
    return ece_of(equal_mass(view or ordered(sketch), count))


def auroc(sketch: Sketch, *, view: Ordered | None = None) -> float:
    """The chance that a right answer has a higher confidence than a wrong one, ties counting half, 0..1.

    Hanley & McNeil 1982. Confidences that share a cell count as tied: within 2e-4 on large streams, unless all of them
    crowd into a few cells. Raises NotEnoughData without both outcomes.
    """
    labels(sketch)
    view = view or ordered(sketch)
    right, wrong = view.right, view.n - view.right
    if right.sum() <= 0 or wrong.sum() <= 0:
        raise NotEnoughData(ONE_CLASS)
    below = np.cumsum(wrong) - wrong
    return float((right * (below + 0.5 * wrong)).sum() / (right.sum() * wrong.sum()))


@dataclass(frozen=True, slots=True)
class Selected:
    """The labelled predictions with confidence >= threshold: how many, and the sum of their outcomes."""

    threshold: float
    n: int
    right: float


def selected(sketch: Sketch, threshold: float) -> Selected:
    """What an acceptance threshold selects. Raises ValueError unless it is a multiple of 1/600."""
    above = at_or_above(threshold)[sketch.cells]
    return Selected(threshold, int(sketch.sums[Row.N, above].sum()), int(sketch.sums[Row.Y, above].sum()) / UNIT)


def accuracy_above(sketch: Sketch, threshold: float) -> float:
    """Mean outcome of the labelled predictions with confidence >= threshold, 0..1."""
    chosen = selected(sketch, threshold)
    if chosen.n == 0:
        raise NotEnoughData("no labels at or above the threshold")
    return chosen.right / chosen.n


def coverage_above(sketch: Sketch, threshold: float) -> float:
    """Share of the labelled predictions with confidence >= threshold, 0..1."""
    n = labels(sketch)
    return selected(sketch, threshold).n / n


def confident_error_share(sketch: Sketch) -> float:
    """Share of all labelled predictions that had confidence >= 0.9 and were wrong, 0..1."""
    n = labels(sketch)
    chosen = selected(sketch, CONFIDENT)
    return (chosen.n - chosen.right) / n


def label_delay(sketch: Sketch) -> float:
    """Median seconds from prediction to label; labels that came first count as 0.

    Known to its bucket (a factor of 1.42) and interpolated inside it. Raises NotEnoughData without label times.
    """
    n = int(sketch.delays.sum())
    if n <= 0:
        raise NotEnoughData(NO_DELAYS)
    reached = np.cumsum(sketch.delays)
    at = int(np.searchsorted(reached, n / 2))
    low, high = delay_bounds(int(sketch.delay_buckets[at]))
    inside = (n / 2 - int(reached[at] - sketch.delays[at])) / int(sketch.delays[at])
    return low + (high - low) * inside
