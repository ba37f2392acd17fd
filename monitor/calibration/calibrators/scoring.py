"""Scoring: what maps make of a sample, and what that costs."""

from collections.abc import Mapping, Sequence

import numpy as np

from monitor.calibration.calibrators.curves import IDENTITY, NO_FIELDS, Adaptive, Curve, LogOdds, Points, Steps, slope
from monitor.calibration.calibrators.sample import Sample
from monitor.calibration.cells import FloatArray, Int64Array
from monitor.calibration.odds import sigmoid


def applied(
    curves: Sequence[Curve], sample: Sample, clip: float, fields: Sequence[Mapping[str, float]] | None = None
) -> FloatArray:
    """(t,) what the curve of each series makes of its cells, within clip..1-clip; `fields` of each series."""
    of_series = [NO_FIELDS] * len(curves) if fields is None else fields
    lines = [_line(curve, given) for curve, given in zip(curves, of_series, strict=True)]
    known = [line or IDENTITY for line in lines]
    a, b, m = np.array([(line.a, line.b, line.m) for line in known]).T[:, sample.series]
    found = sigmoid(a * sample.log_right - b * sample.log_wrong + m)
    _fill_points(found, curves, sample)
    _fill_steps(found, curves, sample)
    return np.clip(found, clip, 1 - clip)


def _fill_points(found: FloatArray, curves: Sequence[Curve], sample: Sample) -> None:
    """The values of cells whose curve is `Points`, all in one interpolation: each series is lifted above the last."""
    of = [(series, curve) for series, curve in enumerate(curves) if isinstance(curve, Points)]
    if not of:
        return
    x, lift = _lifted([curve.x for _, curve in of])
    ends = np.array([(curve.x[0], curve.x[-1]) for _, curve in of])
    cells, place = _cells_of([series for series, _ in of], sample)
    kept = np.clip(sample.confidence[cells], ends[place, 0], ends[place, 1])
    found[cells] = np.interp(kept + lift[place], x, np.concatenate([curve.y for _, curve in of]))


def _fill_steps(found: FloatArray, curves: Sequence[Curve], sample: Sample) -> None:
    """The values of cells whose curve is `Steps`, all in one search."""
    of = [(series, curve) for series, curve in enumerate(curves) if isinstance(curve, Steps)]
    if not of:
        return
    upto, lift = _lifted([curve.upto for _, curve in of])
    cells, place = _cells_of([series for series, _ in of], sample)
    steps = np.searchsorted(upto, sample.confidence[cells] + lift[place], side="left")
    # There is one value more than steps in every series before.
    found[cells] = np.concatenate([curve.y for _, curve in of])[steps + place]


def _lifted(ascending: Sequence[Sequence[float]]) -> tuple[FloatArray, FloatArray]:
    """Numbers in 0..1 of many series as one ascending row, and by how much each series was lifted for it."""
    lift = 2.0 * np.arange(len(ascending), dtype=np.float64)
    return np.asarray(np.concatenate(ascending) + np.repeat(lift, [len(each) for each in ascending])), lift


def _cells_of(series: Sequence[int], sample: Sample) -> tuple[Int64Array, Int64Array]:
    """The cells of some series, and which of these series each is of."""
    places = np.full(len(sample), -1)
    places[list(series)] = np.arange(len(series))
    cells = np.flatnonzero(places[sample.series] >= 0)
    return cells, places[sample.series[cells]]


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
