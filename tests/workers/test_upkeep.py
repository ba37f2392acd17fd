"""Upkeep by the leader: due by the clock, repeatable, and without a trace in any number."""

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest

from monitor.calibration.reading import ReadingSettings, Subject
from monitor.calibration.readout import read
from monitor.calibration.sketch import sketch_of
from monitor.postgres.database import Connection, connect
from monitor.postgres.panes import series_sum
from monitor.postgres.readings import StoredReading, thin, write_readings
from monitor.postgres.retention import Horizons
from monitor.postgres.series import read_series
from monitor.rolling.panes import EVERYTHING, hour_of, start_of
from monitor.workers.evaluation import turn
from monitor.workers.upkeep import Kept, upkeep
from tests.workers.deltas import delta_of_events, some_events, some_sets, write_delta
from tests.workers.test_evaluation import EVALUATION, NOW, at, lead

DAY = timedelta(days=1)
HORIZONS = Horizons(
    label=3 * DAY, correction=2 * DAY, history=30 * DAY, readings=100 * DAY, dead_letters=30 * DAY, hour_panes=15 * DAY
)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A connection to a new database."""
    with connect(database, "test") as connected:
        yield connected


def widths(connection: Connection) -> dict[int, int]:
    """How many panes there are of each width in seconds."""
    return dict(connection.execute("SELECT width, count(*) FROM pane GROUP BY width").fetchall())


def test_hours_become_days_once_they_are_old_and_every_reading_stays(connection: Connection) -> None:
    rng = np.random.default_rng(1)
    sets, hour = some_sets(connection, "m", ["de"]), hour_of(NOW)
    write_delta(connection, delta_of_events(some_events(rng, sets, range(hour - 24 * 18, hour), 2_000)))
    standing = lead(connection)
    turn(connection, standing, EVALUATION, at(NOW))
    before = {one.id: series_sum(connection, one.id, EVERYTHING).sketch for one in read_series(connection)}
    kept = Kept()
    upkeep(connection, standing.epoch, HORIZONS, kept, NOW)
    assert set(widths(connection)) == {3_600, 86_400}
    oldest = connection.execute("SELECT min(pane_start) FROM pane WHERE width = 3600").fetchone()
    midnight = (NOW - HORIZONS.hour_panes).replace(hour=0, minute=0, second=0, microsecond=0)
    assert oldest is not None
    assert midnight <= oldest[0] < midnight + DAY
    merged = widths(connection)
    upkeep(connection, standing.epoch, HORIZONS, kept, NOW + timedelta(hours=1))
    assert widths(connection) == merged
    upkeep(connection, standing.epoch, HORIZONS, kept, NOW + DAY)
    assert widths(connection)[3_600] < merged[3_600]
    assert {one: series_sum(connection, one, EVERYTHING).sketch for one in before} == before


def test_hours_that_a_window_will_subtract_are_kept_after_long_downtime(connection: Connection) -> None:
    rng = np.random.default_rng(1)
    sets, hour = some_sets(connection, "m", ["de"]), hour_of(NOW)
    write_delta(connection, delta_of_events(some_events(rng, sets, range(hour - 24 * 6, hour), 1_000)))
    standing = lead(connection)
    turn(connection, standing, EVALUATION, at(NOW))
    later = NOW + 60 * DAY
    upkeep(connection, standing.epoch, HORIZONS, Kept(), later)
    assert set(widths(connection)) == {3_600}  # the week's window still starts there
    turn(connection, standing, EVALUATION, at(later))
    upkeep(connection, standing.epoch, HORIZONS, Kept(), later)
    assert set(widths(connection)) == {86_400}


def stored_at(series: int, ages: list[timedelta]) -> list[StoredReading]:
    sketch = sketch_of([0.5, 0.7], [1.0, 0.0])
    reading = read(sketch, ReadingSettings(min_labels=1, draws=10), Subject(model="m"))
    return [StoredReading(series, "1d", NOW - age, NOW - age, reading) for age in ages]


def test_of_older_readings_one_an_hour_then_one_a_day_stays_the_last_of_each(connection: Connection) -> None:
    write_delta(
        connection,
        delta_of_events(
            some_events(np.random.default_rng(1), some_sets(connection, "m", ["de"]), range(400_000, 400_001), 1)
        ),
    )
    turn(connection, lead(connection), EVALUATION, at(NOW))
    connection.execute("DELETE FROM reading")
    series = read_series(connection)[0].id
    ages = [timedelta(minutes=7 * number) for number in range(1, 1_500)]
    readings = stored_at(series, ages)
    write_readings(connection, readings)
    until, gone = thin(connection, NOW, None)
    left = [at for (at,) in connection.execute("SELECT as_of FROM reading ORDER BY as_of").fetchall()]
    assert len(left) + gone == len(readings)
    young, hourly = NOW - timedelta(hours=6), NOW - 3 * DAY
    every = [one.as_of for one in readings]
    assert [at for at in left if at >= young] == sorted(at for at in every if at >= young)
    assert {(at.date(), at.hour) for at in left if hourly + DAY < at < young} == {
        (at.date(), at.hour) for at in every if hourly + DAY < at < young
    }
    days = [at.date() for at in left if at < hourly.replace(hour=0, minute=0)]
    assert len(days) == len(set(days)) > 3
    for day in days:
        assert max(at for at in every if at.date() == day) in left
    assert thin(connection, NOW, until) == (NOW, 0)
    assert thin(connection, NOW + DAY, until)[1] > 0


def test_a_delta_for_a_merged_day_is_applied_and_absorbed(connection: Connection) -> None:
    rng = np.random.default_rng(2)
    sets, old = some_sets(connection, "m", ["de"]), hour_of(NOW - 20 * DAY)
    events = [some_events(rng, sets, range(old - 30, old), 300) for _ in range(2)]
    write_delta(connection, delta_of_events(events[0]))
    standing = lead(connection)
    turn(connection, standing, EVALUATION, at(NOW))
    upkeep(connection, standing.epoch, HORIZONS, Kept(), NOW)
    write_delta(connection, delta_of_events(events[1]))
    turn(connection, standing, EVALUATION, at(NOW + timedelta(minutes=10)))
    assert set(widths(connection)) == {86_400}
    n = sum(int((~np.isnan(each.outcome)).sum()) for each in events)
    rows = connection.execute(
        "SELECT (SELECT sum(u) FROM unnest(n) AS u) FROM window_sum WHERE window_name = 'all'"
    ).fetchall()
    assert rows == [(n,), (n,)]
    known = start_of(hour_of(NOW) + 1)
    whole = read_series(connection)[0].id
    assert series_sum(connection, whole, EVERYTHING, known).sketch == series_sum(connection, whole, EVERYTHING).sketch
