"""`caldrift run` on servers that somebody else looks after."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from monitor.demo.processes import identity
from monitor.kafka.access import KafkaAccess
from monitor.kafka.publisher import Publisher
from tests.embedded import Topics

COMMAND = [sys.executable, "-P", "-m", "monitor.cli.app"]


@dataclass
class Run:
    """A running service; its log is one JSON object a line."""

    process: subprocess.Popen[bytes]
    log: Path
    environment: dict[str, str]

    def events(self) -> list[dict[str, object]]:
        """What the supervisor said."""
        lines = self.log.read_text().splitlines()
        said = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [event for event in said if event["role"] == "supervisor"]

    def pids(self) -> dict[str, int]:
        """The last process of each role."""
        return {str(e["name_of_role"]): int(str(e["pid"])) for e in self.events() if e["event"] == "started"}

    def wait_for(self, holds: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {self.log.read_text()[-3000:]}"
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def wait_until_ready(self) -> str:
        """The page's address."""
        self.wait_for(lambda: any(e["event"] == "ready" for e in self.events()), "it was not ready")
        return next(str(e["web"]) for e in self.events() if e["event"] == "ready")

    def status(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "status", *arguments],
            cwd=self.log.parent, env=self.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[Run]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CALDRIFT_")}
    environment |= {"CALDRIFT_WEB__PORT": "0"} | {f"CALDRIFT_{name.upper()}": value for name, value in settings.items()}
    with (folder / "run.log").open("ab") as log:
        process = subprocess.Popen(
            [*COMMAND, "run"], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield Run(process, folder / "run.log", environment)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def servers(database: str, broker: str, topics: Topics) -> dict[str, str]:
    return {
        "postgres__dsn": database,
        "kafka__bootstrap_servers": broker,
        "kafka__predictions_topic": topics.predictions,
        "kafka__labels_topic": topics.labels,
        "kafka__group_id": topics.predictions,
        "kafka__session_timeout": "6s",
        "kafka__heartbeat_interval": "1s",
    }


def publish(broker: str, topics: Topics, n: int) -> None:
    with Publisher(KafkaAccess((broker,))) as publisher:
        for i in range(n):
            key = f"id-{i}".encode()
            prediction = {
                "prediction_id": f"id-{i}",
                "model": "m",
                "predicted_at": 1_760_000_000_000,
                "confidence": 0.7,
            }
            label = {"prediction_id": f"id-{i}", "labelled_at": 1_760_000_100_000, "correct": i % 2 == 0}
            publisher.send(topics.predictions, key, json.dumps(prediction).encode())
            publisher.send(topics.labels, key, json.dumps(label).encode())
        publisher.flush()


@pytest.mark.timeout(400)
def test_roles_are_kept_running_and_stop_in_order(
    servers: dict[str, str], broker: str, topics: Topics, tmp_path: Path
) -> None:
    with running(tmp_path, **servers) as run:
        web = run.wait_until_ready()
        publish(broker, topics, 200)
        assert run.status("--wait", "90s").returncode == 0
        before = run.pids()
        assert set(before) == {"ingest-1", "evaluate", "deliver", "web"}
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        run.wait_for(lambda: not set(run.pids().values()) & set(before.values()), "not every role came back")
        host, _, port = web.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        connection.request("GET", "/livez")
        assert connection.getresponse().status == 200, "at the same address"
        connection.close()
        publish(broker, topics, 300)
        waited = run.status("--wait", "90s", "--json")
        assert waited.returncode == 0, waited.stderr
        run.process.terminate()
        assert run.process.wait(60) == 0
        assert [pid for pid in run.pids().values() if identity("", pid) is not None] == []


@pytest.mark.timeout(200)
def test_an_intake_that_refuses_a_flood_of_bad_messages_stays_down_while_the_page_stays_up(
    servers: dict[str, str], broker: str, topics: Topics, tmp_path: Path
) -> None:
    with Publisher(KafkaAccess((broker,))) as publisher:
        for _ in range(50):
            publisher.send(topics.predictions, b"x", b"no JSON")
        publisher.flush()
    with running(tmp_path, **servers | {"ingest__dead_letter_run": "10"}) as run:
        run.wait_until_ready()
        run.wait_for(
            lambda: any("refuses" in str(e["event"]) and e["name_of_role"] == "ingest-1" for e in run.events()),
            "ingest went on",
        )
        time.sleep(2.0)
        assert sum(e["event"] == "started" and e["name_of_role"] == "ingest-1" for e in run.events()) == 1
        run.process.terminate()
        assert run.process.wait(60) == 4


@pytest.mark.timeout(100)
def test_a_database_that_is_away_is_waited_for_and_a_stop_ends_the_wait(tmp_path: Path) -> None:
    with running(tmp_path, postgres__dsn="postgresql://someone:secret@127.0.0.1:1/x") as run:
        run.wait_for(lambda: any("does not answer" in str(e["event"]) for e in run.events()), "it says nothing")
        run.process.terminate()
        assert run.process.wait(30) == 0
        assert "secret" not in run.log.read_text()
