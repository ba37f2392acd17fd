"""The role `deliver` for tests: rules that name channels on loopback, the role in this process or in one of its own."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import yaml

from monitor.alerting.notice import Notice
from monitor.alerting.rulefile import RuleFile
from monitor.config.sections import Settings
from monitor.config.values import kept
from monitor.notify.channel import Sender
from monitor.notify.exchange import Transport
from monitor.notify.slack import Picture
from monitor.postgres.database import Connection
from monitor.postgres.heartbeats import Process
from monitor.postgres.rule_sets import put_rule_set
from monitor.workers.clock import wall_now
from monitor.workers.deliver import Role, run
from monitor.workers.keeper import LOCK
from monitor.workers.messenger import Telling

PATIENCE_SECONDS = 120.0
Channels = Mapping[str, Mapping[str, object]]


def put_rules(
    connection: Connection,
    channels: Channels,
    fallback: list[str] | None = None,
    heartbeat: Mapping[str, object] | None = None,
) -> None:
    """Put rules in force that have these channels; `fallback` are those of the fallback route, without which there is
    none."""
    routes = {} if fallback is None else {"last_resort": {"notify": fallback}}
    body = {
        "rules": [{"name": "EceHigh", "metric": "ece", "enter": 0.05, "min_labelled": 2000}],
        "channels": channels,
        "routes": routes,
        **({"fallback_route": "last_resort"} if routes else {}),
        **({"heartbeat": heartbeat} if heartbeat else {}),
    }
    put_rule_set(connection, yaml.safe_dump(body), wall_now())


def rules_with(channels: Channels) -> RuleFile:
    """Rules that have these channels."""
    return RuleFile.model_validate(
        {"rules": [{"name": "EceHigh", "metric": "ece", "enter": 0.05}], "channels": channels}
    )


def no_picture(_notice: Notice) -> Picture | None:
    return None


@contextmanager
def delivering(
    database: str,
    *,
    timeout: float = 2.0,
    picture: Callable[[Notice], Picture | None] = no_picture,
    fresh_for: timedelta = timedelta(minutes=15),
) -> Iterator[threading.Event]:
    """The role in a thread of this process, quick to look; yields the event that has it read secrets again."""
    telling = Telling(
        dsn=database,
        sender=Sender("test", "http://caldrift.example", Transport(timeout=timeout)),
        picture=picture,
        fresh_for=fresh_for,
        look_seconds=0.02,
    )
    stop, reload = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            run(Role(telling, kept(Settings()), Process("deliver", os.getpid(), "test")), stop, reload)
        except BaseException as failure:  # noqa: BLE001 - shown by the test that waits for what then never comes
            failures.append(failure)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield reload
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive(), "the role did not stop"
        assert not failures, failures


def keep_nothing(connection: Connection) -> None:
    """Hold the keeper's lock as long as the connection lasts: of the incidents that tests queue there are no alerts."""
    connection.execute("SELECT pg_advisory_lock(%s, %s)", LOCK)


@contextmanager
def deliver_process(database: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command `caldrift deliver` on its own; ended with the block. It writes to deliver.log."""
    with (folder / "deliver.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "monitor.cli.app", "deliver"],
            env={**os.environ, "CALDRIFT_POSTGRES__DSN": database, **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something holds, and fail when it does not."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
