"""One number a year, shared out over the series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift.budget import MOST_UPDATES, UNKNOWN_SHARE, alphas

rates = st.lists(st.none() | st.floats(0, MOST_UPDATES), min_size=1, max_size=30)


@given(st.floats(0, 1000), rates)
def test_the_sum_of_alpha_times_updates_stays_within_the_budget(budget: float, updates: list[float | None]) -> None:
    """Whatever the true rates of the unknown series turn out to be."""
    found = alphas(budget, updates)
    worst = [MOST_UPDATES if rate is None else rate for rate in updates]
    assert float(found @ worst) <= budget * (1 + 1e-9)
    assert ((found >= 0) & (found <= 1)).all()


def test_the_whole_budget_is_used() -> None:
    assert float(alphas(12, [365.0] * 100) @ np.full(100, 365.0)) == pytest.approx(12)
    assert alphas(12, [365.0, 3650.0]).tolist() == pytest.approx([12 / 4015] * 2)
    mixed = alphas(10, [1000.0, None, None])
    assert mixed[0] * 1000 == pytest.approx(10 * (1 - UNKNOWN_SHARE))
    assert mixed[1:] * MOST_UPDATES == pytest.approx(10 * UNKNOWN_SHARE / 2)
    assert alphas(10, [None])[0] * MOST_UPDATES == pytest.approx(10)


def test_a_series_that_is_never_fed_costs_nothing() -> None:
    assert alphas(1, [0.0, 0.0]).tolist() == [0, 0]
    assert alphas(5, []).tolist() == []


def test_a_generous_budget_cannot_exceed_an_alarm_each_pane() -> None:
    assert alphas(100, [10.0]).tolist() == [1.0]


@pytest.mark.parametrize(("budget", "rate"), [(-1, 1.0), (1, -1.0), (1, MOST_UPDATES + 1)])
def test_impossible_rates_are_refused(budget: float, rate: float) -> None:
    with pytest.raises(ValueError, match="a budget is 0 or more"):
        alphas(budget, [rate])
