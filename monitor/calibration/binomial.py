"""Bounds on a chance from independent trials: exact for counts, and from their sum where outcomes are fractions."""

import math
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from scipy.special import betaincinv

from monitor.calibration.cells import FloatArray

Bound: TypeAlias = Callable[[FloatArray, FloatArray, float], FloatArray]
"""Takes (k,) successes, (k,) trials and delta; gives (k,) lower bounds of the chance of success."""

_HALVINGS: Final = 60
"""Steps of a bisection: enough for the last digit of a float."""
MOST: Final = 10_000_000
"""Trials beyond which nobody asks how many more are needed."""


def lower_bound(right: FloatArray, n: FloatArray, delta: float) -> FloatArray:
    """(k,) the bound below which the chance of success lies with a chance of at most delta (Clopper & Pearson 1934).

    right (k,) successes of n (k,) trials; 0 where nothing succeeded, and where there are no trials. Exact for
    independent 0/1 trials of one chance each, looked at once.
    """
    k, misses = np.maximum(right, 1e-300), n - right
    return np.where(right > 0, betaincinv(k, misses + 1, delta), 0.0)


def upper_bound(right: FloatArray, n: FloatArray, delta: float) -> FloatArray:
    """(k,) the bound above which the chance of success lies with a chance of at most delta; 1 without trials."""
    return 1.0 - lower_bound(n - right, n, delta)


def lower_bound_of_fractions(total: FloatArray, n: FloatArray, delta: float) -> FloatArray:
    """(k,) as `lower_bound`, where each of n outcomes is any number in 0..1 and `total` is their sum.

    The bound m solves n KL(total / n, m) = ln(1 / delta) (Hoeffding 1963, theorem 1): valid for every independent
    outcome within 0..1, and wider than that of counts.
    """
    trials = np.maximum(n, 1.0)
    mean = np.minimum(total / trials, 1.0)
    low, high = np.zeros_like(mean), mean.copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        outside = trials * divergence(mean, middle) > -math.log(delta)
        low, high = np.where(outside, middle, low), np.where(outside, high, middle)
    return np.where(n > 0, low, 0.0)


def divergence(mean: FloatArray, chance: FloatArray) -> FloatArray:
    """(k,) the divergence of Kullback and Leibler of a coin of `mean` from one of `chance`, in nats."""
    inside = np.clip(chance, 1e-300, 1 - 1e-16)
    with np.errstate(divide="ignore", invalid="ignore"):
        heads = np.where(mean > 0, mean * np.log(mean / inside), 0.0)
        tails = np.where(mean < 1, (1 - mean) * np.log((1 - mean) / (1 - inside)), 0.0)
    return np.asarray(heads + tails)


def trials_needed(bound: Bound, target: float, delta: float, chance: float) -> int | None:
    """About how many trials show a chance of at least `target` when the true one is `chance`; None where it is no more.

    With so many the bound reaches the target in about every second case.
    """
    if chance <= target:
        return None
    return _first(lambda n: float(bound(np.array([chance * n]), np.array([n]), delta)[0]) >= target)


def trials_with_one_failure(bound: Bound, target: float, delta: float) -> int | None:
    """How many trials show a chance of at least `target`, in (0, 1), if all of them but one succeed."""
    return _first(lambda n: float(bound(np.array([n - 1]), np.array([n]), delta)[0]) >= target)


def _first(shows: Callable[[float], bool]) -> int | None:
    """The first n from 1 on that shows it, of a property that stays; None where it takes more than MOST."""
    high = 1
    while not shows(float(high)):
        high *= 2
        if high > MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(float(middle)) else (middle, high)
    return high
