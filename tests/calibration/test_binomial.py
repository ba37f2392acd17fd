"""Bounds of a chance: exact by plain sums of binomial chances, and how many trials it takes."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.binomial import (
    Bound,
    lower_bound,
    lower_bound_of_fractions,
    trials_needed,
    trials_with_one_failure,
    upper_bound,
)

deltas = st.sampled_from((0.01, 0.05, 0.1, 0.5))
counts = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def at(bound: Bound, right: float, n: float, delta: float) -> float:
    return float(bound(np.array([right], np.float64), np.array([n], np.float64), delta)[0])


def chance_of_at_least(right: int, n: int, chance: float) -> float:
    return sum(comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(right, n + 1))


@given(counts, deltas)
def test_at_the_lower_bound_as_many_successes_come_with_a_chance_of_delta(of: tuple[int, int], delta: float) -> None:
    right, n = of
    bound = at(lower_bound, right, n, delta)
    assert (bound == 0) == (right == 0)
    if right:
        assert chance_of_at_least(right, n, bound) == pytest.approx(delta, rel=1e-6)


@given(counts, deltas)
def test_the_upper_bound_mirrors_the_lower_one(of: tuple[int, int], delta: float) -> None:
    right, n = of
    assert at(upper_bound, right, n, delta) == pytest.approx(1 - at(lower_bound, n - right, n, delta), abs=1e-12)


@given(counts, deltas)
def test_the_bound_for_shares_is_never_above_that_for_counts(of: tuple[int, int], delta: float) -> None:
    right, n = of
    assert at(lower_bound_of_fractions, right, n, delta) <= at(lower_bound, right, n, delta) + 1e-9


@pytest.mark.parametrize("low", [0.0, 0.4])
def test_the_bound_for_shares_holds_the_mean_of_outcomes_that_are_shares(low: float) -> None:
    rng = np.random.default_rng(4)
    outcomes = np.where(rng.random((4000, 50)) < 0.7, 1.0, low)
    mean, bounds = 0.7 + 0.3 * low, lower_bound_of_fractions(outcomes.sum(axis=1), np.full(4000, 50.0), 0.1)
    assert float((bounds > mean).mean()) <= 0.1
    assert float(bounds.mean()) > mean - 0.2


def test_without_trials_nothing_is_known() -> None:
    for bound in (lower_bound, lower_bound_of_fractions):
        assert at(bound, 0, 0, 0.05) == 0
    assert at(upper_bound, 0, 0, 0.05) == 1


@given(st.sampled_from((0.5, 0.8, 0.9, 0.95)), deltas)
def test_with_one_failure_so_many_trials_show_the_target_and_one_less_does_not(target: float, delta: float) -> None:
    n = trials_with_one_failure(lower_bound, target, delta)
    assert n is not None
    assert chance_of_at_least(n - 1, n, target) <= delta + 1e-9
    assert n == 2 or chance_of_at_least(n - 2, n - 1, target) > delta


def test_the_nearer_the_chance_is_to_the_target_the_more_trials_it_takes_and_at_the_target_no_number_does() -> None:
    needed = [trials_needed(lower_bound, 0.9, 0.05, chance) for chance in (1.0, 0.97, 0.95, 0.93, 0.91)]
    assert needed[0] == 29  # 0.9 ** 29 is the first power below 0.05
    assert [each for each in needed if each is None] == []
    assert needed == sorted(needed, key=lambda each: each or 0)
    assert trials_needed(lower_bound, 0.9, 0.05, 0.9) is None
    assert trials_needed(lower_bound, 0.9, 0.05, 0.9 + 1e-9) is None
