"""The role deliver, killed between every two of its steps, and with a database that restarts under it."""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.demo.postgres_server import start_postgres
from monitor.postgres.database import Connection, connect
from monitor.postgres.migration import upgrade
from tests.embedded import private_folder
from tests.notify.receivers import Receiver, Reply, Seen, receiving
from tests.postgres.queueing import let_pass, queue, states, story
from tests.workers.delivering import PATIENCE_SECONDS, deliver_process, delivering, keep_nothing, put_rules, until


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, "test") as connected:
        yield connected


def blocked(connection: Connection) -> bool:
    """Whether a messenger waits for a lock that the test holds."""
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        " AND application_name LIKE 'caldrift deliver%'"
    ).fetchone()
    return row is not None and row[0] > 0


class Scene:
    """A notice that waits for a webhook, and a hold on the row that a step needs."""

    def __init__(self, connection: Connection, holder: Connection, receiver: Receiver) -> None:
        self.connection, self.holder, self.receiver = connection, holder, receiver
        self.asked, self.go_on = threading.Event(), threading.Event()

    def answer(self, seen: Seen) -> Reply:
        self.asked.set()
        self.go_on.wait(PATIENCE_SECONDS)
        return Reply(200)

    def hold(self, table: str) -> None:
        self.holder.execute("BEGIN")
        self.holder.execute(f"SELECT FROM {table} FOR UPDATE".encode())


def before_the_lease(scene: Scene) -> None:
    until(lambda: blocked(scene.connection), "it waits to lease")


def in_the_middle_of_telling(scene: Scene) -> None:
    until(scene.asked.is_set, "it is being told")


def between_telling_and_marking(scene: Scene) -> None:
    until(scene.asked.is_set, "it is being told")
    scene.hold("delivery")
    scene.go_on.set()
    until(lambda: blocked(scene.connection), "it waits to mark")


def in_the_middle_of_marking(scene: Scene) -> None:
    until(scene.asked.is_set, "it is being told")
    scene.connection.execute("INSERT INTO channel (name) VALUES ('hook')")
    scene.hold("channel")
    scene.go_on.set()
    until(lambda: blocked(scene.connection), "it has marked, and not committed")


def after_marking(scene: Scene) -> None:
    scene.go_on.set()
    until(lambda: states(scene.connection, "hook") == ["told"], "it is told")


STEPS = {
    # the step, and how often the receiver is asked in all
    "before the lease": (before_the_lease, 1),
    "in the middle of telling": (in_the_middle_of_telling, 2),
    "between telling and marking": (between_telling_and_marking, 2),
    "in the middle of marking": (in_the_middle_of_marking, 2),
    "after marking": (after_marking, 1),
}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_it_is_told_and_at_most_once_more_with_the_same_key(
    database: str, connection: Connection, tmp_path: Path, step: str
) -> None:
    reach, expected = STEPS[step]
    with receiving() as receiver, connect(database, "holder") as holder:
        keep_nothing(holder)
        scene = Scene(connection, holder, receiver)
        receiver.answering = scene.answer
        put_rules(connection, {"hook": {"kind": "webhook", "url": receiver.url}})
        queue(connection, story("fired"), "hook")
        if step == "before the lease":
            scene.hold("delivery")
        with deliver_process(database, tmp_path) as process:
            reach(scene)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        holder.execute("ROLLBACK")
        scene.go_on.set()
        let_pass(connection, ["lease_until"])
        queue(connection, story("resolved"), "hook")
        with deliver_process(database, tmp_path):
            until(lambda: set(states(connection, "hook")) == {"told"}, "everything is told")
    keys = Counter(seen.headers["idempotency-key"] for seen in receiver.seen)
    first, *_ = [seen.headers["idempotency-key"] for seen in receiver.seen]
    if step == "before the lease":
        # Nothing was under way, so that both are told as one.
        assert list(keys.values()) == [expected]
    else:
        assert keys[first] == expected
        assert len(keys) == 2
        assert [json.loads(seen.body)["status"] for seen in receiver.seen] == ["firing"] * expected + ["resolved"]
    assert "Traceback" not in (tmp_path / "deliver.log").read_text()


def test_a_database_that_restarts_in_the_middle_loses_nothing_and_doubles_nothing() -> None:
    with private_folder("caldrift-outbox-") as folder, receiving(lambda seen: Reply(200, slowly=0.01)) as receiver:
        server = start_postgres(folder / "postgres")
        try:
            upgrade(server.dsn)
            with connect(server.dsn, "test") as connection:
                put_rules(connection, {"hook": {"kind": "webhook", "url": receiver.url}})
                for number in range(150):
                    queue(connection, story("fired", f"i{number}"), "hook")
            with delivering(server.dsn):
                for count in (30, 80):
                    until(lambda count=count: len(receiver.seen) >= count, "some are told")  # type: ignore[misc]
                    os.kill(postmaster(folder), signal.SIGQUIT)
                    server.stop()
                    server = start_postgres(folder / "postgres", server.port)
                with connect(server.dsn, "test") as connection:
                    until(lambda: set(states(connection, "hook")) == {"told"}, "everything is told")
        finally:
            server.stop()
    incidents = Counter(json.loads(seen.body)["groupKey"] for seen in receiver.seen)
    assert len(incidents) == 150
    assert sum(incidents.values()) == 150


def postmaster(folder: Path) -> int:
    return int((folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
