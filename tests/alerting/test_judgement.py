"""From readings and alarms to verdicts: enter on the bound, leave on the estimate."""

import math
from dataclasses import asdict, fields, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from monitor.alerting.judgement import Limits, Standing, difference, finding_of, of_detector, of_reading
from monitor.alerting.verdict import Alarmed, Compare, Estimate, Measured, Said
from monitor.calibration.reading import Reading, ReadingSettings, Subject
from monitor.calibration.readout import read
from monitor.calibration.sketch import sketch_of
from monitor.drift.alarms import Alarm
from tests.alerting.making import START

ABOVE = Limits(compare="above", enter=0.10, exit=0.07)
hundredths = st.integers(-30, 30).map(lambda n: n / 100)


def estimate(value: float, half: float | None = 0.02, n: int = 1000) -> Estimate:
    return Estimate(value, None if half is None else (value - half, value + half), n)


@pytest.mark.parametrize(
    ("value", "low", "confident", "point"),
    [
        (0.15, 0.11, "crossed", "crossed"),
        (0.15, 0.10, "between", "crossed"),
        (0.10, 0.09, "between", "between"),
        (0.08, 0.01, "between", "between"),
        (0.07, 0.06, "between", "between"),
        (0.0699, -0.9, "below", "below"),
    ],
)
def test_it_enters_on_the_bound_and_leaves_on_the_estimate(
    value: float, low: float, confident: str, point: str
) -> None:
    judged = Estimate(value, (low, 0.9), 1000)
    assert finding_of(judged, ABOVE) == confident
    assert finding_of(judged, replace(ABOVE, proof="point")) == point
    assert finding_of(Estimate(value, None, 1000), ABOVE) == point


@given(hundredths, st.integers(0, 10), hundredths, st.integers(0, 10), st.sampled_from(["confident", "point"]))
def test_below_is_above_seen_in_a_mirror(value: float, half: int, enter: float, apart: int, proof: Any) -> None:
    judged = estimate(value, half / 100)
    above = Limits(compare="above", enter=enter, exit=enter - apart / 100, proof=proof)
    below = Limits(compare="below", enter=-above.enter, exit=-above.exit, proof=proof)
    assert finding_of(judged, above) == finding_of(estimate(-value, half / 100), below)


@given(hundredths, hundredths, st.integers(0, 10), hundredths, st.integers(0, 10))
def test_a_worse_estimate_never_looks_better_and_a_wider_interval_never_proves_more(
    one: float, other: float, half: int, enter: float, apart: int
) -> None:
    rank = ["below", "between", "crossed"]
    limits = Limits(compare="above", enter=enter, exit=enter - apart / 100)
    found = [rank.index(finding_of(estimate(value, half / 100), limits)) for value in sorted([one, other])]
    assert found == sorted(found)
    wider = finding_of(estimate(one, half / 100 + 0.05), limits)
    assert rank.index(wider) <= rank.index(finding_of(estimate(one, half / 100), limits))
    # Leaving does not ask how wide it is.
    assert (wider == "below") == (finding_of(estimate(one, None), limits) == "below")


def test_an_interval_that_misses_its_estimate_by_rounding_proves_nothing_more() -> None:
    assert finding_of(Estimate(0.1, (0.1 + 1e-17, 0.2), 9), replace(ABOVE, exit=0.1)) == "between"
    assert finding_of(Estimate(0.05, (0.11, 0.2), 9), ABOVE) == "below"


@pytest.mark.parametrize(
    ("compare", "enter", "leave"),
    [("above", 0.1, 0.11), ("below", 0.9, 0.89), ("change_above", 0.1, 0.2), ("change_below", -0.1, -0.2)],
)
def test_limits_the_wrong_way_round_are_refused(compare: Compare, enter: float, leave: float) -> None:
    with pytest.raises(ValueError, match="exit must not be beyond enter"):
        Limits(compare=compare, enter=enter, exit=leave)
    assert Limits(compare=compare, enter=enter, exit=enter).exit == enter
    assert Limits(compare=compare, enter=leave, exit=enter).enter == leave
    with pytest.raises(ValueError, match="must be finite"):
        Limits(compare=compare, enter=math.nan, exit=leave)


