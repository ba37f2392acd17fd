"""What a rule of change compares a window with, against the hours written out one by one."""

from datetime import timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.baselines import HOUR, spans, together
from monitor.alerting.rules import Baseline, LastRecalibration, LastVersion, SamePeriod, Trailing
from monitor.calibration.reading import BinsSetting, Reading
from monitor.rolling.panes import Span, start_of

WEEK = 7 * 24
lengths = st.integers(1, 60 * 24)
windows = st.builds(lambda start, hours: Span(start, start + hours), st.integers(400_000, 500_000), lengths)


def hours(span: Span) -> list[int]:
    return list(range(span.start_hour, span.end_hour))


def same_period(periods: int, least: int = 1, statistic: str = "median", every: str = "7d") -> SamePeriod:
    return SamePeriod.model_validate(
        {"kind": "same_period", "every": every, "periods": periods, "min_periods": least, "statistic": statistic}
    )


@given(windows, st.integers(1, 5))
def test_the_same_period_is_the_same_hours_of_the_same_days_of_earlier_weeks(window: Span, periods: int) -> None:
    found = spans(same_period(periods), window, 1, None)
    assert len(found) == periods
    for number, span in enumerate(found, 1):
        assert len(hours(span)) == len(hours(window))
        for then, now in zip(hours(span), hours(window), strict=True):
            assert start_of(now) - start_of(then) == timedelta(weeks=number)
            assert (start_of(then).weekday(), start_of(then).hour) == (start_of(now).weekday(), start_of(now).hour)


@given(windows, st.integers(1, 365))
def test_the_stretch_before_ends_where_the_window_begins_and_is_as_long_as_was_asked(window: Span, days: int) -> None:
    (found,) = spans(Trailing(kind="trailing", length=timedelta(days=days)), window, 1, None)
    assert len(hours(found)) == 24 * days
    assert set(hours(found)).isdisjoint(hours(window))
    assert hours(found)[-1] + 1 == hours(window)[0]


@given(windows, st.integers(-2000, 2000))
def test_the_version_before_is_looked_at_in_its_last_hours(window: Span, later: int) -> None:
    length, began = len(hours(window)), window.start_hour + later
    (found,) = spans(LastVersion(kind="last_version"), window, length, began)
    assert hours(found) == [began - hour for hour in range(length, 0, -1)]
    assert spans(LastVersion(kind="last_version"), window, length, None) == []


@given(windows, st.integers(-2000, 2000))
def test_a_recalibration_is_looked_at_in_its_first_hours_once_they_are_over(window: Span, later: int) -> None:
    length, began = len(hours(window)), window.start_hour + later
    found = spans(LastRecalibration(kind="last_recalibration"), window, length, began)
    first = [began + hour for hour in range(length)]
    assert [hours(span) for span in found] == ([first] if first[-1] <= hours(window)[-1] else [])
    assert spans(LastRecalibration(kind="last_recalibration"), window, length, None) == []


def reading(value: float, half: float | None, n: int) -> Reading:
    return Reading(
        model="m", bins_setting=BinsSetting(10, "right_closed"), n_predictions=n, n=n, ece=value,
        intervals={"brier": (0.1, 0.2), **({} if half is None else {"ece": (value - half, value + half)})},
        confidence_level=0.95, not_enough_labels=False,
    )  # fmt: skip


some_readings = st.lists(
    st.builds(
        reading, st.integers(0, 100).map(lambda n: n / 128), st.sampled_from([None, 1 / 16, 1 / 8]), st.integers(1, 99)
    ),
    max_size=6,
)


@given(some_readings, st.integers(1, 4))
def test_the_median_is_one_of_the_readings_with_as_many_below_it_as_above(found: list[Reading], least: int) -> None:
    middle = together(found, "ece", same_period(5, least))
    if len(found) < least:
        assert middle is None
        return
    assert middle is not None
    assert any(middle is each for each in found)
    assert middle.ece is not None
    below = sum(each.ece is not None and each.ece < middle.ece for each in found)
    above = sum(each.ece is not None and each.ece > middle.ece for each in found)
    assert 2 * below <= len(found)
    assert 2 * above < len(found)


@given(some_readings, st.integers(1, 4))
def test_the_mean_has_the_mean_of_values_and_of_ends_and_the_fewest_labels(found: list[Reading], least: int) -> None:
    mean = together(found, "ece", same_period(5, least, "mean"))
    if len(found) < least:
        assert mean is None
        return
    assert mean is not None

    def average(values: list[float]) -> float:
        return float(sum(map(Fraction, values)) / len(values))

    assert mean.ece == average([each.ece for each in found if each.ece is not None])
    ends = [each.intervals["ece"] for each in found if "ece" in each.intervals]
    expected = (average([low for low, _ in ends]), average([high for _, high in ends])) if ends else None
    assert mean.intervals.get("ece") == expected
    assert mean.intervals["brier"] == (0.1, 0.2)
    assert mean.n == min(each.n for each in found)


def test_one_reading_stands_for_itself_and_none_for_nothing() -> None:
    one = reading(0.25, 0.125, 9)
    others: list[Baseline] = [
        Trailing(kind="trailing"), LastVersion(kind="last_version"), LastRecalibration(kind="last_recalibration"),
    ]  # fmt: skip
    assert all(together([one], "ece", each) is one for each in others)
    assert all(together([], "ece", each) is None for each in others)
    assert timedelta(hours=1) == HOUR
