"""The warning without labels: bets that no division of the predictions favours, and stories of traffic that changes."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.confidences import FEATURES, STAKES, begun, log_factors, step, sums
from monitor.calibration.sketch import Sketch, merge, sketch_of
from tests.calibration.streams import KINDS, Floats, stream

some = st.lists(st.integers(0, 600).map(lambda j: j / 600), min_size=1, max_size=8)


def unlabelled(c: Floats | list[float]) -> Sketch:
    return sketch_of(c, np.full(len(c), np.nan))


def sums_of(*rows: Floats | list[float]) -> Floats:
    return sums([unlabelled(row) for row in rows])


# --- Laws


@given(st.lists(st.integers(0, 600).map(lambda j: j / 600), min_size=2, max_size=7), st.data())
@settings(max_examples=60)
def test_over_all_divisions_a_factor_has_a_mean_of_at_most_1(values: list[float], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(values) - 1))
    chosen = [set(each) for each in combinations(range(len(values)), size)]
    pane = sums_of(*([values[place] for place in sorted(each)] for each in chosen))
    rest = [[value for place, value in enumerate(values) if place not in each] for each in chosen]
    factors = np.exp(log_factors(sums_of(*rest), pane))
    assert (factors.mean(axis=0) <= 1 + 1e-9).all()


def test_over_all_divisions_in_three_a_product_has_a_mean_of_at_most_1_and_near_it() -> None:
    values = [0.3, 0.5, 0.7, 0.75, 0.8, 0.9, 0.9, 1.0]
    products = []
    for first in combinations(range(8), 4):
        for second in combinations([place for place in range(8) if place not in first], 2):
            third = [place for place in range(8) if place not in first + second]
            reference, pane, last = (sums_of([values[at] for at in part]) for part in (first, second, third))
            products.append(np.exp(log_factors(reference, pane) + log_factors(reference + pane, last))[0])
    mean = np.mean(products, axis=0)
    assert (mean <= 1).all()
    assert (mean[..., :2] > 0.9).all()


@given(some, some, st.lists(st.sampled_from((0.0, 1.0)), min_size=8, max_size=8))
def test_sums_add_up_and_know_no_labels(first: list[float], second: list[float], outcomes: list[float]) -> None:
    together = sums([merge(unlabelled(first), unlabelled(second))])
    assert together == pytest.approx(sums_of(first) + sums_of(second))
    assert sums([sketch_of(first, outcomes[: len(first)])]) == pytest.approx(sums_of(first))
    n, total, *exponentials = sums_of(first)[0, 0]
    assert (n, total) == pytest.approx((len(first), sum(first)))
    assert exponentials == pytest.approx([np.exp(stake * np.array(first)).sum() for stake in STAKES.ravel()])


@given(some, some)
def test_upwards_in_the_confidence_is_downwards_in_the_doubt(reference: list[float], pane: list[float]) -> None:
    there = log_factors(sums_of(reference), sums_of(pane))
    back = log_factors(sums_of([1 - c for c in reference]), sums_of([1 - c for c in pane]))
    assert there[0, 0] == pytest.approx(back[0, 0, ::-1], abs=1e-9)


@given(some, some)
def test_neighbours_change_nothing(first: list[float], second: list[float]) -> None:
    alpha = np.full(2, 0.3)
    together = step(begun(sums_of(first, second)), sums_of(second, first), alpha)
    alone = step(begun(sums_of(first)), sums_of(second), alpha[:1])
    assert together.log_value[0] == alone.log_value[0]
    assert together.state.held[0] == pytest.approx(alone.state.held[0], abs=0)


def test_where_nothing_varies_nothing_is_won_or_lost() -> None:
    assert log_factors(sums_of([0.8] * 50), sums_of([0.8] * 20)) == pytest.approx(0, abs=1e-9)


# --- Stories


def fed(reference: Floats, panes: list[Floats], alpha: float) -> list[tuple[int, str, int]]:
    """The panes that warned, with feature and sign; one series."""
    state, warned = begun(sums_of(reference)), []
    for number, pane in enumerate(panes):
        found = step(state, sums_of(pane), np.array([alpha]))
        state = found.state
        if found.warned[0]:
            warned.append((number, FEATURES[found.feature[0]], int(found.sign[0])))
            assert found.log_value[0] >= -np.log(alpha)
            assert (state.held == 0).all()
    return warned


@pytest.mark.parametrize("sign", [1, -1])
def test_confidences_that_all_move_warn_with_their_side(sign: int) -> None:
    rng = np.random.default_rng(1)
    moved = [np.clip(rng.beta(8, 3, 50) + sign * 0.05, 0, 1) for _ in range(20)]
    panes = [rng.beta(8, 3, 50) for _ in range(40)] + moved
    warned = fed(rng.beta(8, 3, 1_000), panes, 1e-3)
    assert 40 <= warned[0][0] <= 52
    assert warned[0][2] == sign or warned[0][1] == "low"


def test_confidences_that_spread_around_the_same_mean_warn_by_their_share_of_low_or_high_ones() -> None:
    rng = np.random.default_rng(2)
    spread = [rng.choice([0.7, 0.95], 50, p=[0.4, 0.6]) for _ in range(20)]
    panes = [rng.choice([0.8, 0.9], 50, p=[0.5, 0.5]) for _ in range(40)] + spread
    warned = fed(rng.choice([0.8, 0.9], 1_000), panes, 1e-3)
    assert 40 <= warned[0][0] <= 50
    assert warned[0][1:] in (("low", 1), ("high", 1))


def test_a_rate_of_0_never_warns() -> None:
    assert not fed(np.full(100, 0.8), [np.full(50, 0.3)] * 3 + [np.full(50, 0.9)] * 3, 0.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reference", [100, 1_000])
def test_where_nothing_changes_no_more_warnings_come_than_promised(kind: str, reference: int) -> None:
    rng = np.random.default_rng(reference)
    series, panes, alpha = 30, 60, 0.02
    state = begun(sums_of(*stream(kind, series * reference, rng)[0].reshape(series, -1)))
    warnings = 0
    for _ in range(panes):
        found = step(state, sums_of(*stream(kind, series * 30, rng)[0].reshape(series, -1)), np.full(series, alpha))
        state, warnings = found.state, warnings + int(found.warned.sum())
    assert 0 < warnings <= alpha * series * panes


def test_a_shift_is_seen_the_sooner_the_larger_it_is() -> None:
    rng = np.random.default_rng(5)
    delays = []
    for size in (0.02, 0.05, 0.1):
        panes = [np.clip(rng.normal(0.7, 0.1, 50) - size, 0, 1) for _ in range(80)]
        delays.append(fed(np.clip(rng.normal(0.7, 0.1, 2_000), 0, 1), panes, 1e-4)[0][0])
    assert delays[0] > delays[1] > delays[2]