def test_the_difference_of_newcombes_example_has_his_limits() -> None:
    """56 of 70 and 48 of 80, with Wilson intervals: .0524 to .3339 by method 10 (Newcombe 1998, table II a)."""
    now, then = wilson(56, 70), wilson(48, 80)
    found = difference(now, then)
    assert found.value == pytest.approx(0.2)
    assert found.interval == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert found.n == 70


def wilson(right: int, n: int) -> Estimate:
    z, p = NormalDist().inv_cdf(0.975), right / n
    middle, half = (p + z * z / 2 / n), z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    return Estimate(p, ((middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)), n)


@st.composite
def intervals(draw: st.DrawFn) -> Estimate:
    value = draw(hundredths)
    return Estimate(value, (value - draw(st.integers(0, 9)) / 100, value + draw(st.integers(0, 9)) / 100), 5)


@given(intervals(), intervals())
def test_the_difference_the_other_way_round_is_its_mirror(now: Estimate, then: Estimate) -> None:
    forth, back = difference(now, then), difference(then, now)
    assert now.interval is not None
    assert forth.interval is not None
    assert back.interval is not None
    assert forth.interval == pytest.approx((-back.interval[1], -back.interval[0]))
    # Against what is exact, an interval keeps its width.
    exact = Estimate(then.value, None, 6)
    moved = (now.interval[0] - then.value, now.interval[1] - then.value)
    assert difference(now, exact).interval == pytest.approx(moved)
    assert difference(Estimate(now.value, None, 5), exact) == Estimate(now.value - then.value, None, 5)


