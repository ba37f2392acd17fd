"""A log, a broker, a database of its own server, and the service between them; ways to hurt it; and the verdict."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from kafka import KafkaProducer

from monitor.demo.postgres_server import PostgresServer, start_postgres
from monitor.postgres.migration import upgrade
from tests.embedded import Topics, private_folder
from tests.end_to_end.fleet import Fleet, wait_for, write_settings
from tests.end_to_end.log import PREDICTIONS, Message, write_log
from tests.end_to_end.oracle import accepted, expected_cells
from tests.end_to_end.proxy import CommitCutter
from tests.end_to_end.store import counted, differences, locked_out, offsets, stored_cells, waiting_deltas

PATIENCE_SECONDS = 150.0


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

    def is_joined(self) -> bool:
        """Whether every message is joined. A database that is away is not done."""
        ends = Counter((self.topics[message.topic != PREDICTIONS], message.part) for message in self.log)
        try:
            return offsets(self.direct_dsn) == ends
        except psycopg.OperationalError:
            return False

    def is_done(self) -> bool:
        """Whether every message is joined, and every batch is in the panes."""
        return self.is_joined() and waiting_deltas(self.direct_dsn) == 0

    def complaint(self) -> str:
        """Nothing when the store holds what a sequential pass over the log gives, each message counted once."""
        cells = differences(expected_cells(self.log), stored_cells(self.direct_dsn))
        n = counted(self.direct_dsn)
        seen = {
            "predictions": sum(
                n.get(name, 0) for name in ("prediction", "duplicate_prediction", "prediction_conflict")
            ),
            "labels": sum(n.get(name, 0) for name in ("label", "duplicate_label", "stale_label")),
            "dead_letters": n.get("dead_letter", 0),
        }
        expected = accepted(self.log)
        return cells or ("" if seen == expected else f"counted {seen} of {expected}")


def _postmaster(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])


@contextmanager
def staged(
    seed: int, predictions: int, broker: str, topics: Topics, *, source: Path | None = None, every: int = 12
) -> Iterator[Scene]:
    """A log not yet published, and a service that has not started; `source` is another source tree to run."""
    log = write_log(seed, predictions)
    with private_folder("caldrift-once-") as folder:
        server = start_postgres(folder / "postgres", hasty=True)
        upgrade(server.dsn)
        proxy = CommitCutter(server.port, seed, every)
        through = server.dsn.replace(f":{server.port}/", f":{proxy.port}/")
        settings = write_settings(folder / "caldrift.toml", broker, topics.predictions, topics.labels)
        scene = Scene(Fleet(settings, through, folder, source), broker, topics, log, folder, server, proxy)
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


def two_owners(scene: Scene, patience: float = PATIENCE_SECONDS) -> str:
    """One process is frozen in the middle of a batch until its partitions have another owner, then wakes up.

    Returns the complaint. Raises TimeoutError when the service does not come to an end.
    """
    rest = _contested(scene, patience)
    scene.fleet.signal("first", signal.SIGCONT)
    publish(scene.broker, scene.topics, rest)
    wait_for(scene.is_done, patience, "everything joined")
    return scene.complaint()


def frozen_owner(scene: Scene, patience: float = PATIENCE_SECONDS) -> str:
    """One process is frozen in the middle of a batch, and stays so until another has done all the work.

    Returns the complaint. Raises TimeoutError when the service does not come to an end.
    """
    rest = _contested(scene, patience)
    publish(scene.broker, scene.topics, rest)
    wait_for(scene.is_done, patience, "everything joined by the second owner")
    scene.fleet.signal("first", signal.SIGCONT)
    return scene.complaint()


def _contested(scene: Scene, patience: float) -> list[Message]:
    """Two processes hold the same batch; the first is frozen inside its transaction. Returns what is not published."""
    half = len(scene.log) // 2
    later = scene.log[half:]
    contested = [each for each in later if each.topic == PREDICTIONS and each.part == 0][:100]
    scene.fleet.start("first", "ingest")
    scene.fleet.start("evaluate", "evaluate")
    publish(scene.broker, scene.topics, scene.log[:half])
    halfway = Counter((scene.topics[each.topic != PREDICTIONS], each.part) for each in scene.log[:half])
    wait_for(lambda: offsets(scene.direct_dsn) == halfway, patience, "the first half")
    with psycopg.connect(scene.direct_dsn) as blocker:
        blocker.execute("LOCK TABLE pair IN EXCLUSIVE MODE")
        publish(scene.broker, scene.topics, contested)
        wait_for(lambda: locked_out(scene.direct_dsn) >= 1, patience, "the first owner in the middle of a batch")
        scene.fleet.signal("first", signal.SIGSTOP)
        scene.fleet.start("second", "ingest")
        wait_for(lambda: '"partitions": ["' in scene.fleet.log_of("second"), patience, "a second owner")
        time.sleep(3)  # it reads and decodes the same messages
    chosen = {id(each) for each in contested}
    return [each for each in later if id(each) not in chosen]


def cut_commits(scene: Scene, patience: float = PATIENCE_SECONDS) -> str:
    """One process whose connection is cut around many of its commits, half of them after the server has seen them."""
    begun = len(scene.log) // 10
    scene.fleet.start("only", "ingest")
    publish(scene.broker, scene.topics, scene.log[:begun])
    wait_for(lambda: sum(offsets(scene.direct_dsn).values()) > 0, patience, "the first batch")
    scene.proxy.armed = True
    publish(scene.broker, scene.topics, scene.log[begun:])
    deadline = time.monotonic() + 45
    while (
        min(scene.proxy.committed, scene.proxy.rolled_back) < 3
        and not scene.is_joined()
        and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    scene.proxy.armed = False
    scene.fleet.start("evaluate", "evaluate")
    wait_for(scene.is_done, patience, "everything joined")
    return scene.complaint()
