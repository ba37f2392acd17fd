"""Intervals of means, losses and AUROC from one sketch. ECE, which is no mean, has its own in `uncertainty`.

All take a sketch with at least one label and a confidence level in (0, 1). Outcomes that are fractions vary less than
the 0/1 outcomes assumed, so there the intervals are a little wide. Labels are taken as independent. `view` is
`ordered(sketch)`, for callers that have it already.
"""

import math
from typing import Final

import numpy as np

from monitor.calibration import measures
from monitor.calibration.bins import Ordered, ordered
from monitor.calibration.cells import UNIT, FloatArray
from monitor.calibration.sketch import Row, Sketch
from monitor.calibration.uncertainty import Interval, wilson, z_of

LARGEST_LOG_LOSS: Final = -math.log(measures.LOG_LOSS_CLIP)


def accuracy_interval(sketch: Sketch, level: float) -> Interval:
    """Wilson interval of the accuracy, within 0..1."""
    return wilson(sketch.total(Row.Y) / UNIT, sketch.total(Row.N), level)


def mean_confidence_interval(sketch: Sketch, level: float) -> Interval:
    """Normal interval of the mean confidence, within 0..1; of no width when all confidences are equal."""
    n, mean = sketch.total(Row.N), measures.mean_confidence(sketch)
    variance = sketch.total(Row.C2) / (n * UNIT) - mean * mean
    return _around(mean, variance, n, level, within=(0.0, 1.0))


def signed_gap_interval(sketch: Sketch, level: float) -> Interval:
    """Normal interval of the signed gap, within -1..1, from the variance of confidence minus outcome.

    The outcomes' own part of it is taken at (k + 1/2) / (n + 1) right, so that only right answers are not certain.
    """
    n, confidence, right = sketch.total(Row.N), measures.mean_confidence(sketch), measures.accuracy(sketch)
    of_confidence = sketch.total(Row.C2) / (n * UNIT) - confidence * confidence
    shared = sketch.total(Row.CY) / (n * UNIT) - confidence * right
    chance = (right * n + 0.5) / (n + 1)
    variance = of_confidence - 2 * shared + chance * (1 - chance)
    return _around(measures.signed_gap(sketch), variance, n, level, within=(-1.0, 1.0))


def brier_interval(sketch: Sketch, level: float, *, view: Ordered | None = None) -> Interval:
    """Normal interval of the Brier score, within 0..1."""
    view = view or ordered(sketch)
    mean = measures.mean_confidence(sketch)
    variance = _loss_variance(
        view.right, view.n - view.right, (1 - view.position) ** 2, view.position**2, ((1 - mean) ** 2, mean**2)
    )
    return _around(measures.brier(sketch), variance, sketch.total(Row.N), level, within=(0.0, 1.0))


def log_loss_interval(sketch: Sketch, level: float, *, view: Ordered | None = None) -> Interval:
    """Normal interval of the log loss, within 0..16.1, the loss at the clip.

    A confidence of 1 that is wrong costs 16, so where that is rare a hundred labels cover the truth 8 times in 10 only.
    """
    view = view or ordered(sketch)
    p = np.clip(np.append(view.position, measures.mean_confidence(sketch)), measures.LOG_LOSS_CLIP, None)
    p = np.minimum(p, 1 - measures.LOG_LOSS_CLIP)
    right, wrong = -np.log(p), -np.log1p(-p)
    variance = _loss_variance(
        view.right, view.n - view.right, right[:-1], wrong[:-1], (float(right[-1]), float(wrong[-1]))
    )
    return _around(
        measures.log_loss(sketch, view=view), variance, sketch.total(Row.N), level, within=(0.0, LARGEST_LOG_LOSS)
    )


def confident_error_interval(sketch: Sketch, level: float) -> Interval:
    """Wilson interval of the share of confident errors, within 0..1."""
    n = sketch.total(Row.N)
    return wilson(measures.confident_error_share(sketch) * n, n, level)


def auroc_interval(sketch: Sketch, level: float, *, view: Ordered | None = None) -> Interval:
    """Normal interval of AUROC, within 0..1, with the variance of DeLong et al. 1988.

    Where all right answers rank on one side of all wrong ones that variance is 0; there the largest variance possible
    at an AUROC of half a pair less is taken (Birnbaum & Klose 1957). Raises NotEnoughData without both outcomes.
    """
    view = view or ordered(sketch)
    area = measures.auroc(sketch, view=view)
    right, wrong = view.right, view.n - view.right
    rights, wrongs = float(right.sum()), float(wrong.sum())
    of_right = (np.cumsum(wrong) - wrong / 2) / wrongs
    of_wrong = (rights - np.cumsum(right) + right / 2) / rights
    variance = float((right * (of_right - area) ** 2).sum()) / rights**2
    variance += float((wrong * (of_wrong - area) ** 2).sum()) / wrongs**2
    if variance < 1e-12:
        fewer = min(rights, wrongs)
        moved = (area * fewer + 0.5) / (fewer + 1)
        variance = moved * (1 - moved) / fewer
    return _around(area, variance, 1, level, within=(0.0, 1.0))


def _loss_variance(
    right: FloatArray,
    wrong: FloatArray,
    loss_right: FloatArray,
    loss_wrong: FloatArray,
    at_mean: tuple[float, float],
) -> float:
    """Variance of a loss over labels, with one more label at the mean confidence, half of it right: never certain."""
    n = float((right + wrong).sum()) + 1
    first = float((right * loss_right + wrong * loss_wrong).sum()) + sum(at_mean) / 2
    second = float((right * loss_right**2 + wrong * loss_wrong**2).sum()) + sum(loss * loss for loss in at_mean) / 2
    return second / n - (first / n) ** 2


def _around(value: float, variance: float, n: int, level: float, *, within: Interval) -> Interval:
    half = z_of(level) * math.sqrt(max(variance, 0.0) / n)
    return max(within[0], value - half), min(within[1], value + half)