def reading(n: int, gap: float, seed: int = 1, unlabelled: int = 0) -> Reading:
    """n answers that are right less often than they say, by `gap`, and some without a label."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.6, 0.9, n)
    outcome = (rng.random(n) < confidence - gap).astype(np.float64)
    found = read(sketch_of(confidence, outcome), ReadingSettings(draws=50), Subject(model="m"))
    share = n / (n + unlabelled) if n + unlabelled else None
    return structs.replace(found, n_predictions=n + unlabelled, coverage=share)


def test_a_reading_that_drifted_crosses_with_its_evidence() -> None:
    bad = reading(2000, 0.2)
    found = of_reading(bad, "ece", ABOVE, START, new_labels=7)
    assert (found.finding, found.new_labels, found.as_of) == ("crossed", 7, START)
    evidence = found.evidence
    assert isinstance(evidence, Measured)
    assert evidence.judged == evidence.estimate == Estimate(bad.ece or 0, bad.intervals["ece"], 2000)
    assert (evidence.enter, evidence.exit, evidence.compare, evidence.proof) == (0.10, 0.07, "above", "confident")
    assert (evidence.measure, evidence.coverage, evidence.bins) == ("ece", 1.0, tuple(bad.bins))
    assert evidence.confidence_level == 0.95
    assert evidence.bins
    assert of_reading(reading(2000, 0.0), "ece", ABOVE, START, new_labels=0).finding == "below"


@pytest.mark.parametrize(
    ("n", "unlabelled", "limits", "said"),
    [
        (499, 0, ABOVE, "499 labels of 500"),
        (600, 601, ABOVE, "labels for 0.500 of predictions, of 0.5"),
        (0, 0, replace(ABOVE, min_labelled=0), "no predictions, of 0.5"),
        (0, 0, replace(ABOVE, min_labelled=0, min_label_coverage=0.0), "no ece: no labels"),
    ],
)
def test_too_little_is_insufficient_and_says_what_is_lacking(
    n: int, unlabelled: int, limits: Limits, said: str
) -> None:
    given_reading = reading(n, 0.2, unlabelled=unlabelled)
    found = of_reading(given_reading, "ece", limits, START, new_labels=3)
    evidence = Said(as_of=START, reason=said, n=n, coverage=given_reading.coverage)
    assert (found.finding, found.evidence, found.new_labels) == ("insufficient", evidence, 3)


def test_exactly_enough_is_enough() -> None:
    assert of_reading(reading(500, 0.3, unlabelled=500), "ece", ABOVE, START, new_labels=0).finding == "crossed"


def test_a_rule_of_change_holds_the_reading_against_its_baseline() -> None:
    limits = Limits(compare="change_above", enter=0.05, exit=0.02)
    bad, good = reading(3000, 0.25), reading(3000, 0.1, seed=2)
    found = of_reading(bad, "signed_gap", limits, START, new_labels=0, baseline=good)
    assert found.finding == "crossed"
    assert isinstance(found.evidence, Measured)
    assert found.evidence.baseline is not None
    assert found.evidence.judged == difference(found.evidence.estimate, found.evidence.baseline)
    assert of_reading(good, "signed_gap", limits, START, new_labels=0, baseline=bad).finding == "below"
    # A level rule is not moved by a baseline.
    level = replace(limits, compare="above")
    assert of_reading(good, "signed_gap", level, START, new_labels=0, baseline=bad).finding == "crossed"


@pytest.mark.parametrize(("n", "said"), [(None, "no baseline yet"), (499, "the baseline has 499 labels of 500")])
def test_without_a_baseline_nothing_is_known_of_a_change(n: int | None, said: str) -> None:
    limits = Limits(compare="change_above", enter=0.05, exit=0.02)
    baseline = None if n is None else reading(n, 0.0)
    found = of_reading(reading(3000, 0.3), "ece", limits, START, new_labels=0, baseline=baseline)
    assert found.finding == "insufficient"
    assert isinstance(found.evidence, Said)
    assert found.evidence.reason == said


def test_a_figure_without_an_interval_is_exact() -> None:
    late = structs.replace(reading(600, 0.0), label_delay_seconds=99.0)
    limits = Limits(compare="above", enter=90, exit=80)
    found = of_reading(late, "label_delay_seconds", limits, START, new_labels=0)
    assert found.finding == "crossed"
    assert isinstance(found.evidence, Measured)
    assert found.evidence.estimate == Estimate(99.0, None, 600)


@pytest.mark.parametrize("name", ["eec", "model", "mature", "bins", "as_dict"])
def test_what_is_no_measure_is_a_mistake_and_not_insufficient(name: str) -> None:
    with pytest.raises(KeyError, match=f"{name} is no measure"):
        of_reading(reading(10, 0.0), name, ABOVE, START, new_labels=0)


PAGE = Alarm(0, "page", 500, "high", 1, 480, (470, 490), 0.1, (0.05, 0.15), 1e6, 4000.0, 0.8, 0.1)
STANDING = Standing(alarm=PAGE, labels_since=0.0, calm_labels=1500, taught_from=None)


@pytest.mark.parametrize(
    ("standing", "finding"),
    [
        (STANDING, "crossed"),
        (replace(STANDING, labels_since=1499.0), "crossed"),
        (replace(STANDING, labels_since=1500.0), "below"),
        (replace(STANDING, taught_from=500), "crossed"),
        (replace(STANDING, taught_from=501), "below"),
        (replace(STANDING, taught_from=100), "crossed"),
        (replace(STANDING, acknowledged=True), "below"),
        (replace(STANDING, alarm=None), "insufficient"),
        (replace(STANDING, alarm=None, taught_from=0), "below"),
    ],
)
def test_an_alarm_stands_until_the_series_has_shown_otherwise(standing: Standing, finding: str) -> None:
    found = of_detector(standing, START)
    assert (found.finding, found.as_of) == (finding, START)
    if standing.alarm is None:
        assert isinstance(found.evidence, Said)
    else:
        assert isinstance(found.evidence, Alarmed)
        alarm = {field.name: getattr(found.evidence, field.name, None) for field in fields(Alarm)}
        assert alarm == asdict(PAGE) | {"series": None}
        assert (found.evidence.labels_since, found.evidence.calm_labels) == (standing.labels_since, 1500)
