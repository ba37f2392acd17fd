"""The installed command `caldrift evaluate` as a process: killed, cut off, stopped, and followed by another."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from monitor.postgres.database import Connection, connect
from monitor.rolling.panes import hour_of
from monitor.workers.clock import wall_now
from tests.workers.deltas import delta_of_events, some_events, some_sets, write_delta

PATIENCE_SECONDS = 40.0


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A connection to a new database."""
    with connect(database, "test") as connected:
        yield connected


@contextmanager
def evaluate(database: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The role on its own; ended with the block."""
    environment = {**os.environ, "CALDRIFT_POSTGRES__DSN": database}
    log = (folder / "evaluate.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor.cli.app", "evaluate"],
        env=environment,
        cwd=folder,
        stderr=log,
        stdin=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds, and fail when it does not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}"
        time.sleep(0.05)


def applied(connection: Connection) -> int:
    row = connection.execute("SELECT applied_deltas FROM evaluation").fetchone()
    assert row is not None
    return int(row[0])


def leaders(connection: Connection) -> list[int]:
    rows = connection.execute(
        "SELECT pid FROM role WHERE name = 'evaluate' AND (detail->>'leads')::boolean "
        "AND beat_at > now() - interval '4 s'"
    ).fetchall()
    return [int(pid) for (pid,) in rows]


def readings(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM reading").fetchone()
    assert row is not None
    return int(row[0])


def labels(connection: Connection) -> int:
    """Labels in the panes of all events."""
    row = connection.execute(
        "SELECT coalesce(sum(u), 0) FROM pane JOIN series ON id = series, unnest(n) AS u WHERE segment_text = '{}'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_the_role_survives_cut_connections_and_is_followed_when_it_is_killed(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    rng = np.random.default_rng(11)
    sets, hour = some_sets(connection, "m", ["de"]), hour_of(wall_now() - timedelta(days=4))
    written = [some_events(rng, sets, range(hour - 50, hour), 200) for _ in range(12)]
    expected = sum(int((~np.isnan(events.outcome)).sum()) for events in written)
    with evaluate(database, tmp_path) as first:
        until(lambda: leaders(connection) == [first.pid], "the first leads")
        with evaluate(database, tmp_path) as second:
            for place, events in enumerate(written):
                write_delta(connection, delta_of_events(events))
                if place == 3:
                    until(lambda: applied(connection) > 0, "deltas are applied")
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE application_name LIKE 'caldrift evaluate%' AND datname = current_database()"
                    )
                if place == 8:
                    os.kill(first.pid, signal.SIGKILL)
                    first.wait()
            until(lambda: applied(connection) == len(written), "every delta is applied")
            until(lambda: labels(connection) == expected, "every label is counted once")
            until(lambda: second.pid in leaders(connection), "the second leads")
            until(lambda: readings(connection) > 4, "readings are stored")
            second.send_signal(signal.SIGTERM)
            assert second.wait(25) == 0
            assert connection.execute("SELECT count(*) FROM role WHERE pid = %s", (second.pid,)).fetchone() == (0,)
    log = (tmp_path / "evaluate.log").read_text()
    assert "Traceback" not in log
    assert labels(connection) == expected


def test_without_a_database_the_role_waits_and_says_so_and_stops_when_it_is_told(tmp_path: Path) -> None:
    with evaluate("postgresql://nobody@127.0.0.1:1/nothing", tmp_path) as process:
        log = tmp_path / "evaluate.log"
        until(lambda: "does not answer" in log.read_text(), "it says what it waits for")
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(25) == 0
