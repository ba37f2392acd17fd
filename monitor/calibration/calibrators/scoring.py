"""Scoring: what maps make of a sample, and what that costs."""

from collections.abc import Mapping, Sequence

import numpy as np

from monitor.calibration.calibrators.curves import IDENTITY, NO_FIELDS, Adaptive, Curve, LogOdds, apply_all, slope
from monitor.calibration.calibrators.sample import Sample
from monitor.calibration.cells import FloatArray
from monitor.calibration.odds import sigmoid


def applied(
    curves: Sequence[Curve], sample: Sample, clip: float, fields: Sequence[Mapping[str, float]] | None = None
) -> FloatArray:
    """(t,) what the curve of each series makes of its cells, within clip..1-clip; `fields` of each series."""
    of_series = [NO_FIELDS] * len(curves) if fields is None else fields
    lines = [_line(curve, given) for curve, given in zip(curves, of_series, strict=True)]
    known = [line or IDENTITY for line in lines]
    a, b, m = np.array([(line.a, line.b, line.m) for line in known]).T[:, sample.series]
    found = np.clip(sigmoid(a * sample.log_right - b * sample.log_wrong + m), clip, 1 - clip)
    for series, line in enumerate(lines):
        if line is None:
            cells = sample.cells_of(series)
            found[cells] = apply_all(curves[series], sample.confidence[cells], clip)
    return found


def _line(curve: Curve, fields: Mapping[str, float]) -> LogOdds | None:
    """The curve for one prediction's fields, where it is logistic."""
    match curve:
        case LogOdds():
            return curve
        case Adaptive():
            steep = slope(curve, fields)
            return LogOdds(steep, steep, 0.0)
    return None


def log_losses(chance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """In nats, of a right and of a wrong answer, of chances strictly within 0..1."""
    return -np.log(chance), -np.log1p(-chance)


def mean_loss(sample: Sample, chance: FloatArray) -> FloatArray:
    """(S,) the mean log loss of each series."""
    if_right, if_wrong = log_losses(chance)
    return sample.total(sample.right * if_right + (sample.n - sample.right) * if_wrong) / sample.labels


def mean_square(sample: Sample, chance: FloatArray) -> FloatArray:
    """(S,) the Brier score of each series."""
    losses = sample.right * (1 - chance) ** 2 + (sample.n - sample.right) * chance**2
    return sample.total(losses) / sample.labels
