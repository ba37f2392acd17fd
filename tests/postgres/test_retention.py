"""Retention: the floor first, then what lies under it; nothing above it is touched."""

import threading
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.postgres import partitions, retention, roles
from monitor.postgres.database import Connection
from monitor.postgres.dead_letters import DeadLetter, insert
from monitor.postgres.retention import Horizons, Removed, next_floor
from tests.postgres.plans import assert_pair_is_not_scanned
from tests.postgres.sessions import another

NOW = datetime(2026, 6, 30, 15, 30, tzinfo=UTC)
DAY = timedelta(days=1)
HORIZONS = Horizons(
    label=20 * DAY,
    correction=10 * DAY,
    history=100 * DAY,
    readings=50 * DAY,
    dead_letters=5 * DAY,
    hour_panes=130 * DAY,
)
FLOOR = datetime(2026, 5, 31, tzinfo=UTC)
FAR = datetime(2095, 3, 20, 15, 30, tzinfo=UTC)

instants = st.integers(0, 4_000_000_000).map(
    lambda seconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@given(floor_at=instants, now=instants, horizon=st.timedeltas(timedelta(0), 1000 * DAY))
def test_the_floor_is_a_midnight_at_the_horizon_and_never_sinks(
    floor_at: datetime, now: datetime, horizon: timedelta
) -> None:
    floor = next_floor(floor_at, now, horizon)
    assert floor >= floor_at
    if floor > floor_at:
        assert (floor.hour, floor.minute, floor.second, floor.microsecond) == (0, 0, 0, 0)
        assert timedelta(0) <= now - horizon - floor < DAY


def put(connection: Connection, *, predicted_at: datetime | None, labelled_at: datetime | None) -> uuid.UUID:
    event_id = uuid.uuid4()
    connection.execute(
        "INSERT INTO pair (id, predicted_at, labelled_at) VALUES (%s, %s, %s)", (event_id, predicted_at, labelled_at)
    )
    return event_id


def ids(connection: Connection) -> set[uuid.UUID]:
    return {row[0] for row in connection.execute("SELECT id FROM pair")}


def test_pairs_under_the_floor_go_and_all_others_stay(connection: Connection) -> None:
    second = timedelta(seconds=1)
    put(connection, predicted_at=FLOOR - second, labelled_at=None)
    put(connection, predicted_at=FLOOR - second, labelled_at=NOW)
    put(connection, predicted_at=None, labelled_at=FLOOR - second)
    stay = {
        put(connection, predicted_at=FLOOR, labelled_at=None),
        put(connection, predicted_at=NOW, labelled_at=FLOOR - second),
        put(connection, predicted_at=None, labelled_at=FLOOR),
    }
    removed = retention.run(connection, NOW, HORIZONS)
    assert (removed.floor_at, removed.pairs, removed.finished) == (FLOOR, 3, True)
    assert ids(connection) == stay
    assert retention.read_floor(connection) == FLOOR


def test_a_second_run_on_the_same_day_finds_nothing_and_searches_nothing(connection: Connection) -> None:
    put(connection, predicted_at=FLOOR - DAY, labelled_at=None)
    assert retention.run(connection, NOW, HORIZONS).pairs == 1
    put(connection, predicted_at=FLOOR - DAY, labelled_at=None)
    assert retention.run(connection, NOW, HORIZONS) == Removed(FLOOR)
    assert retention.run(connection, NOW + DAY, HORIZONS).pairs == 1


def test_a_clock_that_steps_back_does_not_lower_the_floor(connection: Connection) -> None:
    retention.run(connection, NOW, HORIZONS)
    assert retention.run(connection, NOW - 10 * DAY, HORIZONS).floor_at == FLOOR


def test_a_large_table_is_walked_in_steps_over_several_runs(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PAGES_A_STEP", 2)
    connection.execute(
        "INSERT INTO pair (id, predicted_at) SELECT gen_random_uuid(), %s - n %% 2 * interval '1 day' "
        "FROM generate_series(1, 10000) AS n",
        (FLOOR,),
    )
    runs = [retention.run(connection, NOW, HORIZONS, steps=3)]
    while not runs[-1].finished:
        runs.append(retention.run(connection, NOW, HORIZONS, steps=3))
    assert len(runs) > 1
    assert sum(run.pairs for run in runs) == 5000
    row = connection.execute("SELECT count(*), min(predicted_at) FROM pair").fetchone()
    assert row == (5000, FLOOR)


def test_a_step_reads_only_its_pages(connection: Connection) -> None:
    connection.execute("INSERT INTO pair (id) SELECT gen_random_uuid() FROM generate_series(1, 50000)")
    connection.execute("ANALYZE pair")
    assert_pair_is_not_scanned(
        connection, "DELETE FROM pair WHERE ctid >= '(0,0)'::tid AND ctid < '(9,0)'::tid AND predicted_at < now()"
    )


def test_the_search_does_not_hold_up_batches(connection: Connection) -> None:
    put(connection, predicted_at=FLOOR - DAY, labelled_at=None)
    retention.raise_floor(connection, FLOOR)
    with another(connection) as batch, batch.transaction():
        batch.execute("SELECT floor_at FROM retention_floor FOR SHARE")
        connection.execute("SET lock_timeout = '5s'")
        assert retention.run(connection, NOW, HORIZONS).pairs == 1


def test_raising_the_floor_waits_for_the_batch_that_holds_it(connection: Connection) -> None:
    raised: list[datetime] = []
    with another(connection) as batch, another(connection) as leader:
        with batch.transaction():
            batch.execute("SELECT floor_at FROM retention_floor FOR SHARE")
            thread = threading.Thread(target=lambda: raised.append(retention.raise_floor(leader, FLOOR)))
            thread.start()
            thread.join(0.3)
            assert raised == []
        thread.join(30)
    assert raised == [FLOOR]


def test_time_ordered_partitions_are_made_ahead_and_dropped_behind(time_ordered: Connection) -> None:
    assert retention.run(time_ordered, FAR, HORIZONS).partitions_dropped > 0
    horizon, ahead = FAR - 30 * DAY, FAR + 7 * DAY
    days = partitions.days(time_ordered)
    assert (days[0], days[-1], len(days)) == (horizon.date(), ahead.date(), 38)
    assert retention.run(time_ordered, FAR, HORIZONS).partitions_added == 0
    later = retention.run(time_ordered, FAR + 3 * DAY, HORIZONS)
    assert (later.partitions_added, later.partitions_dropped, later.finished) == (3, 2, True)


def test_a_long_reader_leaves_the_run_unfinished(time_ordered: Connection) -> None:
    retention.run(time_ordered, FAR, HORIZONS)
    with another(time_ordered) as reader, reader.transaction():
        reader.execute("SELECT count(*) FROM pair")
        assert not retention.run(time_ordered, FAR + 3 * DAY, HORIZONS).finished
    assert retention.run(time_ordered, FAR + 3 * DAY, HORIZONS).finished


def test_old_dead_letters_and_readings_go(connection: Connection) -> None:
    ages = [timedelta(days=4), timedelta(days=6)]
    insert(connection, [DeadLetter("t", 0, n, "schema", "", None, None, NOW - age) for n, age in enumerate(ages)])
    connection.execute("INSERT INTO series (model, signal, segment, segment_text) VALUES ('m', 's', '{}', '{}')")
    for age in (timedelta(days=49), timedelta(days=51)):
        connection.execute(
            "INSERT INTO reading (series, window_name, as_of, computed_at, n, n_predictions, body)"
            " SELECT id, '7d', %(at)s, %(at)s, 0, 0, '{}' FROM series",
            {"at": NOW - age},
        )
    removed = retention.run(connection, NOW, HORIZONS)
    assert (removed.dead_letters, removed.readings) == (1, 1)
    assert connection.execute("SELECT kafka_offset FROM dead_letter").fetchall() == [(0,)]
    assert connection.execute("SELECT as_of FROM reading").fetchall() == [(NOW - timedelta(days=49),)]


def test_many_old_dead_letters_go_in_small_steps(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS_A_STEP", 3)
    insert(connection, [DeadLetter("t", 0, n, "schema", "", None, None, NOW - 9 * DAY) for n in range(8)])
    insert(connection, [DeadLetter("t", 1, 0, "schema", "", None, None, NOW)])
    assert retention.run(connection, NOW, HORIZONS).dead_letters == 8
    assert retention.run(connection, NOW, HORIZONS).dead_letters == 0


def test_the_app_role_may_do_all_of_it(either_layout: Connection) -> None:
    either_layout.execute(f"SET ROLE {roles.APP}".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        either_layout.execute("DROP TABLE reading")
    assert retention.run(either_layout, NOW, HORIZONS).finished
