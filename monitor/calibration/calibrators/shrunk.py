"""Platt's map shrunk towards those of the other segments: empirical Bayes (Efron & Morris 1975).

Slopes and intercepts of the segments are taken as drawn from one normal distribution, which is learnt from all of
them. A segment with few labels takes its centre, one with many keeps its own fit.
"""

from typing import Final

import numpy as np

from monitor.calibration.calibrators.curves import LogOdds
from monitor.calibration.calibrators.logistic import Found, rising_line
from monitor.calibration.calibrators.newton import Prior
from monitor.calibration.calibrators.sample import Sample
from monitor.calibration.cells import FloatArray
from monitor.calibration.odds import sigmoid

IDENTITY: Final = (1.0, 0.0)
"""Slope and intercept of a calibrated segment: where the centre lies as long as nothing is known."""
SPREAD: Final = (0.3, 0.5)
"""Standard deviations of slopes and intercepts between segments, as long as nothing is known."""
ALIKE: Final = 4.0
"""So many segments the spread above counts for, and one the centre, in what is learnt."""
_ROUNDS: Final = 3
_UPDATES: Final = 40
_TOLERANCE: Final = 1e-4
"""Of the centre: far below what the labels of a hundred thousand segments tell about it."""


def prior_of(sample: Sample) -> Prior:
    """The distribution of slope and intercept over the segments, the most likely one given all their labels.

    Expectation-maximisation (Dempster et al. 1977) with the likelihood of each segment taken as normal about its fit,
    which is found anew a few times. A weak prior holds where segments are few: one alone is shrunk towards identity.
    """
    prior = Prior(np.asarray(IDENTITY), np.diag(1 / np.square(SPREAD)))
    start: FloatArray | None = None
    for _ in range(_ROUNDS):
        fit = rising_line(sample, prior, start)
        start = fit.coefficients
        # Not the pull of the prior, which is the same only of a fit that no bound stopped: along what labels of one
        # confidence do not tell, a falling one would drive the centre without end.
        mode = np.einsum("skl,sl->sk", fit.information, start) + _gradient(sample, start)
        for _ in range(_UPDATES):
            before, prior = prior.centre, _learnt(fit.information, mode, prior)
            if np.abs(prior.centre - before).max() < _TOLERANCE:
                break
    return prior


def _gradient(sample: Sample, line: FloatArray) -> FloatArray:
    """(S, 2) of the log likelihood in the slope and the intercept of each segment's line (S, 2)."""
    slope, intercept = line[sample.series].T
    surprise = sample.right - sample.n * sigmoid(slope * sample.odds + intercept)
    return np.column_stack([sample.total(surprise * sample.odds), sample.total(surprise)])


def _learnt(information: FloatArray, mode: FloatArray, prior: Prior) -> Prior:
    """One step of expectation-maximisation: `mode` (S, k) is the information times where the likelihood is highest."""
    covariance = _inverse(information + prior.precision)
    mean = np.einsum("skl,sl->sk", covariance, mode + prior.precision @ prior.centre)
    segments = len(mean)
    known = np.asarray(IDENTITY)
    centre = (mean.sum(axis=0) + known) / (segments + 1)
    away = mean - centre
    scatter = away.T @ away + covariance.sum(axis=0) + np.outer(centre - known, centre - known)
    spread = (scatter + ALIKE * np.diag(np.square(SPREAD))) / (segments + 1 + ALIKE)
    return Prior(centre, np.linalg.inv(spread))


def _inverse(matrices: FloatArray) -> FloatArray:
    """Of symmetric (S, 2, 2), in closed form: many times faster than the general way."""
    (a, b), (_, d) = np.moveaxis(matrices, 0, -1)
    return np.moveaxis(np.array([[d, -b], [-b, a]]) / (a * d - b * b), -1, 0)


def shrunk_platt(sample: Sample, prior: Prior | None = None) -> Found:
    """Slope and intercept of each segment, shrunk; `prior` where it was learnt before. Every segment has a map."""
    slope, intercept = rising_line(sample, prior or prior_of(sample)).coefficients.T
    return [LogOdds(a, a, m) for a, m in zip(slope.tolist(), intercept.tolist(), strict=True)]
