"""One clock: the wall's to the microsecond, or a scaled one that every process tells alike."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.postgres.database import connect
from monitor.postgres.installation import set_clock
from monitor.workers.clock import Clock, load_clock, wall_clock, wall_now

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
STARTED = datetime(2026, 11, 22, 5, tzinfo=UTC)
durations = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30))
rates = st.floats(0.01, 10_000.0)


@given(durations.map(lambda passed: EPOCH + passed))
def test_the_wall_clock_shows_the_very_instant(now: datetime) -> None:
    assert wall_clock(STARTED).at(now) == now


@given(rates, durations, durations)
def test_a_scaled_clock_runs_forward_at_its_rate(rate: float, first: timedelta, more: timedelta) -> None:
    clock = Clock(EPOCH, STARTED, rate)
    earlier, later = clock.at(STARTED + first), clock.at(STARTED + first + more)
    assert earlier <= later
    assert abs((later - earlier) - more * rate) <= timedelta(milliseconds=1)


def test_an_hour_of_the_demo_takes_a_second() -> None:
    clock = Clock(EPOCH, STARTED, 3600.0)
    assert clock.at(STARTED) == EPOCH
    assert clock.at(STARTED + timedelta(seconds=24)) == EPOCH + timedelta(days=1)
    assert clock.wall(timedelta(hours=12)) == timedelta(seconds=12)


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_clock_that_stands_or_runs_backward_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Clock(EPOCH, STARTED, rate)


def test_every_process_reads_the_same_clock_from_the_database(database: str) -> None:
    clock = Clock(EPOCH, STARTED, 3600.0)
    with connect(database, "test") as connection:
        assert load_clock(connection).is_wall, "a new database shows wall time"
        set_clock(connection, clock.stored)
    with connect(database, "test") as connection:
        assert load_clock(connection) == clock
    assert wall_now().tzinfo is UTC
