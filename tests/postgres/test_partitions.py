"""Partitions by day: which ids have a place, what is made ahead, what may be dropped."""

import uuid
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.postgres import partitions
from monitor.postgres.database import Connection
from monitor.postgres.partitions import IdRange
from tests.postgres.sessions import another

DAY = date(2031, 5, 4)
MIDNIGHT = datetime(2031, 5, 4, tzinfo=UTC)


def uuid7(at: datetime, tail: int = 1) -> uuid.UUID:
    milliseconds = round(at.timestamp() * 1000)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | tail)


def store(connection: Connection, event_id: uuid.UUID) -> None:
    connection.execute("INSERT INTO pair (id) VALUES (%s)", (event_id,))


def test_the_first_id_of_a_day_is_the_border_that_postgres_uses(time_ordered: Connection) -> None:
    partitions.add_days(time_ordered, DAY, DAY)
    store(time_ordered, uuid.UUID(bytes=partitions.first_id(DAY)))
    last = int.from_bytes(partitions.first_id(DAY + timedelta(days=1)), "big") - 1
    store(time_ordered, uuid.UUID(int=last))
    row = time_ordered.execute("SELECT count(*) FROM pair_day_20310504").fetchone()
    assert row == (2,)


def test_ids_outside_the_range_have_no_partition_and_ids_inside_have_one(time_ordered: Connection) -> None:
    held = partitions.id_range(time_ordered)
    assert held is not None
    inside = [held.low, (int.from_bytes(held.high, "big") - 1).to_bytes(16, "big")]
    outside = [(int.from_bytes(held.low, "big") - 1).to_bytes(16, "big"), held.high, bytes(16), b"\xff" * 16]
    for event_id in inside:
        assert held.holds(event_id)
        store(time_ordered, uuid.UUID(bytes=event_id))
    for event_id in outside:
        assert not held.holds(event_id)
        with pytest.raises(psycopg.errors.CheckViolation):
            store(time_ordered, uuid.UUID(bytes=event_id))


def test_the_hashed_layout_has_a_place_for_every_id(connection: Connection) -> None:
    assert partitions.id_range(connection) is None
    assert partitions.days(connection) == []
    store(connection, uuid.UUID(int=0))
    store(connection, uuid.UUID(int=2**128 - 1))


def test_days_beyond_a_gap_count_only_after_it(time_ordered: Connection) -> None:
    partitions.add_days(time_ordered, DAY, DAY + timedelta(days=2))
    assert partitions.id_range(time_ordered) == IdRange(
        partitions.first_id(DAY), partitions.first_id(DAY + timedelta(days=3))
    )


def test_making_days_again_makes_nothing(time_ordered: Connection) -> None:
    assert partitions.add_days(time_ordered, DAY, DAY + timedelta(days=2)) == 3
    assert partitions.add_days(time_ordered, DAY - timedelta(days=1), DAY + timedelta(days=2)) == 1


def test_a_day_is_made_while_a_batch_holds_the_table(time_ordered: Connection) -> None:
    with another(time_ordered) as batch, batch.transaction():
        store(batch, uuid7(datetime.now(UTC)))
        time_ordered.execute("SET lock_timeout = '2s'")
        assert partitions.add_days(time_ordered, DAY, DAY) == 1


def test_days_are_dropped_only_a_whole_day_under_the_floor(time_ordered: Connection) -> None:
    days = [DAY + timedelta(days=n) for n in range(4)]
    partitions.add_days(time_ordered, days[0], days[-1])
    floor_at = MIDNIGHT + timedelta(days=3)
    time_ordered.execute("UPDATE retention_floor SET floor_at = %s", (floor_at,))
    store(time_ordered, uuid7(MIDNIGHT + timedelta(hours=1)))
    partitions.drop_days(time_ordered, floor_at)
    assert partitions.days(time_ordered) == days[2:]
    assert time_ordered.execute("SELECT count(*) FROM pair").fetchone() == (0,)


def test_a_long_reader_puts_the_drop_off_instead_of_holding_up_ingest(time_ordered: Connection) -> None:
    time_ordered.execute("UPDATE retention_floor SET floor_at = %s", (MIDNIGHT,))
    before = partitions.days(time_ordered)
    with another(time_ordered) as reader, reader.transaction():
        reader.execute("SELECT count(*) FROM pair")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            partitions.drop_days(time_ordered, MIDNIGHT)
    assert partitions.days(time_ordered) == before


def test_days_are_refused_in_the_hashed_layout(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="not partitioned by day"):
        partitions.add_days(connection, DAY, DAY)


@given(st.integers(946_684_800_000, 7_258_118_400_000))
def test_an_id_lies_in_the_day_in_which_it_was_made(milliseconds: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    event_id = uuid7(at).bytes
    assert abs(partitions.id_at(event_id) - at) <= timedelta(milliseconds=1)
    day = partitions.id_at(event_id).date()
    assert IdRange(partitions.first_id(day), partitions.first_id(day + timedelta(days=1))).holds(event_id)


def test_an_id_that_is_no_time_reads_as_the_end_of_time() -> None:
    assert partitions.id_at(b"\xff" * 16).year == 9999
