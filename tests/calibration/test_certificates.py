"""Certificates keep their promise as often as they say, and say what is missing where they cannot be given."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.calibration.binomial import lower_bound
from monitor.calibration.certificates import CLOPPER_PEARSON, FRACTIONS, UNEVEN, Certificate, Promise, certify
from monitor.calibration.ladder import LADDER
from monitor.calibration.sketch import empty, merge, sketch_of
from monitor.errors import BadInput
from tests.calibration.certifying import STREAMS, outcome, world
from tests.calibration.streams import KINDS, Floats, stream

TIMES = 60
promises = st.builds(
    Promise, st.sampled_from((0.6, 0.8, 0.9)), st.sampled_from((0.05, 0.2, 0.5)), st.sampled_from((0.8, 0.95, 1.0))
)
answers = st.tuples(st.sampled_from(KINDS), st.integers(20, 800), st.integers(0, 999)).map(
    lambda asked: stream(asked[0], asked[1], np.random.default_rng(asked[2]))
)


def one_by_one(c: Floats, y: Floats, promise: Promise) -> float | None:
    """The certified threshold, the slow way: raw answers, one threshold after the other."""
    passed = None
    for step in LADDER:
        inside = c >= step - 1e-9
        n, right = int(inside.sum()), float(y[inside].sum())
        if (
            step > promise.start
            or lower_bound(np.array([n - 1.0]), np.array([float(n)]), promise.delta) < promise.target
        ):
            continue
        if lower_bound(np.array([right]), np.array([float(n)]), promise.delta) < promise.target:
            break
        passed = next(high for high in LADDER if high <= promise.start and int((c >= high - 1e-9).sum()) == n)
    return passed


@settings(max_examples=40)
@given(answers, promises)
def test_the_walk_over_cells_is_the_walk_over_raw_answers(
    given_answers: tuple[Floats, Floats], promise: Promise
) -> None:
    c, y = np.round(given_answers[0] * 100) / 100, given_answers[1]
    assert certify(sketch_of(c, y), promise).threshold == one_by_one(c, y, promise)


@pytest.mark.parametrize("kind", STREAMS)
def test_a_promise_is_broken_no_more_often_than_delta_and_its_sampling_error(kind: str) -> None:
    rng = np.random.default_rng(11)
    delta = 0.1
    found = [
        outcome(world(kind, gap, rng), Promise(0.85, delta), n, TIMES, rng) for gap in (0.0, 0.05) for n in (200, 800)
    ]
    error = (delta * (1 - delta) / (TIMES * len(found))) ** 0.5
    assert sum(each.broken for each in found) / len(found) <= delta + 2 * error
    assert max(each.certified for each in found) > 0.5


def test_rejecting_keeps_its_promise_too() -> None:
    rng = np.random.default_rng(12)
    found = outcome(world("stated", 0.05, rng), Promise(0.5, 0.1, 1.0, "reject"), 500, 150, rng)
    assert found.broken <= 0.1 + 2 * (0.09 / 150) ** 0.5
    assert found.certified > 0.5


@given(answers, promises)
def test_a_certified_threshold_starts_no_higher_than_the_walk_and_its_bound_reaches_the_target(
    given_answers: tuple[Floats, Floats], promise: Promise
) -> None:
    found = certify(sketch_of(*given_answers), promise)
    assert found.certified == (found.threshold is not None) == (found.reason == "")
    if found.threshold is None:
        return
    assert found.threshold <= promise.start
    assert found.accuracy is not None
    assert found.bound is not None
    assert found.coverage is not None
    assert promise.target <= found.bound <= found.accuracy
    assert 0 < found.coverage <= 1


@given(answers, promises, st.sampled_from((0.05, 0.01)))
def test_who_promises_more_lets_no_more_through(
    given_answers: tuple[Floats, Floats], promise: Promise, more: float
) -> None:
    sketch = sketch_of(*given_answers)
    less = certify(sketch, promise).coverage or 0.0
    assert (certify(sketch, replace(promise, target=promise.target + more)).coverage or 0.0) <= less
    assert (certify(sketch, replace(promise, delta=promise.delta * more)).coverage or 0.0) <= less


@given(answers, st.sampled_from((0.6, 0.8, 0.9)), st.sampled_from((0.05, 0.2)))
def test_a_mirrored_model_is_rejected_where_the_other_is_accepted(
    given_answers: tuple[Floats, Floats], target: float, delta: float
) -> None:
    """Confidence 1 - c and outcome 1 - y: being right above becomes being wrong below."""
    c, y = np.round(given_answers[0] * 98) / 100 + 0.01, given_answers[1]
    accepted = certify(sketch_of(c, y), Promise(target, delta, 1.0))
    below = sketch_of(1 - c - 0.005, 1 - y)  # below a step the step itself is left out
    rejected = certify(below, Promise(1 - target, delta, 1.0, "reject"))
    assert (accepted.certified, accepted.n) == (rejected.certified, rejected.n)
    if accepted.accuracy is not None and rejected.accuracy is not None:
        assert accepted.accuracy == pytest.approx(1 - rejected.accuracy)


@pytest.mark.parametrize(
    ("right", "n", "said", "more"),
    [
        (30, 30, "not certifiable with 30 labels, of which 30 lie at or above 0.9; at least 63 more are needed", 63),
        (0, 200, "so the promise does not hold there, and more labels would not help", None),
        (194, 200, "not certifiable with 200 labels: at or above 0.9, 0.970 of 200 labels are right; about", None),
        (190, 200, "how many it would take cannot be foretold", None),
    ],
)
def test_where_all_confidences_are_equal_it_is_said_what_is_missing(
    right: int, n: int, said: str, more: int | None
) -> None:
    found = certify(sketch_of(np.full(n, 0.9), np.arange(n) < right), Promise(0.95))
    assert not found.certified
    assert said in found.reason
    assert found.more_labels == more or "about" in said


def test_with_the_labels_that_were_asked_for_it_is_certified_in_about_every_second_case() -> None:
    rng = np.random.default_rng(3)
    first = certify(sketch_of(np.full(200, 0.9), np.arange(200) < 194), Promise(0.95))
    assert first.more_labels is not None
    n, chance = 200 + first.more_labels, 194.5 / 201
    certified = [
        certify(sketch_of(np.full(n, 0.9), rng.random(n) < chance), Promise(0.95)).certified for _ in range(200)
    ]
    assert 0.35 < np.mean(certified) < 0.7


def test_one_class_only_is_certified_once_there_are_labels_enough_for_one_to_be_wrong() -> None:
    for n, certified in ((92, False), (93, True)):
        found = certify(sketch_of(np.full(n, 0.97), np.ones(n)), Promise(0.95))
        assert found.certified == certified
    assert found.threshold == 0.95
    assert found.accuracy == 1


@pytest.mark.parametrize("side", ["accept", "reject"])
def test_without_labels_the_reason_says_so(side: str) -> None:
    asked = Promise(0.1, side="reject") if side == "reject" else Promise(0.9)
    unlabelled = sketch_of([0.9, 0.8], [np.nan, np.nan])
    for sketch in (empty(), unlabelled):
        found = certify(sketch, asked)
        assert found.reason.startswith("not certifiable with no labels; at least")
        assert found.more_labels == 46  # 0.9 ** 46 + 46 * 0.1 * 0.9 ** 45 is the first below 0.05


def test_a_model_that_never_states_so_much_is_certified_from_what_it_states() -> None:
    rng = np.random.default_rng(5)
    c = rng.choice([0.5, 0.6, 0.7], 600)
    found = certify(sketch_of(c, rng.random(600) < np.where(c > 0.55, 0.95, 0.2)), Promise(0.8))
    assert found.threshold == 0.6


def test_a_certificate_reaches_no_lower_than_confidences_that_came() -> None:
    found = certify(sketch_of(np.full(500, 0.9), np.ones(500)), Promise(0.9))
    assert found.threshold == 0.9
    assert found.coverage == 1


def test_coverage_counts_predictions_without_labels_too() -> None:
    c = np.repeat([0.97, 0.3], [400, 400])
    y = np.where(np.arange(800) % 2, np.where(c > 0.5, 1.0, 0.0), np.nan)
    found = certify(sketch_of(c, y), Promise(0.9))
    assert (found.threshold, found.n, found.coverage) == (0.95, 200, 0.5)


def weighted(propensity: Floats) -> Certificate:
    return certify(sketch_of(np.full(500, 0.97), np.ones(500), propensity=propensity), Promise(0.9))


def test_equal_propensities_change_nothing_and_different_ones_are_refused() -> None:
    assert weighted(np.full(500, 0.1)).certified
    refused = weighted(np.where(np.arange(500) % 2, 0.1, 0.5))
    assert refused.reason == UNEVEN
    assert refused.more_labels is None


def test_shares_as_outcomes_are_certified_by_their_own_bound() -> None:
    c, shares = np.full(400, 0.97), np.where(np.arange(400) % 10, 1.0, 1 / 3)
    by_share, by_count = (certify(sketch_of(c, y), Promise(0.85)) for y in (shares, np.ones(400)))
    assert (by_share.method, by_count.method) == (FRACTIONS, CLOPPER_PEARSON)
    assert by_share.certified
    assert by_share.accuracy == pytest.approx(0.9 + 0.1 / 3)


def test_neither_the_order_nor_the_panes_of_the_labels_matter() -> None:
    c, y = stream("mixed", 900, np.random.default_rng(6))
    whole = certify(sketch_of(c, y), Promise(0.8))
    assert certify(merge(sketch_of(c[600:], y[600:]), sketch_of(c[:600], y[:600])), Promise(0.8)) == whole


@pytest.mark.parametrize(
    ("target", "delta", "start", "said"),
    [
        (1.0, 0.05, 0.95, "target must lie between 0 and 1"),
        (0.9, 0.0, 0.95, "delta must be above 0"),
        (0.9, 0.6, 0.95, "delta must be above 0 and at most 0.5"),
        (0.9, 0.05, 1.2, r"start must be in 0\.\.1"),
    ],
)
def test_a_promise_out_of_range_is_refused(target: float, delta: float, start: float, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Promise(target, delta, start)
