"""How fresh evaluation is behind a whole pipeline, and what the leader costs with ten thousand series.

    python -m bench evaluate [--rate 10000] [--seconds 20] [--series 10000] [--only fresh|many]

`fresh`: events are published at a bounded rate while ingest and evaluate run; the time from publishing an event until
it stands in the panes, and how long a joined batch waits for the leader. `many`: made-up deltas over many series; the
leader's memory, the time to apply them, and that of one evaluation of everything.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil

from bench.ingest import PATIENCE_SECONDS, PROGRAM, database, until
from bench.servers import kafka, postgres
from monitor.kafka.access import KafkaAccess
from monitor.kafka.publisher import Publisher
from monitor.kafka.topics import create_topics
from monitor.postgres.database import connect
from monitor.rolling.panes import hour_of
from tests.workers.deltas import delta_of_events, some_events, some_sets, write_delta

PARTITIONS = 4
SLICE_SECONDS = 0.02
EVENTS_A_DELTA = 5_000
STATE = "SELECT applied_deltas, coalesce(evaluated_at >= applied_at, false), took_seconds FROM evaluation"


@dataclass(slots=True)
class Role:
    """A running `caldrift` role and the most memory it was seen to hold."""

    process: subprocess.Popen[bytes]
    most: float = 0.0

    def look(self) -> None:
        self.most = max(self.most, psutil.Process(self.process.pid).memory_info().rss / 1e6)


@contextmanager
def roles(names: Sequence[str], settings: str, dsn: str, folder: Path) -> Iterator[list[Role]]:
    """Roles as processes of their own, ended with the block."""
    path = folder / f"{uuid.uuid4().hex[:8]}.toml"
    path.write_text(settings)
    environment = {**os.environ, "CALDRIFT_POSTGRES__DSN": dsn}
    running: list[Role] = []
    try:
        for name in names:
            with (folder / f"{name}.log").open("ab") as log:
                command = [*PROGRAM, "--config", str(path), name]
                running.append(
                    Role(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
                )
        yield running
    finally:
        for each in running:
            each.process.terminate()
        for each in running:
            each.process.wait(timeout=60)


@dataclass(slots=True)
class Watch:
    """What was seen in the database: (wall time, predictions in panes) and the age of the oldest waiting delta."""

    seen: list[tuple[float, int]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def run(self, dsn: str) -> None:
        with connect(dsn, "bench watch") as connection:
            while not self.done.wait(SLICE_SECONDS):
                row = connection.execute(
                    "SELECT (SELECT coalesce(sum(u), 0)::bigint FROM pane JOIN series ON id = series,"
                    " unnest(n_pred) AS u WHERE segment_text = '{}'),"
                    " (SELECT extract(epoch FROM clock_timestamp() - min(written_at))::float8 FROM statistics_delta)"
                ).fetchone()
                assert row is not None
                self.seen.append((time.monotonic(), row[0]))
                self.waits.append(row[1] or 0.0)


def messages(rng: np.random.Generator, n: int) -> list[tuple[bytes, bytes, bytes]]:
    """Key, prediction and label of new events of two models in four languages."""
    at = int(datetime.now(UTC).timestamp() * 1000)
    made = []
    for confidence, right, model, lang in zip(
        np.round(rng.random(n), 2).tolist(),
        (rng.random(n) < 0.7).tolist(),
        rng.integers(0, 2, n).tolist(),
        rng.choice(["de", "en", "fr", "es"], n).tolist(),
        strict=True,
    ):
        name = str(uuid.uuid4())
        prediction = {
            "prediction_id": name,
            "model": f"m{model}",
            "predicted_at": at,
            "confidence": confidence,
            "segments": {"lang": lang},
        }
        label = {"prediction_id": name, "labelled_at": at, "correct": right}
        made.append((name.encode(), json.dumps(prediction).encode(), json.dumps(label).encode()))
    return made


def publish(publisher: Publisher, topics: tuple[str, str], rate: float, seconds: float) -> list[tuple[float, int]]:
    """Publish that many events a second, a prediction and its label each; returns (wall time, events so far)."""
    rng = np.random.default_rng(1)
    ready = messages(rng, int(rate * seconds))
    sent, started, said = 0, time.monotonic(), []
    while sent < len(ready):
        until_now = min(len(ready), int((time.monotonic() - started) * rate) + 1)
        for key, prediction, label in ready[sent:until_now]:
            partition = int(key[-4:], 16) % PARTITIONS
            publisher.send(topics[0], key, prediction, partition)
            publisher.send(topics[1], key, label, partition)
        sent = until_now
        said.append((time.monotonic(), sent))
        time.sleep(SLICE_SECONDS)
    publisher.flush()
    return said


def fresh(address: str, server_dsn: str, folder: Path, rate: float, seconds: float) -> None:
    """Measure from publishing to panes."""
    mark = uuid.uuid4().hex[:8]
    topics = (f"fresh-p-{mark}", f"fresh-l-{mark}")
    access = KafkaAccess((address,))
    create_topics(access, topics, PARTITIONS)
    settings = (
        f'[kafka]\nbootstrap_servers = ["{address}"]\npredictions_topic = "{topics[0]}"\nlabels_topic = "{topics[1]}"\n'
        f'group_id = "bench-{mark}"\nsession_timeout = "6s"\nheartbeat_interval = "500ms"\n[windows]\nmaturity = "0s"\n'
    )
    watch = Watch()
    with database(server_dsn) as dsn, roles(["ingest", "evaluate"], settings, dsn, folder) as running:
        thread = threading.Thread(target=watch.run, args=(dsn,))
        thread.start()
        try:
            with Publisher(access) as publisher:
                publish(publisher, topics, 10.0, 1.0)
                until(lambda: bool(watch.seen) and watch.seen[-1][1] == 10, "the first events are in the panes")
                first = len(watch.seen)
                sent = publish(publisher, topics, rate, seconds)
            until(lambda: watch.seen[-1][1] == 10 + sent[-1][1], "every event is in the panes")
            for each in running:
                each.look()
        finally:
            watch.done.set()
            thread.join()
    at, count = np.array([at for at, _ in sent]), np.array([n for _, n in sent])
    seen_at, seen = np.array([at for at, _ in watch.seen[first:]]), np.array([n - 10 for _, n in watch.seen[first:]])
    events = np.arange(1, count[-1] + 1)
    took = seen_at[np.searchsorted(seen, events)] - at[np.searchsorted(count, events)]
    actual = 2 * count[-1] / (at[-1] - at[0])
    print(f"fresh: {actual:,.0f} messages/s for {at[-1] - at[0]:.0f} s (asked for {2 * rate:,.0f})")
    print(f"  published to panes   p50 {np.quantile(took, 0.5):.2f} s   p99 {np.quantile(took, 0.99):.2f} s")
    print(f"  joined to panes      oldest waiting delta: p99 over time {np.quantile(watch.waits[first:], 0.99):.2f} s")
    print(f"  memory               ingest {running[0].most:.0f} MB, evaluate {running[1].most:.0f} MB")


def many(server_dsn: str, folder: Path, n_series: int, n_deltas: int) -> None:
    """Measure the leader with many series."""
    rng = np.random.default_rng(2)
    with database(server_dsn) as dsn, connect(dsn, "bench") as connection:
        half = [str(value) for value in range(n_series // 2)]
        sets = [each for model in ("m0", "m1") for each in some_sets(connection, model, half)]
        hour = hour_of(datetime.now(UTC) - timedelta(hours=49))
        for number in range(n_deltas):
            # two thirds of the labels in the last hours, one third late ones over three days
            hours = range(hour - 72, hour) if number % 3 == 0 else range(hour - 2, hour + 1)
            write_delta(connection, delta_of_events(some_events(rng, sets, hours, EVENTS_A_DELTA)))
        started = time.monotonic()
        with roles(["evaluate"], "[windows]\nmaturity = '48h'\n", dsn, folder) as (leader,):
            applied_at = evaluated_at = pass_seconds = 0.0
            while not evaluated_at:
                leader.look()
                applied, is_evaluated, took = connection.execute(STATE).fetchall()[0]
                if applied == n_deltas:
                    applied_at = applied_at or time.monotonic()
                    evaluated_at, pass_seconds = (time.monotonic(), took) if is_evaluated else (0.0, 0.0)
                if time.monotonic() - started > 3 * PATIENCE_SECONDS:
                    raise TimeoutError((folder / "evaluate.log").read_text()[-2000:])
                time.sleep(0.1)
        readings = connection.execute("SELECT count(DISTINCT (series, window_name)) FROM reading").fetchone()
        panes = connection.execute("SELECT count(*) FROM pane").fetchone()
        assert readings is not None
        assert panes is not None
    events, seconds = n_deltas * EVENTS_A_DELTA, applied_at - started
    print(f"many: {n_series:,} series, {events:,} events in {n_deltas} deltas, {panes[0]:,} panes")
    print(f"  applied in           {seconds:.1f} s with the start, {events / seconds:,.0f} events/s")
    print(f"  all evaluated after  {evaluated_at - applied_at:.1f} s more: {readings[0]:,} windows read")
    print(f"  last pass            {pass_seconds:.1f} s")
    print(f"  memory               {leader.most:.0f} MB at most")


def main(arguments: Sequence[str]) -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench evaluate", description=__doc__)
    parser.add_argument("--rate", type=float, default=10_000, help="events a second, two messages each")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--deltas", type=int, default=60)
    parser.add_argument("--only", choices=("fresh", "many"))
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="caldrift-bench-") as name, postgres() as dsn:
        if given.only != "many":
            with kafka() as (address, what):
                print(f"broker: {what}")
                fresh(address, dsn, Path(name), given.rate, given.seconds)
        if given.only != "fresh":
            many(dsn, Path(name), given.series, given.deltas)


if __name__ == "__main__":
    main(sys.argv[1:])
