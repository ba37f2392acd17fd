"""Spot checks: the share is kept, estimates are unbiased whatever the strata, and these are used where they help."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from monitor.errors import BadInput
from monitor.review.strata import EDGES, FEWEST, MOST, WORTH, Stratum, allocation

BOUNDS = (0.0, *EDGES, 1.0)


@st.composite
def populations(draw: st.DrawFn) -> list[Stratum]:
    found = []
    for low, high in pairwise(BOUNDS):
        n = draw(st.integers(0, 10_000))
        labelled = draw(st.integers(0, n))
        found.append(Stratum(low, high, n, labelled, draw(st.floats(0, 1)) * labelled))
    assume(sum(each.n for each in found))
    return found


shares = st.floats(0.001, 1)


@given(populations(), shares)
def test_the_expected_number_of_checks_is_the_share_of_all(strata: list[Stratum], share: float) -> None:
    found = allocation(strata, share)
    n = sum(each.n for each in strata)
    drawn = sum(each.n * p for each, p in zip(strata, found.propensities, strict=True))
    assert drawn == pytest.approx(share * n, rel=1e-6)


@given(populations(), shares)
def test_every_prediction_keeps_a_chance_within_the_bounds(strata: list[Stratum], share: float) -> None:
    found = allocation(strata, share)
    for propensity in found.propensities:
        assert share * FEWEST * (1 - 1e-9) <= propensity <= min(1.0, share * MOST) * (1 + 1e-9)
    assert found.is_stratified == (len(set(found.propensities)) > 1)


def outcomes(seed: int) -> tuple[list[Stratum], list[np.typing.NDArray[np.float64]]]:
    """Strata of known size and accuracy, from one in which nothing is sure to one in which all but everything is."""
    rng = np.random.default_rng(seed)
    chances, sizes = (0.4, 0.6, 0.75, 0.9, 0.98, 0.995), (300, 300, 300, 600, 2000, 8000)
    truth = [(rng.random(n) < p).astype(float) for p, n in zip(chances, sizes, strict=True)]
    bounds = pairwise(BOUNDS)
    strata = [Stratum(low, high, len(y), len(y), float(y.sum())) for (low, high), y in zip(bounds, truth, strict=True)]
    return strata, truth


def estimates(propensities: tuple[float, ...], truth: list[np.typing.NDArray[np.float64]], n: int) -> list[float]:
    """Hajek estimates of the mean outcome from so many draws."""
    rng = np.random.default_rng(7)
    y, p = np.concatenate(truth), np.concatenate([np.full(len(t), q) for t, q in zip(truth, propensities, strict=True)])
    found = []
    for _ in range(n):
        drawn = rng.random(len(y)) < p
        found.append(float(np.sum(y[drawn] / p[drawn]) / np.sum(1 / p[drawn])))
    return found


def test_the_weighted_mean_of_the_answers_is_that_of_all_predictions() -> None:
    strata, truth = outcomes(1)
    found = allocation(strata, 0.1)
    assert found.is_stratified
    seen = estimates(found.propensities, truth, 3000)
    error = np.std(seen) / np.sqrt(len(seen))
    assert (
        abs(np.mean(seen) - np.concatenate(truth).mean()) < 4 * error + 1e-4
    )  # of a ratio, the bias is of order 1 / n


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_strata_that_are_used_leave_as_little_variance_as_was_promised(share: float) -> None:
    strata, truth = outcomes(2)
    found = allocation(strata, share)
    stratified, equal = (np.var(estimates(p, truth, 3000)) for p in (found.propensities, (share,) * 6))
    assert found.gain <= WORTH
    assert stratified / equal == pytest.approx(found.gain, rel=0.12)


def test_strata_that_are_sure_but_differ_are_looked_at_by_how_far_they_lie_from_the_whole() -> None:
    """Nothing varies within them: what an estimate varies by is how many of each are drawn."""
    strata = [Stratum(0, 0.5, 1000, 10**6, 0), Stratum(0.5, 1, 9000, 10**6, 10**6)]
    low, high = allocation(strata, 0.1).propensities
    assert low / high == pytest.approx(0.4 / ((1000 - 400) / 9000), rel=1e-6)  # at its bound; the rest for the other


def test_a_stratum_that_was_always_right_keeps_a_quarter_of_the_share() -> None:
    strata = [Stratum(0.5, 0.9, 100_000, 10**6, 0.95 * 10**6), Stratum(0.9, 1, 40_000, 10**6, 10**6)]
    unsure, sure = allocation(strata, 0.1).propensities
    assert sure == pytest.approx(0.1 * FEWEST)
    assert unsure == pytest.approx((14_000 - 40_000 * sure) / 100_000)


def test_where_all_strata_are_alike_one_share_serves_all() -> None:
    strata = [Stratum(low, high, 1000, 1000, 700) for low, high in pairwise(BOUNDS)]
    assert allocation(strata, 0.2).propensities == (0.2,) * 6


def test_without_labels_the_confidence_itself_says_where_to_look() -> None:
    sizes = (100, 100, 200, 400, 1000, 8000)
    strata = [Stratum(low, high, n) for low, high, n in zip(BOUNDS[:-1], BOUNDS[1:], sizes, strict=True)]
    found = allocation(strata, 0.1)
    assert found.propensities[0] > found.propensities[-1]


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(BadInput, match="share"):
        allocation([Stratum(0, 1, 10)], share)


def test_an_empty_period_has_the_share_for_all() -> None:
    assert allocation([Stratum(0, 0.5, 0), Stratum(0.5, 1, 0)], 0.3).propensities == (0.3, 0.3)
