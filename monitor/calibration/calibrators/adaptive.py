"""Adaptive temperature: how far confidences are stretched depends on numeric fields of the prediction.

A single temperature makes all confidences less extreme, or all more so. Where a model is over-confident on hard
questions and under-confident on easy ones, it can mend only one of both; a temperature that depends on difficulty
mends both with one map (compare Joy et al. 2023, where it depends on the features of a network).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from monitor.calibration.calibrators.curves import Adaptive, Field
from monitor.calibration.calibrators.logistic import ONE_CLASS
from monitor.calibration.calibrators.sample import Sample
from monitor.calibration.cells import FloatArray
from monitor.calibration.odds import sigmoid
from monitor.errors import NotEnoughData

PRECISION: Final = 1.0
"""Of the prior of a field's weight, for a field in standard deviations: e-fold changes of the slope are rare."""
_STEPS: Final = 100
_TOLERANCE: Final = 1e-9
_HALVES: Final = 40


def adaptive_temperature(sample: Sample, fields: Sequence[Mapping[str, float]]) -> Adaptive:
    """One map for all segments, from the fields (S,) of each: those that are known of every segment, and differ.

    Raises NotEnoughData without such a field, and when all answers are right, or all wrong.
    """
    if not 0 < sample.right.sum() < sample.n.sum():
        raise NotEnoughData(ONE_CLASS)
    names = sorted(set.intersection(*(set(each) for each in fields)))
    values = np.array([[each[name] for name in names] for each in fields]).reshape(len(fields), len(names))
    differ = values.min(axis=0) < values.max(axis=0) if names else np.zeros(0, dtype=bool)
    if not differ.any():
        raise NotEnoughData("no numeric field is known of every segment and differs between them")
    names, values = [name for name, kept in zip(names, differ, strict=True) if kept], values[:, differ]
    share = sample.labels / sample.labels.sum()
    centre = share @ values
    scale = np.sqrt(share @ (values - centre) ** 2)
    standard = np.column_stack([np.ones(len(fields)), (values - centre) / scale])
    weights = _fitted(sample, standard[sample.series])
    columns = (weights[1:], centre, scale, values.min(axis=0), values.max(axis=0))
    rows = zip(names, *(column.tolist() for column in columns), strict=True)
    return Adaptive(float(weights[0]), tuple(Field(*row) for row in rows))


def _fitted(sample: Sample, features: FloatArray) -> FloatArray:
    """(k,) weights of the features (t, k) in the log of the slope: scoring steps, halved until they help."""
    precision = np.diag([1e-3, *[PRECISION] * (features.shape[1] - 1)])
    weights = np.zeros(features.shape[1])
    least = _loss(sample, features, weights, precision)
    for _ in range(_STEPS):
        odds = np.exp(features @ weights) * sample.odds
        chance = sigmoid(odds)
        gradient = features.T @ ((sample.right - sample.n * chance) * odds) - precision @ weights
        seen = sample.n * chance * (1 - chance) * odds * odds
        step = np.linalg.solve((features * seen[:, None]).T @ features + precision, gradient)
        for _ in range(_HALVES):
            loss = _loss(sample, features, weights + step, precision)
            if loss <= least:
                break
            step /= 2
        else:
            return weights
        weights, least = weights + step, loss
        if np.abs(step).max() < _TOLERANCE:
            break
    return weights


def _loss(sample: Sample, features: FloatArray, weights: FloatArray, precision: FloatArray) -> float:
    odds = np.exp(np.minimum(features @ weights, 10.0)) * sample.odds
    misfit = sample.n * np.logaddexp(0.0, odds) - sample.right * odds
    return float(misfit.sum() + 0.5 * weights @ precision @ weights)
