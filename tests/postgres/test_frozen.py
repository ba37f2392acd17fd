"""Sessions that a frozen process left in the middle of a transaction are ended, and no others."""

import time
from collections.abc import Iterator
from contextlib import nullcontext

import psycopg
import pytest

from monitor.postgres.database import Connection, connect, is_lost
from monitor.postgres.frozen import end_frozen

FROZEN_SECONDS = 0.3


@pytest.fixture
def asking(database: str) -> Iterator[Connection]:
    with connect(database, "batches") as made:
        yield made


@pytest.mark.parametrize("ending", ["sync", "flush"])
def test_a_session_that_waits_for_its_process_inside_a_transaction_is_ended(
    database: str, asking: Connection, ending: str
) -> None:
    frozen = connect(database, "batches")
    pipeline = frozen.pipeline() if ending == "flush" else nullcontext()
    with pytest.raises(psycopg.Error) as caught, pipeline:
        freeze(frozen, asking)
    assert is_lost(caught.value)


def freeze(frozen: Connection, asking: Connection) -> None:
    """Leave a transaction open until another session ends it, gets its row, and this one learns of that."""
    frozen.execute("BEGIN")
    frozen.execute("SELECT floor_at FROM retention_floor FOR UPDATE").fetchall()
    assert end_frozen(asking, 60) == []
    time.sleep(2 * FROZEN_SECONDS)
    assert end_frozen(asking, FROZEN_SECONDS) == [frozen.info.backend_pid]
    assert asking.execute("SELECT floor_at FROM retention_floor FOR UPDATE").rowcount == 1
    frozen.execute("SELECT 1").fetchall()


def test_others_are_left_alone(database: str, asking: Connection) -> None:
    with (
        connect(database, "other work") as other,
        connect(database, "batches") as idle,
        connect(database, "batches") as waiting,
    ):
        other.execute("BEGIN")
        other.execute("LOCK TABLE pair")
        idle.execute("SELECT 1")
        with waiting.pipeline() as pipeline:
            waiting.execute("BEGIN")
            counted = waiting.execute("SELECT count(*) FROM pair")
            time.sleep(2 * FROZEN_SECONDS)
            assert end_frozen(asking, FROZEN_SECONDS) == []
            other.execute("COMMIT")
            pipeline.sync()
            assert counted.fetchall() == [(0,)]
            waiting.execute("COMMIT")
        assert idle.execute("SELECT 1").fetchall() == [(1,)]
