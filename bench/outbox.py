"""How fast the outbox tells: `python -m bench outbox`. The role is a process, its receivers are on loopback here.

One: notices a second from queued to accepted by a webhook, each of an incident of its own, with and without one in five
requests refused. Two: how long a notice takes on one channel, with and without a flood on another one.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg

from bench.servers import postgres
from monitor.postgres.database import Connection, connect
from monitor.postgres.migration import upgrade
from tests.notify.receivers import Reply, Seen, receiving
from tests.postgres.queueing import queue, story
from tests.workers.delivering import put_rules


class Ear:
    """A receiver: when it accepted what, and in how many of a hundred requests it refuses."""

    def __init__(self, refuses: float = 0.0) -> None:
        self.refuses, self.at = refuses, dict[str, float]()
        self._rng = random.Random(5)

    def __call__(self, seen: Seen) -> Reply:
        if self._rng.random() < self.refuses:
            return Reply(503)
        self.at.setdefault(json.loads(seen.body)["groupKey"], time.time())
        return Reply(200)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench outbox", description=__doc__)
    parser.add_argument("--notices", type=int, default=3000)
    parser.add_argument("--flood", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of notices on the quiet channel")
    chosen = parser.parse_args(arguments)
    with postgres() as dsn:
        upgrade(dsn)
        with connect(dsn, "bench") as connection:
            for refuses in (0.0, 0.2):
                _throughput(dsn, connection, chosen.notices, refuses)
            alone = _latency(dsn, connection, 0, chosen.seconds)
            flooded = _latency(dsn, connection, chosen.flood, chosen.seconds)
    print(f"p99 with the flood is {flooded / alone:.2f} times that without")


@contextmanager
def _role(dsn: str) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="caldrift-bench-") as folder, (Path(folder) / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "monitor.cli.app", "deliver"],
            env={**os.environ, "CALDRIFT_POSTGRES__DSN": dsn},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            with connect(dsn, "bench") as connection:
                while not connection.execute("SELECT FROM role WHERE name = 'deliver'").rowcount:
                    time.sleep(0.05)
            time.sleep(1.5)
            yield
        finally:
            process.terminate()
            process.wait()


def _throughput(dsn: str, connection: Connection, notices: int, refuses: float) -> None:
    _empty(connection)
    ear = Ear(refuses)
    with receiving(ear) as receiver:
        put_rules(connection, {"hook": {"kind": "webhook", "url": receiver.url}})
        for number in range(notices):
            queue(connection, story("fired", f"i{number}"), "hook")
        started = time.time()
        with _role(dsn):
            while len(ear.at) < notices:
                time.sleep(0.02)
    times = np.array(sorted(ear.at.values()))
    steady = times[int(0.95 * len(times))] - times[0]
    refused = f", {refuses:.0%} of the requests refused" if refuses else ""
    print(
        f"{notices:,} notices{refused}: {0.95 * len(times) / steady:,.0f} a second until 95 % are accepted;"
        f" the last one {times[-1] - times[0]:.1f} s after the first",
        flush=True,
    )
    assert started < times[0]


def _latency(dsn: str, connection: Connection, flood: int, seconds: float) -> float:
    """The 99th percentile of seconds from queued to accepted on a quiet channel."""
    _empty(connection)
    quiet, loud, queued = Ear(), Ear(), dict[str, float]()
    with receiving(quiet) as one, receiving(loud) as other:
        put_rules(
            connection,
            {"quiet": {"kind": "webhook", "url": one.url}, "loud": {"kind": "webhook", "url": other.url}},
        )
        with _role(dsn):
            for number in range(flood):
                queue(connection, story("fired", f"flood {number}"), "loud")
            began = time.time()
            while time.time() - began < seconds:
                key = f"quiet {len(queued)}"
                queued[key] = time.time()
                queue(connection, story("fired", key), "quiet")
                time.sleep(0.1)
            while len(quiet.at) < len(queued):
                time.sleep(0.02)
            told_of_flood = len(loud.at)
    took = np.array([quiet.at[key] - at for key, at in queued.items()])
    p50, p99 = np.quantile(took, [0.5, 0.99])
    beside = f"beside a flood of {flood:,}, of which {told_of_flood:,} were told by then" if flood else "alone"
    print(f"{len(took)} notices {beside}: half within {p50:.2f} s, 99 % within {p99:.2f} s", flush=True)
    return float(p99)


def _empty(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    connection.execute("TRUNCATE incident, notice, delivery, thread, channel, rule_set, role CASCADE")
