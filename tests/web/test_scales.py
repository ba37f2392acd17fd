"""Scales: places keep the order of values, ticks are round and inside, texts say what a person would."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.web.scales import (
    Linear,
    duration_text,
    instant_text,
    plain,
    round_up,
    short_count,
    ticks,
    time_ticks,
)

values = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
spans = st.floats(min_value=1e-6, max_value=1e9, allow_nan=False)
START = datetime(2026, 11, 20, 7, 13, tzinfo=UTC)


@given(values, values, values, spans)
def test_a_scale_keeps_the_order_of_values_and_stays_in_its_range(
    one: float, other: float, low: float, span: float
) -> None:
    scale = Linear(low, low + span, 20, 300)
    near, far = scale(min(one, other)), scale(max(one, other))
    assert 20 <= near <= far <= 300


@given(values, spans)
def test_an_inverted_scale_puts_the_low_end_at_the_bottom(low: float, span: float) -> None:
    scale = Linear(low, low + span, 300, 20)
    assert (scale(scale.low), scale(scale.high)) == (300, 20)


@given(st.floats(-1e5, 1e5), st.floats(1e-3, 1e9), st.integers(2, 12))
def test_ticks_are_even_rising_inside_and_few(low: float, span: float, about: int) -> None:
    high = low + span
    places = ticks(low, high, about)
    assert len(places) <= about + 1
    assert all(low - span * 1e-6 <= place <= high + span * 1e-6 for place in places)
    steps = [later - earlier for earlier, later in pairwise(places)]
    assert all(step == pytest.approx(steps[0], rel=1e-6, abs=1e-9) for step in steps)


@given(st.floats(min_value=1e-9, max_value=1e9), st.integers(2, 10))
def test_the_top_of_an_axis_holds_its_largest_value_and_wastes_at_most_half(value: float, about: int) -> None:
    top = round_up(value, about)
    assert value <= top * (1 + 1e-9)
    assert top <= value * 2.5 + 1e-9


def test_an_axis_without_values_has_a_top() -> None:
    assert round_up(0.0) == 1.0


@given(st.timedeltas(timedelta(seconds=60), timedelta(days=365 * 30)), st.integers(3, 12))
def test_ticks_of_time_are_rising_inside_and_few(span: timedelta, about: int) -> None:
    found = [at for at, _ in time_ticks(START, START + span, about)]
    assert len(found) <= about + 2
    assert all(START <= at <= START + span for at in found)
    assert found == sorted(set(found))


def test_ticks_within_days_show_the_clock_and_name_each_midnight() -> None:
    texts = [text for _, text in time_ticks(START, START + timedelta(days=1), 6)]
    assert "21 Nov" in texts
    assert all(re.fullmatch(r"\d\d:\d\d|\d+ Nov", text) for text in texts)


def test_ticks_over_years_show_months() -> None:
    assert all(re.fullmatch(r"[A-Z][a-z]{2} \d{4}", text) for _, text in time_ticks(START, START + timedelta(days=800)))


@given(st.integers(0, 10**12))
def test_a_short_count_takes_at_most_five_characters_and_is_near_the_truth(n: int) -> None:
    text = short_count(n)
    assert len(text) <= 5
    sizes = {"k": 1e3, "M": 1e6, "G": 1e9}
    told = float(text.rstrip("kMG")) * sizes.get(text[-1], 1)
    assert told == pytest.approx(n, rel=0.06, abs=0.5)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(seconds=-3), "0 s"),
        (timedelta(seconds=45), "45 s"),
        (timedelta(minutes=12, seconds=30), "12 min"),
        (timedelta(hours=3, minutes=20), "3 h 20 min"),
        (timedelta(hours=13, minutes=20), "13 h"),
        (timedelta(days=9, hours=4), "9 d 4 h"),
    ],
)
def test_durations_are_told_in_one_or_two_units(duration: timedelta, text: str) -> None:
    assert duration_text(duration) == text


def test_numbers_and_instants_are_written_for_people() -> None:
    assert plain(1234567) == "1\u202f234\u202f567"
    assert plain(-0.25, 0.05) == "\u22120.25"
    assert instant_text(START) == "20 Nov 2026, 07:13 UTC"
