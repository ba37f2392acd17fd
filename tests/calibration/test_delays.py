"""Delays by outcome: the rank test against scipy on the buckets, and what it says where errors are labelled sooner."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy.stats import mannwhitneyu

from monitor.calibration.cells import delay_bounds, delay_bucket
from monitor.calibration.delays import (
    Coverage,
    compare_delays,
    coverage_by_age,
    delay_quantile,
    labels_by_delay,
    median_delay,
)
from monitor.calibration.sketch import DelayRow, Sketch, empty, merge, sketch_of, subtract
from monitor.errors import NotEnoughData

SECOND = 10**6
labels = st.lists(st.tuples(st.sampled_from([0.0, 1.0, 1 / 3]), st.integers(-(10**6), 10**12)), min_size=1, max_size=40)


def delayed(outcome: ArrayLike, delay_us: ArrayLike) -> Sketch:
    return sketch_of(np.full(np.shape(outcome), 0.7), outcome, delay_us=np.asarray(delay_us, np.int64))


def some(rng: np.random.Generator, n: int = 400, faster: float = 1.0) -> Sketch:
    """Labels after about a day; those of errors `faster` times as fast."""
    outcome = (rng.random(n) < 0.7).astype(np.float64)
    delay = rng.lognormal(11, 1.5, n) * np.where(outcome > 0, 1.0, 1 / faster) * SECOND
    return delayed(outcome, delay)


@given(labels)
def test_right_and_wrong_labels_are_all_labels(given_labels: list[tuple[float, int]]) -> None:
    outcome, delay = zip(*given_labels, strict=True)
    sketch = delayed(list(outcome), list(delay))
    right, wrong = labels_by_delay(sketch, "right"), labels_by_delay(sketch, "wrong")
    assert right + wrong == pytest.approx(labels_by_delay(sketch))
    assert right.sum() == pytest.approx(sum(outcome), abs=1e-7)


@given(labels, st.floats(0, 1))
def test_a_quantile_lies_in_the_bucket_of_the_raw_one(given_labels: list[tuple[float, int]], share: float) -> None:
    delay = np.sort([each for _, each in given_labels])
    found = delay_quantile(delayed([1.0] * len(delay), delay.tolist()), share)
    reached = np.arange(1, len(delay) + 1)
    at = delay[np.flatnonzero(reached >= share * len(delay))[0]]
    low, high = delay_bounds(int(delay_bucket([at])[0]))
    assert low <= found <= high


def test_right_and_wrong_answers_have_medians_of_their_own() -> None:
    sketch = delayed([1.0] * 5 + [0.0] * 3, [3600 * SECOND] * 5 + [60 * SECOND] * 3)
    assert median_delay(sketch, "right") == pytest.approx(3600, rel=0.42)
    assert median_delay(sketch, "wrong") == pytest.approx(60, rel=0.42)
    with pytest.raises(NotEnoughData, match="no label times of wrong answers"):
        median_delay(delayed([1.0], [SECOND]), "wrong")
    with pytest.raises(NotEnoughData, match=r"^no label times$"):
        median_delay(empty())


@pytest.mark.parametrize("seed", range(5))
def test_the_rank_test_is_that_of_scipy_on_the_buckets(seed: int) -> None:
    rng = np.random.default_rng([1, seed])
    outcome = (rng.random(300) < 0.6).astype(np.float64)
    delay = rng.lognormal(8, 1 + seed / 2, 300) * SECOND * np.where(outcome > 0, 1.3, 1.0)
    bucket = delay_bucket(delay.astype(np.int64))
    statistic, p_value = mannwhitneyu(
        bucket[outcome > 0], bucket[outcome == 0], use_continuity=False, method="asymptotic"
    )
    found = compare_delays(delayed(outcome, delay))
    assert found.sooner == pytest.approx(statistic / found.n_right / found.n_wrong)
    assert found.p_value == pytest.approx(p_value, rel=1e-9)
    assert (found.n_right, found.n_wrong) == (outcome.sum(), 300 - outcome.sum())


@pytest.mark.parametrize("seed", range(3))
def test_exchanging_right_and_wrong_turns_the_answer_round(seed: int) -> None:
    rng = np.random.default_rng([2, seed])
    outcome, delay = rng.integers(0, 2, 100).astype(np.float64), rng.integers(0, 10**10, 100)
    one, other = compare_delays(delayed(outcome, delay)), compare_delays(delayed(1 - outcome, delay))
    assert one.sooner + other.sooner == pytest.approx(1)
    assert one.z == pytest.approx(-other.z)
    assert one.interval[0] == pytest.approx(1 - other.interval[1])
    assert one.p_value == pytest.approx(other.p_value)


def test_errors_that_are_labelled_ten_times_as_fast_are_seen_in_a_hundred_labels() -> None:
    found = compare_delays(some(np.random.default_rng(3), 100, faster=10))
    assert found.sooner > 0.75
    assert found.z > 3
    assert found.interval[0] > 0.6


def test_where_delay_and_outcome_are_unrelated_the_test_errs_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    found = [compare_delays(some(rng)) for _ in range(400)]
    assert 0.025 <= np.mean([each.p_value < 0.05 for each in found]) <= 0.08
    assert 0.92 <= np.mean([each.interval[0] <= 0.5 <= each.interval[1] for each in found]) <= 0.98


def test_no_chance_is_certain() -> None:
    apart = delayed([0.0] * 10 + [1.0] * 10, [SECOND] * 10 + [10**10] * 10)
    found = compare_delays(apart)
    assert found.sooner == 1
    assert 0.7 < found.interval[0] < 0.97


@pytest.mark.parametrize(
    ("sketch", "message"),
    [
        (empty(), "10 labels of wrong answers are needed, 10 more"),
        (
            delayed([1.0] * 20 + [0.0] * 7, range(0, 27 * SECOND, SECOND)),
            "10 labels of wrong answers are needed, 3 more",
        ),
        (
            delayed([0.0] * 20 + [1.0] * 9, range(0, 29 * SECOND, SECOND)),
            "10 labels of right answers are needed, 1 more",
        ),
        (delayed([0.0] * 20 + [1.0] * 20, [SECOND] * 40), "all labels took about the same time"),
    ],
)
def test_too_little_to_compare_is_said(sketch: Sketch, message: str) -> None:
    with pytest.raises(NotEnoughData, match=message):
        compare_delays(sketch)


def test_labels_that_were_never_split_are_not_guessed() -> None:
    sketch = some(np.random.default_rng(5))
    sums = sketch.delay_sums.copy()
    sums[DelayRow.UNSPLIT, 2] = 1
    old = replace(sketch, delay_sums=sums)
    assert median_delay(old) == median_delay(sketch)
    for ask in (compare_delays, lambda one: median_delay(one, "right"), lambda one: median_delay(one, "wrong")):
        with pytest.raises(NotEnoughData, match="before right and wrong ones were told apart"):
            ask(old)
    gone = subtract(merge(old, sketch), old)
    assert compare_delays(gone) == compare_delays(sketch)


def test_coverage_grows_with_age_to_that_of_all_labels() -> None:
    sketch = merge(
        delayed([1.0, 0.0, 1.0], [SECOND // 2, 100 * SECOND, 110 * SECOND]),
        sketch_of([0.5] * 7, [np.nan] * 7),
    )
    first, last = coverage_by_age(sketch)
    assert first == Coverage(1.0, 0.1)
    assert last.age_seconds == delay_bounds(int(delay_bucket([100 * SECOND])[0]))[1] > 110
    assert last.share == 0.3
    with pytest.raises(NotEnoughData, match="no predictions"):
        coverage_by_age(empty())
