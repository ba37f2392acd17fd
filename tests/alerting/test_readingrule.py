"""Rules on readings: what is passed over for speed is never what matters."""

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from monitor.alerting.alertrules import AlertRule, Threshold
from monitor.alerting.metrics import READING, Metric
from monitor.alerting.readingrule import ReadingRule, reading_rule
from monitor.alerting.rules import Trailing
from monitor.alerting.verdict import Compare, Finding, sign_of
from monitor.calibration.reading import BinsSetting, Reading
from tests.alerting.making import START
from tests.alerting.rounds import force_by

RULE = force_by("rules: [{name: A, metric: ece, enter: 0.1}, {name: S, metric: dead_letters, enter: 1}]").rules["A"]
COMPARES: list[Compare] = ["above", "below", "change_above", "change_below"]


def values_of(metric: Metric) -> st.SearchStrategy[float]:
    """Any value that the metric can have, its bounds often."""
    low, high = -50.0 if metric.low is None else metric.low, 50.0 if metric.high is None else metric.high
    return st.sampled_from([low, high]) | st.floats(low, high, allow_nan=False)


@st.composite
def readings(draw: st.DrawFn, metric: Metric) -> Reading:
    value = draw(st.none() | values_of(metric))
    if metric.name in {"n", "n_predictions"}:
        value = None if value is None else float(int(value))
    ends = st.tuples(*[st.floats(0, 0.3)] * 2)
    interval = None if value is None else draw(st.none() | ends.map(lambda end: (value - end[0], value + end[1])))
    n, coverage = draw(st.integers(0, 100)), draw(st.none() | st.floats(0, 1))
    found = Reading(
        model="m", bins_setting=BinsSetting(10, "right_closed"), n_predictions=n, n=n, coverage=coverage,
        intervals={} if interval is None else {metric.name: interval}, confidence_level=0.95, not_enough_labels=False,
    )  # fmt: skip
    if metric.name in {"n", "n_predictions", "coverage"}:
        return found
    return _with(found, metric.name, value)


def _with(reading: Reading, measure: str, value: float | None) -> Reading:
    fields = {name: getattr(reading, name) for name in reading.__struct_fields__}
    return Reading(**{**fields, measure: value})


@st.composite
def cases(draw: st.DrawFn) -> tuple[ReadingRule, Reading, Reading | None]:
    """A rule, a reading, and what it may be compared with."""
    metric, compare = draw(st.sampled_from(READING)), draw(st.sampled_from(COMPARES))
    enter = draw(st.floats(-1, 1))
    given_ = Threshold(
        metric=metric, compare=compare, enter=enter, exit=enter - sign_of(compare) * draw(st.floats(0, 0.5)),
        evidence=draw(st.sampled_from(["confident", "point"])), baseline=Trailing(kind="trailing"),
    )  # fmt: skip
    rule: AlertRule = replace(
        RULE, condition=given_, min_labelled=draw(st.sampled_from([0, 50])),
        min_label_coverage=draw(st.sampled_from([0.0, 0.5])),
        on_insufficient_data=draw(st.sampled_from(["hold", "ok", "alert"])),
    )  # fmt: skip
    found = reading_rule(rule)
    assert found is not None
    return found, draw(readings(metric)), draw(st.none() | readings(metric))


def begins(rule: ReadingRule, finding: Finding) -> bool:
    return finding == "crossed" or (finding == "insufficient" and rule.rule.on_insufficient_data == "alert")


@given(cases())
def test_no_reading_that_would_begin_an_alert_is_passed_over(case: tuple[ReadingRule, Reading, Reading | None]) -> None:
    rule, reading, before = case
    for baseline in (before, None):
        finding = rule.verdict(reading, START, 0, baseline).finding
        assert finding != "failed"
        if begins(rule, finding):
            assert rule.may_begin(reading)


@given(cases())
def test_a_level_that_is_exact_begins_just_where_it_is_crossed(
    case: tuple[ReadingRule, Reading, Reading | None],
) -> None:
    rule, reading, _ = case
    assume(rule.limits.proof == "point" and not rule.limits.is_of_change)
    assert rule.may_begin(reading) == begins(rule, rule.verdict(reading, START, 0).finding)


@given(cases())
def test_a_reading_lacks_just_what_makes_its_verdict_insufficient(
    case: tuple[ReadingRule, Reading, Reading | None],
) -> None:
    rule, reading, _ = case
    assume(not rule.limits.is_of_change)
    assert rule.lacks(reading) == (rule.verdict(reading, START, 0).finding == "insufficient")


def test_a_rule_about_the_service_is_none_on_readings() -> None:
    service = force_by("rules: [{name: A, metric: ece, enter: 0.1}, {name: S, metric: dead_letters, enter: 1}]")
    assert reading_rule(service.rules["S"]) is None


def test_an_error_of_ours_is_a_verdict_and_names_what_went_wrong() -> None:
    rule = reading_rule(RULE)
    assert rule is not None
    broken = replace(rule, measure="model")
    reading = Reading(
        model="m", bins_setting=BinsSetting(10, "right_closed"), n_predictions=9, n=9, intervals={},
        confidence_level=0.95, not_enough_labels=False,
    )  # fmt: skip
    verdict = broken.verdict(reading, START, 3)
    assert verdict.finding == "failed"
    assert "model is no measure of a reading" in str(verdict.evidence)
