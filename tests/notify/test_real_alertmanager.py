"""Through a real Alertmanager: an alert that fires and resolves, and a caldrift that falls silent."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from monitor.demo.ports import free_port
from monitor.postgres.database import Connection, connect
from tests.embedded import missing
from tests.notify.receivers import Receiver, receiving
from tests.postgres.queueing import queue, states, story
from tests.workers.delivering import delivering, put_rules, until

pytestmark = pytest.mark.ci
SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus" / "alertmanager.yml"


def binary(*names: str) -> str:
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    missing(f"{names[0]} (Debian's prometheus-alertmanager) passes alerts on")
    raise AssertionError("missing() ends the test")


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, "test") as connected:
        yield connected


@contextmanager
def alertmanager(folder: Path, receiver: Receiver) -> Iterator[str]:
    """The URL of a real one with the shipped configuration, faster, that tells the receiver."""
    config = SHIPPED.read_text(encoding="utf-8").replace("http://receiver.example/", receiver.url)
    config = config.replace("group_wait: 30s", "group_wait: 1s").replace("group_interval: 1m", "group_interval: 1s")
    assert receiver.url in config
    (folder / "alertmanager.yml").write_text(config, encoding="utf-8")
    address = f"127.0.0.1:{free_port(0)}"
    command = [
        binary("prometheus-alertmanager", "alertmanager"),
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/data",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]}) as process,
    ):
        try:
            until(lambda: _is_ready(f"http://{address}/-/ready"), f"it is ready: {(folder / 'log').read_text()}")
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(30)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def heard(receiver: Receiver) -> list[tuple[str, str]]:
    """Each alert of each message of Alertmanager: its name, and whether it fires."""
    bodies = [json.loads(seen.body) for seen in receiver.seen]
    return [(one["labels"]["alertname"], one["status"]) for body in bodies for one in body["alerts"]]


def test_the_shipped_configuration_is_valid() -> None:
    checked = subprocess.run(
        [binary("amtool"), "check-config", str(SHIPPED)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_an_alert_goes_through_and_resolves(database: str, connection: Connection, tmp_path: Path) -> None:
    with receiving() as receiver, alertmanager(tmp_path, receiver) as url:
        put_rules(connection, {"am": {"kind": "alertmanager", "urls": [url], "resend_every": "1s"}})
        with delivering(database):
            queue(connection, story("fired"), "am")
            until(lambda: heard(receiver) == [("EceHigh", "firing")], "it fires")
            time.sleep(4)  # longer than Alertmanager believes in it without a word: it is told again, and stays
            assert ("EceHigh", "resolved") not in heard(receiver)
            queue(connection, story("resolved"), "am")
            until(lambda: heard(receiver)[-1] == ("EceHigh", "resolved"), "it resolves")
        assert states(connection, "am") == ["told", "told"]
    body = json.loads(receiver.seen[0].body)
    assert body["alerts"][0]["annotations"]["evidence"].startswith("ece 0.153 (0.121 to 0.187), n 1,240")


def test_a_caldrift_that_falls_silent_fires_there(database: str, connection: Connection, tmp_path: Path) -> None:
    connection.execute("UPDATE evaluation SET evaluated_at = clock_timestamp()")
    with receiving() as receiver, alertmanager(tmp_path, receiver) as url:
        put_rules(
            connection,
            {"am": {"kind": "alertmanager", "urls": [url]}},
            heartbeat={"every": "1s", "notify": ["am"]},
        )
        with delivering(database):
            beats = "SELECT FROM channel WHERE beat_at IS NOT NULL"
            until(lambda: connection.execute(beats).rowcount == 1, "it gives signs of life")
            time.sleep(5)
            assert heard(receiver) == [], "nobody hears of a caldrift that lives"
        until(lambda: ("CaldriftSilent", "firing") in heard(receiver), "its silence fires")
