"""Exactly once: the installed service, hurt in every way we know, against a sequential pass over the same log.

The seed of a failing run is in the test's name; CALDRIFT_SEEDS=7,8,9 runs others, CALDRIFT_EVENTS makes the log longer.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from kafka import KafkaProducer

from monitor.demo.postgres_server import PostgresServer, start_postgres
from monitor.postgres.migration import upgrade
from tests.embedded import Topics, private_folder
from tests.end_to_end.fleet import Fleet, wait_for, write_settings
from tests.end_to_end.log import PREDICTIONS, Message, write_log
from tests.end_to_end.oracle import expected_cells
from tests.end_to_end.proxy import CommitCutter
from tests.end_to_end.store import differences, offsets, stored_cells, waiting_deltas

SEEDS = [int(seed) for seed in os.environ.get("CALDRIFT_SEEDS", "1,2").split(",")]
EVENTS = int(os.environ.get("CALDRIFT_EVENTS", "4000"))
PATIENCE_SECONDS = 150
ROUNDS = 40


@dataclass(slots=True)
class Scene:
    """One log in a broker, one database of its own server, and the service between them."""

    fleet: Fleet
    broker: str
    topics: Topics
    log: list[Message]
    folder: Path
    server: PostgresServer
    proxy: CommitCutter

    @property
    def direct_dsn(self) -> str:
        """The database without the proxy in between."""
        return self.server.dsn

    def restart_postgres(self) -> None:
        """Kill the server as `pg_ctl stop -m immediate` does, and start it again on the same data and port."""
        port = self.server.port
        os.kill(_postmaster(self.folder / "postgres"), signal.SIGQUIT)
        self.server.stop()
        self.server = start_postgres(self.folder / "postgres", port, hasty=True)

    def is_done(self) -> bool:
        """Whether every message is joined and every batch is in the panes. A database that is away is not done."""
        ends = Counter((self.topics[message.topic != PREDICTIONS], message.part) for message in self.log)
        try:
            return offsets(self.direct_dsn) == ends and waiting_deltas(self.direct_dsn) == 0
        except psycopg.OperationalError:
            return False


def _postmaster(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])


@pytest.fixture(params=SEEDS, ids=lambda seed: f"seed{seed}")
def scene(request: pytest.FixtureRequest, broker: str, topics: Topics) -> Iterator[Scene]:
    """A log not yet published, and a service that has not started."""
    log = write_log(request.param, EVENTS)
    with private_folder("caldrift-once-") as folder:
        server = start_postgres(folder / "postgres", hasty=True)
        upgrade(server.dsn)
        proxy = CommitCutter(server.port, request.param)
        through = server.dsn.replace(f":{server.port}/", f":{proxy.port}/")
        settings = write_settings(folder / "caldrift.toml", broker, topics.predictions, topics.labels)
        scene = Scene(Fleet(settings, through, folder), broker, topics, log, folder, server, proxy)
        try:
            yield scene
        finally:
            scene.fleet.kill_all()
            proxy.close()
            scene.server.stop()


def publish(broker: str, topics: Topics, log: Sequence[Message]) -> None:
    """Put messages into the topics, each into its partition."""
    producer = KafkaProducer(bootstrap_servers=broker, acks="all", enable_idempotence=False, linger_ms=20)
    for message in log:
        topic = topics[message.topic != PREDICTIONS]
        producer.send(topic, key=message.key, value=message.value, partition=message.part)
    producer.flush()
    producer.close()


def test_a_quiet_run_equals_a_sequential_pass(scene: Scene) -> None:
    publish(scene.broker, scene.topics, scene.log)
    scene.fleet.start("ingest-0", "ingest")
    scene.fleet.start("evaluate", "evaluate")
    wait_for(scene.is_done, PATIENCE_SECONDS, "everything joined")
    assert differences(expected_cells(scene.log), stored_cells(scene.direct_dsn)) == ""
    assert scene.fleet.stop("ingest-0") == 0
    assert scene.fleet.stop("evaluate") == 0


def test_kills_rebalances_zombies_and_cut_commits_change_no_number(
    scene: Scene, request: pytest.FixtureRequest
) -> None:
    rng = random.Random(request.node.name)
    names = ["ingest-0", "ingest-1", "ingest-2"]
    for name in names:
        scene.fleet.start(name, "ingest")
    scene.fleet.start("evaluate", "evaluate")
    scene.proxy.armed = True
    faults = Counter[str]()
    step = len(scene.log) // ROUNDS + 1
    for start in range(0, len(scene.log), step):
        publish(scene.broker, scene.topics, scene.log[start : start + step])
        faults[_hurt(scene, rng, names)] += 1
        time.sleep(rng.uniform(0.2, 1.5))
    scene.restart_postgres()
    scene.proxy.armed = False
    for name in names:
        scene.fleet.signal(name, signal.SIGCONT)
    try:
        wait_for(scene.is_done, PATIENCE_SECONDS, f"everything joined after {dict(faults)}")
    except TimeoutError:
        print("\n".join(scene.fleet.log_of(name) for name in [*names, "evaluate"]))
        raise
    print(f"faults {dict(faults)}, cut commits {scene.proxy.cuts}")
    assert differences(expected_cells(scene.log), stored_cells(scene.direct_dsn)) == ""


def _hurt(scene: Scene, rng: random.Random, names: list[str]) -> str:
    """One fault; its name is for the report."""
    victim = rng.choice(names)
    fault = rng.choices(["kill", "pause", "resume", "terminate", "leader", "restart"], [6, 3, 2, 4, 2, 0.3])[0]
    if fault == "kill":
        scene.fleet.kill(victim)
        scene.fleet.start(victim, "ingest")
    elif (
        fault == "pause"
    ):  # longer than the session: the partitions get a second owner, and this one wakes up as a zombie
        scene.fleet.signal(victim, signal.SIGSTOP)
    elif fault == "resume":
        for name in names:
            scene.fleet.signal(name, signal.SIGCONT)
    elif fault == "terminate":
        with psycopg.connect(scene.direct_dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"
            )
    elif fault == "leader":
        scene.fleet.kill("evaluate")
        scene.fleet.start("evaluate", "evaluate")
    else:
        scene.restart_postgres()
    return fault
