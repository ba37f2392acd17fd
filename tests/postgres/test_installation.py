"""What is fixed once: the layout and the clock."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor.errors import Refused, Unavailable
from monitor.postgres.database import Connection
from monitor.postgres.installation import StoredClock, read_clock, read_installation, set_clock

STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAST = StoredClock(epoch_at=datetime(2026, 1, 1, tzinfo=UTC), started_at=STARTED, rate=3600.0)


def test_a_new_database_has_hashed_ids_and_the_wall_clock(connection: Connection) -> None:
    installation = read_installation(connection)
    assert installation.ids == "hashed"
    assert installation.clock.at(STARTED) == STARTED
    assert installation.created_at == installation.clock.started_at


def test_the_layout_of_a_time_ordered_database_is_read(time_ordered: Connection) -> None:
    assert read_installation(time_ordered).ids == "time-ordered"


def test_a_scaled_clock_runs_from_its_epoch_at_its_rate() -> None:
    assert FAST.at(STARTED) == FAST.epoch_at
    assert FAST.at(STARTED + timedelta(seconds=48)) == FAST.epoch_at + timedelta(days=2)


def test_a_clock_is_stored_to_the_microsecond_and_may_be_set_again_to_the_same(connection: Connection) -> None:
    clock = StoredClock(datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), STARTED, 0.1)
    set_clock(connection, FAST)
    set_clock(connection, clock)
    set_clock(connection, clock)
    assert read_clock(connection) == clock


def test_the_clock_of_a_database_in_use_cannot_be_changed(connection: Connection) -> None:
    set_clock(connection, FAST)
    connection.execute("INSERT INTO segment_set (key, model, segments, signals) VALUES ('k', 'm', '{}', '{}')")
    set_clock(connection, FAST)
    with pytest.raises(Refused, match="clock of this database is fixed"):
        set_clock(connection, StoredClock(STARTED, STARTED, 1.0))
    assert read_clock(connection) == FAST


def test_a_missing_row_asks_for_the_upgrade(connection: Connection) -> None:
    connection.execute("DELETE FROM installation")
    with pytest.raises(Unavailable, match="db upgrade"):
        read_clock(connection)
