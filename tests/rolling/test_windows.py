"""Rolling windows equal a recount after any history."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.sketch import Sketch, empty, merge, sketch_of, subtract
from monitor.errors import BadInput
from monitor.rolling.panes import EVERYTHING, HOUR, Span, days, hour_after, hour_of, start_of
from monitor.rolling.windows import RollingWindow, Window, absorb, advance, plan, span_at, window_named

spans = st.builds(lambda start, hours: Span(start, start + hours), st.integers(0, 60), st.integers(0, 30))
instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants bounds without a zone
moves = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.integers(-20, 200)),
        st.tuples(st.just("label"), st.integers(0, 400)),
        st.tuples(st.just("correction"), st.integers(0, 400)),
    ),
    max_size=40,
)


def hours_of(span: Span) -> set[int]:
    return set(range(span.start_hour, span.end_hour))


def recount(panes: dict[int, Sketch], span: Span) -> Sketch:
    """The sum of the span's panes, from nothing."""
    return merge(*(sketch for hour, sketch in panes.items() if hour in hours_of(span)))


@given(moves, st.integers(1, 100), st.integers(0, 2**32 - 1))
def test_a_window_equals_a_recount_after_any_jumps_and_late_changes(
    steps: list[tuple[str, int]], hours: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    window, maturity = Window("w", hours), timedelta(hours=3)
    panes: dict[int, Sketch] = {}
    now = start_of(200)
    state: RollingWindow | None = None
    for step, number in steps:
        if step == "advance":
            now += number * HOUR
            move = plan(state.span if state else None, span_at(window, now, maturity))
            entering = merge(*(recount(panes, span) for span in move.entering))
            leaving = merge(*(recount(panes, span) for span in move.leaving))
            state = advance(state, move, entering, leaving)
        else:
            new = sketch_of(rng.integers(0, 11, 3) / 10, rng.integers(0, 2, 3).astype(float))
            old = panes.get(number, empty())
            change = new if step == "label" else subtract(new, old)
            panes[number] = merge(old, change)
            state = absorb(state, [(number, change)]) if state else None
        if state is not None:
            assert state.sketch == recount(panes, state.span)


@given(spans, spans)
def test_a_move_adds_what_is_missing_and_subtracts_what_is_too_much(held: Span, target: Span) -> None:
    move = plan(held, target)
    start = set() if move.afresh else hours_of(held)
    left = start - {hour for span in move.leaving for hour in hours_of(span)}
    entering = [hour for span in move.entering for hour in hours_of(span)]
    assert not left & set(entering)
    assert len(entering) == len(set(entering))
    assert left | set(entering) == hours_of(target)
    if not move.afresh:
        assert set(entering) == hours_of(target) - hours_of(held)


@given(instants, st.integers(1, 800), st.integers(0, 200))
def test_every_pane_of_a_window_ended_before_the_maturity_and_no_later_one_did(
    now: datetime, hours: int, maturity_hours: int
) -> None:
    span = span_at(Window("w", hours), now, maturity_hours * HOUR)
    assert span.hours == hours
    assert start_of(span.end_hour) <= now - maturity_hours * HOUR < start_of(span.end_hour + 1)


def test_the_window_of_everything_leaves_out_only_what_is_too_young() -> None:
    now = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
    everything = window_named("all")
    assert span_at(everything, now, timedelta(0)) == EVERYTHING
    assert span_at(everything, now, timedelta(hours=2)) == Span(0, hour_of(now) - 2)


@pytest.mark.parametrize(("name", "hours"), [("1d", 24), ("36h", 36), ("30d", 720), ("all", None)])
def test_a_window_is_named_by_its_length(name: str, hours: int | None) -> None:
    assert window_named(name) == Window(name, hours)


@pytest.mark.parametrize("name", ["", "7", "0d", "-1d", "1.5h", "7 d", "1w", "ALL", "90m", "100000d"])
def test_other_names_of_windows_are_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(BadInput, match=r"whole hours \(12h\), whole days \(7d\) or all"):
        window_named(name)


@given(instants)
def test_an_instant_lies_in_its_pane_and_is_known_by_the_full_hour_after_it(at: datetime) -> None:
    assert start_of(hour_of(at)) <= at < start_of(hour_of(at) + 1)
    assert start_of(hour_after(at) - 1) < at <= start_of(hour_after(at))


@given(spans, spans)
def test_cutting_one_span_out_of_another_leaves_the_other_hours(one: Span, other: Span) -> None:
    left = one.without(other)
    assert [hour for span in left for hour in sorted(hours_of(span))] == sorted(hours_of(one) - hours_of(other))
    assert all(span.hours for span in left)


@given(spans)
def test_the_days_of_a_span_are_the_whole_utc_days_within_it(span: Span) -> None:
    expected = [day for day in range(0, 120, 24) if hours_of(Span(day, day + 24)) <= hours_of(span)]
    assert [day.start_hour for day in days(span)] == expected
