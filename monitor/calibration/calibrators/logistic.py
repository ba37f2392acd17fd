"""Maps that are logistic in the log of the confidence: temperature, Platt's, beta."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from monitor.calibration.calibrators.curves import Curve, LogOdds
from monitor.calibration.calibrators.newton import Fit, Prior, fitted, ridge
from monitor.calibration.calibrators.sample import Sample
from monitor.calibration.cells import FloatArray

ONE_CLASS: Final = "one class only: it takes right and wrong answers"
ONE_CONFIDENCE: Final = "one confidence only: it takes two"
NOT_RISING: Final = "higher confidence was not more often right, so no rising map helps"

Found = list[Curve | str]
"""A map for each series, or why there is none."""


def temperature(sample: Sample) -> Found:
    """One slope on the log odds, the inverse of the temperature (Guo et al. 2017); never below 0."""
    fit = fitted(sample, [sample.odds], ridge([1.0]))
    slope = np.maximum(fit.coefficients[:, 0], 0.0)
    return _found(sample, np.stack([slope, slope, np.zeros(len(sample))], axis=1), two_confidences=False)


def platt(sample: Sample) -> Found:
    """Slope and intercept on the log odds (Platt 1999, Cox 1958); a slope below 0 is none."""
    slope, intercept = rising_line(sample, ridge([1.0, 0.0])).coefficients.T
    return _found(sample, np.stack([slope, slope, intercept], axis=1), two_confidences=True)


def beta(sample: Sample) -> Found:
    """Slopes of its own for ln c and -ln(1 - c), and an intercept (Kull et al. 2017).

    A slope that comes out below 0 is set to 0 and the others fitted again.
    """
    features = [sample.log_right, -sample.log_wrong, sample.ones]
    prior = ridge([1.0, 1.0, 0.0])
    return _found(sample, _not_falling(sample, features, prior, slopes=2).coefficients, two_confidences=True)


def rising_line(sample: Sample, prior: Prior, start: FloatArray | None = None) -> Fit:
    """(S, 2) slope and intercept on the log odds; a slope that comes out below 0 is set to 0."""
    return _not_falling(sample, [sample.odds, sample.ones], prior, slopes=1, start=start)


def _not_falling(
    sample: Sample, features: Sequence[FloatArray], prior: Prior, *, slopes: int, start: FloatArray | None = None
) -> Fit:
    """The fit with as many of the first coefficients set to 0 as come out below it, the lowest first."""
    fit = fitted(sample, features, prior, start=start)
    free = np.ones(fit.coefficients.shape, dtype=bool)
    for _ in range(slopes):
        lowest = fit.coefficients[:, :slopes].argmin(axis=1)
        falling = np.take_along_axis(fit.coefficients, lowest[:, None], axis=1)[:, 0] < 0
        if not falling.any():
            break
        free[falling, lowest[falling]] = False
        again = fitted(_chosen(sample, falling), _of(features, falling[sample.series]), prior, free=free[falling])
        fit.coefficients[falling] = again.coefficients
        fit.information[falling] = again.information
    return fit


def _chosen(sample: Sample, series: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Sample:
    return sample if series.all() else sample.only(series)


def _of(features: Sequence[FloatArray], cells: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[FloatArray]:
    return [feature[cells] for feature in features]


def _found(sample: Sample, coefficients: FloatArray, *, two_confidences: bool) -> Found:
    return [
        reason or LogOdds(a, b, m)
        for reason, (a, b, m) in zip(
            reasons(sample, coefficients[:, :2].max(axis=1), two_confidences=two_confidences),
            coefficients.tolist(),
            strict=True,
        )
    ]


def reasons(sample: Sample, rise: FloatArray, *, two_confidences: bool) -> list[str]:
    """Why each series has no map, "" where it has one: `rise` (S,) is above 0 where its map rises."""
    said = np.full(len(sample), "", dtype=object)
    said[rise <= 0] = NOT_RISING
    if two_confidences:
        last = np.append(sample.starts[1:], len(sample.series)) - 1
        said[sample.confidence[last] == sample.confidence[sample.starts]] = ONE_CONFIDENCE
    said[(sample.rate <= 0) | (sample.rate >= 1)] = ONE_CLASS
    return [str(each) for each in said]
