"""Spans over panes of which some are days, and when hours may become days."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.rolling.maturity import is_mature, mature_hour
from monitor.rolling.panes import DAY_HOURS, EVERYTHING, HOUR, Span, start_of
from monitor.rolling.spans import merge_before, snapped

DAY = 480_000


def panes_of(merged_days: int, hours: int) -> list[Span]:
    """Merged days from DAY on, then hours."""
    days = [Span(DAY + 24 * day, DAY + 24 * day + 24) for day in range(merged_days)]
    first = DAY + 24 * merged_days
    return days + [Span(hour, hour + 1) for hour in range(first, first + hours)]


@given(st.integers(0, 3), st.integers(0, 30), st.integers(-10, 90), st.integers(1, 60))
def test_an_edge_inside_a_merged_day_moves_out_and_no_other_edge_moves(
    merged: int, hours: int, offset: int, length: int
) -> None:
    panes = panes_of(merged, hours)
    asked = Span(DAY + offset, DAY + offset + length)
    covered = snapped(asked, panes)
    for pane in panes:
        inside = covered.start_hour <= pane.start_hour and pane.end_hour <= covered.end_hour
        assert inside == pane.meets(asked)
    assert covered.start_hour in {asked.start_hour, *(pane.start_hour for pane in panes)}
    assert covered.end_hour in {asked.end_hour, *(pane.end_hour for pane in panes)}
    assert covered.start_hour <= asked.start_hour
    assert asked.end_hour <= covered.end_hour


def test_everything_reaches_from_the_first_pane_to_the_last() -> None:
    assert snapped(EVERYTHING, panes_of(2, 5)) == Span(DAY, DAY + 53)
    assert snapped(EVERYTHING, []) == EVERYTHING


@given(st.integers(0, 10_000), st.integers(0, 5_000), st.lists(st.integers(0, 10_000)))
def test_only_whole_days_are_merged_that_are_old_and_in_no_window(now: int, horizon: int, held: list[int]) -> None:
    limit = merge_before(start_of(now + 5_000), horizon * HOUR, held)
    assert limit % DAY_HOURS == 0
    assert limit <= now + 5_000 - horizon
    assert all(limit <= hour for hour in held)
    assert limit + DAY_HOURS > min([now + 5_000 - horizon, *held])


@given(st.integers(1_000, 2_000), st.integers(0, 100))
def test_a_pane_is_mature_once_it_ended_that_long_ago(hour: int, maturity: int) -> None:
    now = start_of(hour) + timedelta(minutes=59)
    first_young = mature_hour(now, maturity * HOUR)
    assert is_mature(Span(0, first_young), now, maturity * HOUR)
    assert not is_mature(Span(0, first_young + 1), now, maturity * HOUR)
