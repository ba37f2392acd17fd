"""Likelihood ratios: exact for a known baseline, without expected gain over the error of a fitted one."""

import math

import numpy as np
import pytest
from hypothesis import given
from msgspec import structs
from scipy.stats import binom

from monitor.calibration.sketch import sketch_of
from monitor.drift.baseline import Baseline, fit, known, stacked
from monitor.drift.ratio import ALTERNATIVES
from monitor.drift.ratios import Ratios, ratios
from tests.calibration.streams import some_pairs
from tests.drift.feeding import VALUES, Floats, Pairs, drawn, labels_of


def found(baseline: Baseline, pairs: Pairs, fed: float = 0.0, excess: Floats | None = None) -> Ratios:
    both, labels = stacked([baseline]), labels_of(pairs)
    expected = both.expected(labels.position, labels.series, labels.part)
    before = np.zeros((1, len(ALTERNATIVES))) if excess is None else excess
    return ratios(both, np.array([fed]), before, labels, expected)


def by_hand(baseline: Baseline, pairs: Pairs) -> Floats:
    """(labels, 12) the ratio of every label."""
    rows = []
    for c, y in pairs:
        odds = baseline.slope * math.log(c / (1 - c)) + baseline.intercept
        p = 1 / (1 + math.exp(-odds))
        q = [1 / (1 + math.exp(-(slope * odds + intercept))) for slope, intercept in ALTERNATIVES]
        rows.append([each / p if y else (1 - each) / (1 - p) for each in q])
    return np.array(rows)


@given(some_pairs)
def test_the_ratio_against_a_known_baseline_is_that_of_bernoulli_outcomes(pairs: Pairs) -> None:
    pairs = [(min(max(round(c * 600) / 600, 0.01), 0.99), float(y > 0.5)) for c, y in pairs]
    ratio = by_hand(known(0.8, 0.2), pairs)
    assert found(known(0.8, 0.2), pairs).log_factor[0] == pytest.approx(np.log(ratio).sum(axis=0), abs=1e-6)
    assert found(known(0.8, 0.2), pairs).excess[0] == pytest.approx((ratio - 1).sum(axis=0), abs=1e-6)


def test_a_fraction_gains_no_more_than_the_mixture_of_both_outcomes() -> None:
    right, wrong, half = (np.exp(found(known(), [(0.9, y)]).log_factor[0]) for y in (1.0, 0.0, 0.5))
    assert (half <= (right + wrong) / 2 + 1e-9).all()


def test_the_mean_ratio_of_the_baseline_is_divided_off() -> None:
    """A baseline on which a ratio was 1.1 on average expects 1.1 of it."""
    certain = known()
    tilted = structs.replace(certain, excess=(0.1 * certain.labels[0],) * len(ALTERNATIVES))
    plain = found(certain, [(0.8, 1.0)] * 3).log_factor
    assert found(tilted, [(0.8, 1.0)] * 3).log_factor == pytest.approx(plain - 3 * math.log(1.1))


def test_panes_fed_count_like_labels_of_the_baseline() -> None:
    rng = np.random.default_rng(3)
    before, pane, later = drawn(rng, 400, VALUES), drawn(rng, 100, VALUES), drawn(rng, 20, VALUES)
    baseline = fit(sketch_of(*np.array(before).T))
    added = found(baseline, pane)
    excess = tuple((np.array(baseline.excess) + added.excess[0]).tolist())
    grown = structs.replace(baseline, labels=(500.0, *baseline.labels[1:]), excess=excess)
    assert found(grown, later).log_factor == pytest.approx(found(baseline, later, 100.0, added.excess).log_factor)


@pytest.mark.parametrize(("n", "labels"), [(20, 300), (150, 600)])
def test_a_mean_known_only_up_to_its_error_gives_no_expected_gain(n: int, labels: int) -> None:
    """One confidence, so that the error of the chance is all there is; averaged over it and over the outcomes."""
    rows = [(0.8, 1.0)] * round(0.8 * labels) + [(0.8, 0.0)] * (labels - round(0.8 * labels))
    baseline = fit(sketch_of(*np.array(rows).T))
    k = np.arange(n + 1)
    gains = np.exp([found(baseline, [(0.8, 1.0)] * int(r) + [(0.8, 0.0)] * int(n - r)).log_factor[0] for r in k])
    error, step = np.linspace(-5, 5, 201, retstep=True)
    mean = np.zeros(len(ALTERNATIVES))
    for z, share in zip(error, np.exp(-(error**2) / 2) / np.sqrt(2 * np.pi) * step, strict=True):
        chance = float(np.clip(0.8 + z * (0.16 / labels) ** 0.5, 0, 1))
        mean += share * (binom.pmf(k, n, chance) @ gains)
    assert (mean <= 1.001).all()
    assert mean.max() > 0.3
