"""The leader's turns on a real Postgres."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.calibration.reading import ReadingSettings
from monitor.postgres.database import Connection, connect
from monitor.postgres.leader import take_lead
from monitor.rolling.panes import hour_of
from monitor.rolling.windows import window_named
from monitor.workers.evaluation import turn
from monitor.workers.standing import Evaluation, load
from tests.workers.deltas import delta_of_events, some_events, some_sets, write_delta

NOW = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
EVALUATION = Evaluation(
    windows=tuple(window_named(name) for name in ("1d", "7d", "all")),
    maturity=timedelta(hours=2),
    every=timedelta(minutes=5),
    reading=ReadingSettings(min_labels=1, draws=50),
    main_signal="confidence",
)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A connection to a new database."""
    with connect(database, "test") as connected:
        yield connected


def test_a_turn_makes_series_panes_windows_and_readings(connection: Connection) -> None:
    rng = np.random.default_rng(1)
    sets = some_sets(connection, "m", ["de", "en"])
    hour = hour_of(NOW)
    write_delta(connection, delta_of_events(some_events(rng, sets, range(hour - 30, hour), 500)))
    epoch = take_lead(connection)
    assert epoch is not None
    standing = load(connection, epoch, EVALUATION)
    done = turn(connection, standing, EVALUATION, NOW)
    assert (done.deltas, done.readings) == (1, 9)
