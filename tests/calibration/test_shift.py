"""How far confidences moved: a distance that another route gives too, with bands that chance keeps to."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from monitor.calibration.cells import cell_index
from monitor.calibration.shift import NO_PREDICTIONS, Shift, place_of, shift
from monitor.calibration.sketch import Sketch, empty, merge, sketch_of
from tests.calibration.streams import KINDS, Floats, confidences, stream

some = st.lists(confidences, min_size=1, max_size=30)
atoms = st.lists(st.integers(0, 600).map(lambda j: j / 600), min_size=1, max_size=30)


def unlabelled(c: Floats | list[float]) -> Sketch:
    return sketch_of(c, np.full(len(c), np.nan))


def between(before: Floats | list[float], after: Floats | list[float], level: float = 0.95) -> Shift:
    return shift([unlabelled(before)], [unlabelled(after)], level)


def confidences_of(kind: str, n: int, rng: np.random.Generator) -> Floats:
    return stream(kind, n, rng)[0]


def harder(c: Floats, rng: np.random.Generator, by: float = 0.2) -> Floats:
    """A quarter of the traffic is less sure."""
    return np.where(rng.random(len(c)) < 0.25, np.clip(c - by, 0, 1), c)


# --- Laws


@given(some, some)
def test_the_distance_is_that_of_scipy_and_holds_the_change_of_the_mean(
    before: list[float], after: list[float]
) -> None:
    found = between(before, after)
    resolution = 1 / 600 + 1e-9  # half of it on either side
    assert found.distance.value[0] == pytest.approx(wasserstein_distance(before, after), abs=resolution)
    assert found.mean_change[0] == pytest.approx(np.mean(after) - np.mean(before), abs=resolution)
    assert abs(found.mean_change[0]) <= found.distance.value[0] + 1e-12


@given(atoms, atoms)
def test_between_atoms_the_distance_is_exact(before: list[float], after: list[float]) -> None:
    assert between(before, after).distance.value[0] == pytest.approx(wasserstein_distance(before, after), abs=1e-12)


@given(some, some, st.sampled_from((0.5, 0.9, 0.95)))
@example([0.0], [1.0], 0.9)
def test_the_interval_holds_its_value_and_the_band_is_in_order(
    before: list[float], after: list[float], level: float
) -> None:
    found = between(before, after, level)
    value, low, high = found.distance.value[0], found.distance.low[0], found.distance.high[0]
    assert 0 <= low <= value + 1e-12
    assert value <= high <= 1
    assert 0 <= found.null_low[0] <= found.null_high[0] <= 1
    inside = value <= found.null_high[0]
    assert low == 0 or not inside
    assert high >= found.null_high[0] - 1e-12 or not inside


@given(some, some)
def test_seen_backwards_only_the_sign_turns(before: list[float], after: list[float]) -> None:
    there, back = between(before, after), between(after, before)
    assert back.mean_change[0] == pytest.approx(-there.mean_change[0], abs=1e-12)
    for one, other in ((there.distance.value, back.distance.value), (there.null_high, back.null_high)):
        assert one[0] == pytest.approx(other[0], abs=1e-9)


@given(some, some, st.lists(st.sampled_from((0.0, 1.0)), min_size=30, max_size=30))
def test_labels_make_no_difference(before: list[float], after: list[float], outcomes: list[float]) -> None:
    labelled = shift([sketch_of(before, outcomes[: len(before)])], [unlabelled(after)], 0.9)
    plain = between(before, after, 0.9)
    assert labelled.distance.value[0] == plain.distance.value[0]
    assert labelled.distance.low[0] == plain.distance.low[0]
    assert labelled.null_high[0] == plain.null_high[0]


@given(some, some, some)
def test_neighbours_change_nothing(first: list[float], second: list[float], third: list[float]) -> None:
    together = shift([unlabelled(first), unlabelled(second)], [unlabelled(third), unlabelled(first)], 0.9)
    for place, alone in enumerate((between(first, third, 0.9), between(second, first, 0.9))):
        assert together.distance.high[place] == pytest.approx(alone.distance.high[0], abs=1e-12)
        assert together.null_high[place] == pytest.approx(alone.null_high[0], abs=1e-12)


def test_without_predictions_nothing_is_known_and_equal_confidences_have_no_band() -> None:
    found = shift([empty(), unlabelled([0.8])], [unlabelled([0.8]), unlabelled([0.8, 0.8])], 0.9)
    assert found.distance.reason == NO_PREDICTIONS
    for each in (found.distance.value, found.distance.low, found.distance.high, found.null_low, found.null_high):
        assert np.isnan(each[0])
        assert each[1] == 0


def test_a_place_is_the_confidence_to_half_a_cell() -> None:
    c = np.array([0.0, 1e-7, 0.001, 1 / 600, 0.3001, 0.9, 0.9985, 0.9999999, 1.0])
    assert place_of(cell_index(c)).tolist() == [0, 1, 1, 2, 361, 1080, 1199, 1199, 1200]


# --- Chance


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "after"), [(1_000, 100), (1_000, 1_000)])
def test_the_null_band_is_that_of_dividing_all_predictions_anew(kind: str, before: int, after: int) -> None:
    rng = np.random.default_rng(before + after)
    c = confidences_of(kind, before + after, rng)
    divided = [rng.permutation(c) for _ in range(600)]
    pairs = [unlabelled(each[:before]) for each in divided], [unlabelled(each[before:]) for each in divided]
    found = shift(*pairs, 0.9)
    median, upper = np.quantile(found.distance.value, [0.5, 0.95])
    assert found.null_high[0] == pytest.approx(upper, rel=0.12)
    assert found.null_low[0] < median < found.null_high[0]
    assert np.ptp(found.null_high) < 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_the_interval_covers_the_distance_of_the_distributions_nine_times_in_ten(kind: str) -> None:
    rng = np.random.default_rng(3)
    whole = confidences_of(kind, 200_000, rng)
    truth = between(whole, harder(whole, rng)).distance.value[0]
    before = [unlabelled(confidences_of(kind, 1_500, rng)) for _ in range(200)]
    after = [unlabelled(harder(confidences_of(kind, 1_000, rng), rng)) for _ in range(200)]
    found = shift(before, after, 0.9)
    assert 0.84 <= np.mean((found.distance.low <= truth) & (truth <= found.distance.high)) <= 0.98
    assert np.mean(found.distance.value > found.null_high) > 0.85
    assert (found.mean_change < 0).all()


@pytest.mark.parametrize("kind", ["stated", "logit"])
def test_noise_lifts_no_more_than_one_lower_end_in_twenty_above_a_small_distance(kind: str) -> None:
    rng = np.random.default_rng(4)
    whole = confidences_of(kind, 200_000, rng)
    truth = between(whole, harder(whole, rng, 0.04)).distance.value[0]
    before = [unlabelled(confidences_of(kind, 1_500, rng)) for _ in range(500)]
    after = [unlabelled(harder(confidences_of(kind, 1_000, rng), rng, 0.04)) for _ in range(500)]
    found = shift(before, after, 0.9)
    assert truth == pytest.approx(0.009, abs=0.002)
    assert np.mean(found.distance.low > truth) <= 0.065


def test_a_spread_that_keeps_the_mean_is_a_distance_and_no_change_of_the_mean() -> None:
    narrow, wide = unlabelled([0.7, 0.8] * 500), unlabelled([0.6, 0.9] * 500)
    found = shift([narrow, merge(narrow, narrow)], [wide, narrow], 0.95)
    assert found.distance.value == pytest.approx([0.1, 0], abs=1e-12)
    assert found.mean_change == pytest.approx([0, 0], abs=1e-12)
    assert found.distance.low[0] > 0.09
