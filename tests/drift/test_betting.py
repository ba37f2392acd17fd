"""Bets against the baseline: no expected gain as long as it holds, whatever the outcomes and the order of labels."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from scipy.stats import binom

from monitor.calibration.cells import cell_index
from monitor.calibration.sketch import sketch_of
from monitor.drift.bands import part_of
from monitor.drift.baseline import Baselines, fit, known, stacked
from monitor.drift.betting import BAND_SHARES, MOST, SHIFTS, Bets, bets, evidence, stakes
from tests.calibration.streams import confidences, outcomes, some_pairs
from tests.drift.feeding import Floats, Pairs, labels_of

NOTHING = np.zeros((1, 4, 2))
LOWER, UPPER = {0: 0.0, 1: 0.75, 2: 0.9}, {0: 0.74, 1: 0.89, 2: 1.0}


def bet(baselines: Baselines, pairs: Pairs, tolerance: float = 0.0, grown: Floats = NOTHING) -> Bets:
    labels = labels_of(pairs)
    expected = baselines.expected(labels.position, labels.series, labels.part)
    return bets(baselines, grown, labels, expected, tolerance)


def factors(baselines: Baselines, pairs: Pairs, tolerance: float = 0.0, grown: Floats = NOTHING) -> Floats:
    """(4, 2, 4)"""
    return np.asarray(np.exp(bet(baselines, pairs, tolerance, grown).log_factor[0]))


@st.composite
def one_part(draw: st.DrawFn) -> tuple[int, Floats, Floats]:
    """A part, some confidences in it, and how often each comes."""
    part = draw(st.integers(0, 2))
    inside = st.floats(LOWER[part], UPPER[part]) | st.sampled_from((LOWER[part], UPPER[part]))
    c = draw(st.lists(inside, min_size=1, max_size=5))
    weight = draw(st.lists(st.floats(0.01, 1), min_size=len(c), max_size=len(c)))
    return part, np.array(c), np.array(weight) / sum(weight)


@given(one_part(), st.floats(-0.5, 1.5), st.floats(-0.5, 0.5), st.floats(0, 0.1), st.data())
def test_no_bet_gains_on_average_while_the_mean_residual_of_its_part_is_within_the_tolerance(
    cells: tuple[int, Floats, Floats], slope: float, intercept: float, tolerance: float, data: st.DataObject
) -> None:
    """Outcomes of single confidences may be anything; only their mean over the part is bounded."""
    part, c, weight = cells
    baselines = stacked([structs.replace(known(slope, intercept), shift=(0.05, 0.0, -0.05))])
    expected = baselines.expected(c, np.zeros(len(c), np.int64), part_of(cell_index(c)))
    chance = np.array(data.draw(st.lists(st.floats(0, 1), min_size=len(c), max_size=len(c))))
    if_right = np.stack([factors(baselines, [(each, 1.0)], tolerance) for each in c])
    if_wrong = np.stack([factors(baselines, [(each, 0.0)], tolerance) for each in c])
    for side, sign in enumerate((1, -1)):
        allowed = sign * float(weight @ (expected - chance)) <= tolerance
        mean = np.einsum("c,cbj->bj", weight * chance, if_right[:, :, side])
        mean = mean + np.einsum("c,cbj->bj", weight * (1 - chance), if_wrong[:, :, side])
        if allowed:
            assert (mean[[0, part + 1]] <= 1 + 1e-9).all()
        assert mean[[b for b in (1, 2, 3) if b != part + 1]] == pytest.approx(1)


@given(confidences, outcomes, st.tuples(st.floats(-3, 3), st.floats(-3, 3)), st.floats(-0.4, 0.4), st.floats(0, 0.2))
def test_no_outcome_takes_more_than_its_share_of_a_bet(
    c: float, y: float, line: tuple[float, float], mean: float, tolerance: float
) -> None:
    grown = np.array([[[0.0, mean * known().labels[0]]] * 4])
    assert (factors(stacked([known(*line)]), [(c, y)], tolerance, grown) >= 1 - MOST - 1e-9).all()


def test_stakes_are_the_wanted_ones_wherever_no_outcome_could_ruin_them() -> None:
    zeros = np.zeros((1, 3))
    baselines = stacked([known(variance=(0.1, 0.2, 0.15, 0.05))])
    stake = stakes(baselines, zeros + 1e12, zeros, zeros, zeros)
    assert stake[0, 1, 0, :2] == pytest.approx(np.array(SHIFTS[:2]) / 0.15)
    assert stake[0, 2, 1].max() == pytest.approx(MOST / 0.995)
    as_many = stakes(baselines, zeros + 500, zeros, zeros, zeros + 500)
    assert as_many[0, 1, 0, :2] == pytest.approx(np.array(SHIFTS[:2]) / 0.15 / 2)  # best where the mean is that unsure


@pytest.mark.parametrize(("n", "held"), [(5, 60), (40, 150), (200, 1000), (400, 400)])
def test_a_mean_known_only_up_to_its_error_gives_no_expected_gain_either(n: int, held: int) -> None:
    """Averaged over the normal error of the mean residual and over the n outcomes of a pane."""
    labels = (3.0 * held, float(held), float(held), float(held))
    baselines = stacked([structs.replace(known(variance=(0.1, 0.25, 0.12, 0.16)), labels=labels)])
    k = np.arange(n + 1)
    by_right = [factors(baselines, [(0.8, 1.0)] * int(r) + [(0.8, 0.0)] * int(n - r))[2] for r in k]
    error, step = np.linspace(-5, 5, 201, retstep=True)
    density = np.exp(-(error**2) / 2) / np.sqrt(2 * np.pi) * step
    mean = np.zeros((2, 4))
    for z, share in zip(error, density, strict=True):
        chance = float(np.clip(0.8 + z * (0.12 / held) ** 0.5, 0, 1))
        mean += share * np.einsum("k,kij->ij", binom.pmf(k, n, chance), np.stack(by_right))
    assert (mean <= 1.0005).all()
    assert mean.max() > 0.3  # the error is divided off, not all of the gain


@given(some_pairs, st.randoms(use_true_random=False))
def test_the_order_of_labels_changes_no_digit(pairs: Pairs, random: Random) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    baselines = stacked([known()])
    assert np.array_equal(factors(baselines, pairs), factors(baselines, shuffled))


@given(confidences, st.floats(0, 1))
def test_a_fraction_gains_no_more_than_the_bet_on_the_fraction_itself(c: float, y: float) -> None:
    baselines = stacked([known()])
    right, wrong = factors(baselines, [(c, 1.0)]), factors(baselines, [(c, 0.0)])
    assert (factors(baselines, [(c, y)]) <= y * right + (1 - y) * wrong + 1e-6).all()


@given(some_pairs, st.floats(-2, 2), st.floats(-1, 1))
def test_expecting_and_seeing_the_opposite_swaps_the_sides(pairs: Pairs, slope: float, intercept: float) -> None:
    opposite = [(c, 1 - y) for c, y in pairs]
    one = bet(stacked([known(slope, intercept)]), pairs, 0.01)
    other = bet(stacked([known(-slope, -intercept)]), opposite, 0.01)
    assert one.log_factor == pytest.approx(other.log_factor[:, :, ::-1], abs=1e-6)
    assert one.residual == pytest.approx(-other.residual, abs=1e-6)


@given(some_pairs, some_pairs)
def test_the_gain_of_a_pane_is_the_product_of_the_gains_of_its_labels(early: Pairs, late: Pairs) -> None:
    """Grid confidences only: within an open cell labels stand at their mean."""
    snap = [[(round(c * 600) / 600, y) for c, y in pairs] for pairs in (early, late)]
    baselines = stacked([known()])
    apart = factors(baselines, snap[0]) * factors(baselines, snap[1])
    assert factors(baselines, [*snap[0], *snap[1]]) == pytest.approx(apart, rel=1e-6)


def test_a_large_tolerance_counts_only_beyond_two_standard_errors_of_the_baseline() -> None:
    rng = np.random.default_rng(1)
    c = rng.choice([0.6, 0.8, 0.95], 2000)
    fitted = fit(sketch_of(c, (rng.random(2000) < c).astype(float)))
    pane = [(0.8, 0.0), (0.8, 1.0)]
    assert 2 * fitted.standard_error[2] > 0.02
    assert np.array_equal(factors(stacked([fitted]), pane, 0.02), factors(stacked([fitted]), pane, 0.0))
    assert (factors(stacked([fitted]), pane, 0.1)[2] < factors(stacked([fitted]), pane, 0.0)[2]).all()


def test_half_of_the_evidence_is_for_all_bands_together() -> None:
    assert sum(BAND_SHARES) == pytest.approx(1)
    m = np.ones((2, 4, 2, 4))
    m[0, 0], m[1, 3] = 100.0, 100.0
    assert np.exp(evidence(np.log(m))) == pytest.approx([(100 + 1) / 2, (100 + 5) / 6])
