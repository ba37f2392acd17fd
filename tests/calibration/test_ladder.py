"""The ladder: what lies above a threshold is a recount of the raw confidences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.bounds import DISTANCE_BOUNDS
from monitor.calibration.ladder import LADDER, above, exact_threshold, rungs_above, rungs_below
from monitor.calibration.sketch import sketch_of
from monitor.errors import BadInput
from tests.calibration.streams import KINDS, columns, pair_lists, sketched, stream

Pairs = list[tuple[float, float]]
thresholds = st.one_of(
    st.integers(0, 600).map(lambda j: j / 600),
    st.sampled_from(DISTANCE_BOUNDS).map(lambda bound: 1 - bound),
    st.floats(0, 1),
)


@given(pair_lists, thresholds)
def test_above_a_threshold_lie_the_confidences_that_reach_it(pairs: Pairs, asked: float) -> None:
    threshold = exact_threshold(asked)
    c, y = columns(pairs)
    inside = (c >= threshold) | (np.round(c * 600) / 600 >= threshold) & (np.abs(np.round(c * 600) / 600 - c) <= 1e-9)
    edge = np.abs(c - threshold) < 1e-12  # between two neighbouring floats either side is right
    found = above(sketched(pairs), threshold)
    assert int((inside & ~edge).sum()) <= found.n[0] <= int((inside | edge).sum())
    assert found.n[0] == found.n_pred[0]
    if not edge.any():
        assert found.right[0] == pytest.approx(y[inside].sum(), abs=1e-6)


@given(st.floats(0, 1))
def test_an_exact_threshold_is_its_own_and_is_near(asked: float) -> None:
    exact = exact_threshold(asked)
    assert exact_threshold(exact) == exact
    assert 0 <= exact <= 1
    assert abs(exact - asked) <= 1 / 1200 + 1e-9
    if 599 / 600 < asked < 1 - 1e-9:
        assert (1 - exact) / (1 - asked) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("asked", [-0.01, 1.01, float("nan")])
def test_a_threshold_outside_0_to_1_is_refused(asked: float) -> None:
    with pytest.raises(BadInput, match=r"must be in 0\.\.1"):
        exact_threshold(asked)


def test_the_ladder_descends_and_every_step_can_be_cut_exactly() -> None:
    assert list(LADDER) == sorted(set(LADDER), reverse=True)
    assert [exact_threshold(step) for step in LADDER] == list(LADDER)
    assert LADDER[-1] == 0
    assert 0.95 in LADDER


@pytest.mark.parametrize("kind", KINDS)
def test_both_sides_of_every_step_make_up_the_whole(kind: str) -> None:
    c, y = stream(kind, 500, np.random.default_rng(2))
    sketch = sketch_of(c, np.where(np.arange(500) % 3, y, np.nan))
    over, under = rungs_above(sketch, 1.0), rungs_below(sketch, 1.0)
    for name in ("n_pred", "n", "right"):
        sums = getattr(over, name) + getattr(under, name)[::-1]
        assert np.ptp(sums) < 1e-9
    assert over.n_pred[-1] == 500
