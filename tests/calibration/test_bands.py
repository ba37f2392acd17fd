"""Bands, gates and chains: what they add up to, by other routes."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.audit import Gate, audit, audited
from monitor.calibration.bands import bands_of
from monitor.calibration.certificates import Promise
from monitor.calibration.chains import Step, chain, needed, parsed_step
from monitor.calibration.reading import Subject
from monitor.calibration.sketch import empty, sketch_of
from monitor.errors import BadInput
from tests.calibration.streams import KINDS, stream

SUBJECT = Subject(model="m")
accuracies = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_bands_share_out_all_predictions_and_labels(kind: str) -> None:
    c, y = stream(kind, 3000, np.random.default_rng(1))
    sketch = sketch_of(c, np.where(np.arange(3000) % 3, y, np.nan))
    found = bands_of(sketch, [Promise(0.8), Promise(0.5, 0.05, 1.0, "reject")], SUBJECT)
    assert sum(band.coverage or 0.0 for band in found.bands) == pytest.approx(1)
    assert sum(band.n for band in found.bands) == found.n == 2000
    for band in found.bands:
        inside = (c >= band.low - 1e-9) & ((c < band.high - 1e-9) | (band.high == 1.0))
        assert band.coverage == pytest.approx(inside.mean())
        if band.name == "accept":
            assert band.accuracy is not None
            assert band.accuracy >= 0.8


def test_what_another_signal_bars_is_reviewed() -> None:
    c, y = stream("stated", 2000, np.random.default_rng(2))
    agrees = np.arange(2000) % 2 == 0
    found = bands_of(sketch_of(c[agrees], y[agrees]), [Promise(0.8)], SUBJECT, whole=sketch_of(c, y), also=["x >= 0.5"])
    by_name = {band.name: band for band in found.bands}
    assert by_name["accept"].coverage == pytest.approx((agrees & (c >= by_name["accept"].low)).mean())
    assert by_name["review"].n == 2000 - by_name["accept"].n
    assert (found.n, found.n_predictions_also) == (2000, 1000)


def test_nothing_is_rejected_that_is_accepted() -> None:
    c, y = stream("stated", 4000, np.random.default_rng(3))
    sketch, rejecting = sketch_of(c, y), Promise(0.6, 0.05, 1.0, "reject")
    accept, reject = (each.threshold for each in bands_of(sketch, [rejecting, Promise(0.8)], SUBJECT).certificates)
    assert accept is not None
    assert reject is not None
    alone = bands_of(sketch, [rejecting], SUBJECT).certificates[0].threshold
    assert alone is not None
    assert reject <= accept < alone


def test_without_labels_there_are_no_bands_and_the_reason_is_said() -> None:
    found = bands_of(empty(), [Promise(0.9)], SUBJECT)
    assert found.bands == []
    assert found.coverage is None
    assert "no labels" in found.certificates[0].reason


@pytest.mark.parametrize(("chance", "verdict"), [(0.99, "keeps"), (0.78, "breaks"), (0.9, "cannot tell")])
def test_a_gate_is_judged_by_its_interval(chance: float, verdict: str) -> None:
    y = np.arange(1000) < round(1000 * chance)
    found = audited(sketch_of(np.full(1000, 0.93), y), Gate(0.9, 0.9), 0.95)
    assert found.verdict == verdict
    assert found.accuracy == pytest.approx(chance)
    assert found.stated == pytest.approx(0.93)
    assert found.interval is not None
    assert found.interval[0] < chance < found.interval[1]


def test_a_gate_that_breaks_its_promise_is_told_the_threshold_that_keeps_it() -> None:
    rng = np.random.default_rng(4)
    c = rng.choice([0.6, 0.9, 0.97], 3000)
    sketch = sketch_of(c, rng.random(3000) < np.where(c > 0.95, 0.97, 0.7))
    found = audited(sketch, Gate(0.9, 0.9), 0.95)
    assert found.verdict == "breaks"
    assert found.certified_from == 0.95
    assert found.certified_coverage == pytest.approx((c > 0.95).mean())


def test_a_gate_that_nothing_with_a_label_passes_is_unknown() -> None:
    found = audited(sketch_of([0.95, 0.3], [np.nan, 1.0]), Gate(0.9, 0.9), 0.95)
    assert (found.n_predictions, found.n, found.accuracy, found.interval) == (1, 0, None, None)
    assert found.verdict == "cannot tell"
    assert "certified_from" in found.missing
    assert audit(empty(), [Gate(0.9, 0.9)], 0.95, SUBJECT).gates[0].coverage is None


@pytest.mark.parametrize(("threshold", "promised"), [(1.2, 0.9), (0.9, -0.1), (float("nan"), 0.9)])
def test_a_gate_out_of_range_is_refused(threshold: float, promised: float) -> None:
    with pytest.raises(BadInput, match=r"must be in 0\.\.1"):
        Gate(threshold, promised)


@given(accuracies)
def test_independence_lies_between_the_worst_and_the_best_case(each: list[float]) -> None:
    found = chain([Step(one) for one in each])
    assert found.worst - 1e-12 <= found.product <= found.best + 1e-12
    assert found.product == pytest.approx(prod(each))


def test_both_ends_are_reached_by_errors_that_never_meet_and_that_always_do() -> None:
    """Four equally likely days, three steps, each wrong on one of them."""
    found = chain([Step(0.75)] * 3)
    never, always = np.ones((3, 4)), np.ones((3, 4))
    never[[0, 1, 2], [0, 1, 2]] = 0
    always[:, 0] = 0
    assert found.worst == never.all(axis=0).mean()
    assert found.best == always.all(axis=0).mean()
    assert found.product == pytest.approx(0.42, abs=0.002)


@given(st.floats(0.01, 0.99), st.integers(1, 8))
def test_steps_as_good_as_needed_make_a_chain_that_reaches_the_target(target: float, steps: int) -> None:
    each = needed(target, steps)
    assert chain([Step(each.independent)] * steps).product == pytest.approx(target)
    assert chain([Step(each.whatever_the_dependence)] * steps).worst == pytest.approx(target)


def test_the_bound_of_counted_steps_holds_in_all_but_delta_of_the_cases() -> None:
    rng = np.random.default_rng(5)
    drawn = rng.binomial([60, 90], [0.9, 0.8], (1500, 2))
    lower = [chain([Step(a / 60, 60), Step(b / 90, 90)], 0.1).lower_product or 0.0 for a, b in drawn.tolist()]
    assert np.mean(np.array(lower) > 0.72) <= 0.1
    assert chain([Step(0.9, 60), Step(0.8)]).lower_product is None


@pytest.mark.parametrize(("text", "step"), [("0.9", Step(0.9)), ("90%", Step(0.9)), ("45/50", Step(0.9, 50))])
def test_a_step_is_read_as_a_person_types_it(text: str, step: Step) -> None:
    assert parsed_step(text) == step


@pytest.mark.parametrize("text", ["", "nine", "1.2", "-1", "6/5", "1/0", "nan", "120%", "1/2/3"])
def test_what_is_no_step_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="a step must be an accuracy"):
        parsed_step(text)


def test_a_chain_without_steps_is_refused() -> None:
    with pytest.raises(BadInput, match="at least one step"):
        chain([])
