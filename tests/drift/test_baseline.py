"""A baseline holds what was accepted, says how sure it is, and is honest about the little that it knows."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.cells import cell_index
from monitor.calibration.sketch import sketch_of
from monitor.drift.bands import part_of
from monitor.drift.baseline import LIMITS, MIN_LABELS, Baseline, decoded, encoded, fit, known, stacked
from monitor.errors import NotEnoughData, Refused
from tests.calibration.streams import KINDS, confidences, stream

EVERYWHERE = np.concatenate([np.arange(601) / 600, [1e-9, 1 - 1e-9, 0.7499999, 0.8999999]])
PARTS = part_of(cell_index(EVERYWHERE))


def fitted(kind: str, n: int, seed: int, gap: float = 0.0) -> Baseline:
    return fit(sketch_of(*stream(kind, n, np.random.default_rng(seed), gap)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_the_mean_residual_of_every_band_is_what_the_baseline_says_it_is(kind: str, gap: float) -> None:
    c, y = stream(kind, 3000, np.random.default_rng(5), gap)
    found = fit(sketch_of(c, y))
    part = part_of(cell_index(c))
    residual = found.expected(c, part) - y
    by_band = [residual.sum(), *(residual[part == each].sum() for each in range(3))]
    assert found.residual == pytest.approx(by_band, abs=0.5)  # cells stand for the confidences within them
    assert np.abs(by_band).max() < 3000 * 0.002
    assert found.labels == (3000, *np.bincount(part, minlength=3))


def test_a_line_in_log_odds_is_found_again() -> None:
    rng = np.random.default_rng(2)
    c = rng.uniform(0.05, 0.95, 100_000)
    y = rng.random(len(c)) < 1 / (1 + np.exp(-(0.6 * np.log(c / (1 - c)) - 0.3)))
    found = fit(sketch_of(c, y.astype(float)))
    assert (found.slope, found.intercept) == pytest.approx((0.6, -0.3), abs=0.03)
    assert max(map(abs, found.shift)) < 0.01


@pytest.mark.parametrize("n", [200, 1000, 5000])
def test_the_standard_error_is_the_spread_of_the_band_over_many_baselines(n: int) -> None:
    """Each fit claims residual 0; the truth differs by the error that it states."""
    truth = np.random.default_rng(1)
    c, _ = stream("stated", 50_000, truth)
    part = part_of(cell_index(c))
    off = []
    for seed in range(60):
        found = fitted("stated", n, seed)
        residual = found.expected(c, part) - c
        off.append(residual[part == 2].mean() / found.standard_error[3])
    assert 0.7 < float(np.std(off)) < 1.35


@pytest.mark.parametrize("outcome", [0.0, 1.0])
@pytest.mark.parametrize("values", [[0.7], [1.0], [0.0], [0.0, 1.0], [0.2, 0.9, 1.0]])
def test_one_class_and_one_confidence_give_a_finite_uncertain_map(values: list[float], outcome: float) -> None:
    c = np.resize(values, 300)
    found = fit(sketch_of(c, np.full(300, outcome)))
    assert all(map(math.isfinite, (found.slope, found.intercept, *found.shift, *found.excess)))
    assert min(found.variance) > 0
    assert min(found.ratio_variance) > 0
    expected = found.expected(EVERYWHERE, PARTS)
    assert ((expected >= LIMITS[0]) & (expected <= LIMITS[1])).all()


def test_too_few_labels_are_named() -> None:
    with pytest.raises(NotEnoughData, match=f"{MIN_LABELS} mature labels: 1 more"):
        fitted("stated", MIN_LABELS - 1, 1)
    assert fitted("stated", MIN_LABELS, 1).labels[0] == MIN_LABELS
    with pytest.raises(NotEnoughData, match="500 mature labels: 100 more"):
        fit(sketch_of(*stream("stated", 400, np.random.default_rng(1))), 500)


@given(st.sampled_from(KINDS), st.integers(0, 1000))
def test_a_stored_baseline_comes_back_digit_for_digit(kind: str, seed: int) -> None:
    found = fitted(kind, 150, seed)
    assert decoded(encoded(found)) == found
    assert decoded(encoded(found).decode()) == found


def test_a_baseline_of_another_version_is_refused() -> None:
    with pytest.raises(Refused, match="version 1, got 2: fit it anew"):
        decoded(encoded(known()).replace(b'"version":1', b'"version":2'))
    with pytest.raises(Refused, match="version 1, got 7: fit it anew"):
        decoded(b'{"version": 7, "spline": [1, 2]}')
    with pytest.raises(Refused, match="not a stored baseline"):
        decoded(b'{"slope": "steep"}')


def test_the_known_baseline_expects_what_is_said() -> None:
    inside = (EVERYWHERE >= 0.005) & (EVERYWHERE <= 0.995)
    assert known().expected(EVERYWHERE, PARTS)[inside] == pytest.approx(EVERYWHERE[inside], abs=1e-12)


@given(
    st.floats(-3, 3),
    st.floats(-3, 3),
    st.tuples(*[st.floats(-0.3, 0.3)] * 3),
    st.lists(confidences, min_size=1, max_size=20),
)
def test_nothing_expected_lies_outside_the_bounds_of_its_part(
    slope: float, intercept: float, shift: tuple[float, float, float], c: list[float]
) -> None:
    four = (1.0, 1.0, 1.0, 1.0)
    both = stacked([known(), Baseline(slope, intercept, shift, four, four, four, known().excess, known().excess)])
    part = part_of(cell_index(c))
    expected = both.expected(np.array(c), np.ones(len(c), np.int64), part)
    assert (both.lowest[1, part] - 1e-12 <= expected).all()
    assert (expected <= both.highest[1, part] + 1e-12).all()
