"""The whole intake, from full topics to joined pairs and deltas, against the plain loop in the same run.

    python -m bench ingest [--pairs 200000] [--rounds 3] [--stored 5000000] [--only NAME ...]
    python -m bench ingest --only probabilities

Every rate counts messages a second from the moment that the offsets are set to 0, under processes that stand at the
ends of full topics, until every offset is stored: start and joining the group do not count. Rounds alternate between
the contestants; ratios are of their medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from bench.breakdown import breakdown
from bench.servers import kafka, postgres
from bench.traffic import PARTITIONS, PREDICTIONS, Filled, fill, labels, predictions
from monitor.kafka.access import KafkaAccess
from monitor.kafka.publisher import Publisher
from monitor.kafka.topics import cluster_id, topic_spans
from monitor.postgres.database import Connection, connect
from monitor.postgres.migration import upgrade
from monitor.postgres.offsets import Reader, begin

PROGRAM = [sys.executable, "-m", "monitor.cli.app"]
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run."""

    rate: float
    """Messages a second."""
    rss_megabytes: float = 0.0
    """Most memory that one ingest process held at once."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a run takes place."""

    address: str
    server_dsn: str
    folder: Path
    filled: Filled


@contextmanager
def database(server_dsn: str) -> Iterator[str]:
    """A new, migrated database."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    dsn = f"{server_dsn.rpartition('/')[0]}/{name}"
    try:
        upgrade(dsn)
        yield dsn
    finally:
        with psycopg.connect(server_dsn, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def plain_loop(ground: Ground) -> Run:
    """The loop of `bench.plain_loop` in a process of its own."""
    filled = ground.filled
    with database(ground.server_dsn) as dsn:
        checkpoint(dsn)
        command = [sys.executable, "-m", "bench.plain_loop", ground.address, dsn, filled.predictions, filled.labels]
        with subprocess.Popen(
            [*command, str(2 * filled.pairs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
            process.stdin.write("\n")
            process.stdin.flush()
            return Run(2 * filled.pairs / float(process.stdout.readline()))


def ours(ground: Ground, dsn: str, topics: tuple[str, str], processes: int = 1) -> Run:
    """`caldrift ingest`, as many processes as wanted, on a database that holds whatever it holds."""
    group = f"bench-{uuid.uuid4().hex[:8]}"
    settings = ground.folder / "caldrift.toml"
    settings.write_text(
        f'[kafka]\nbootstrap_servers = ["{ground.address}"]\npredictions_topic = "{topics[0]}"\n'
        f'labels_topic = "{topics[1]}"\ngroup_id = "{group}"\n'
        'session_timeout = "6s"\nheartbeat_interval = "500ms"\n'
    )
    environment = {**os.environ, "CALDRIFT_POSTGRES__DSN": dsn}
    command = [*PROGRAM, "--config", str(settings), "ingest", "--threads", "2" if processes == 1 else "1"]
    access = KafkaAccess((ground.address,))
    ends = topic_spans(access, topics).end
    running: list[subprocess.Popen[bytes]] = []
    with connect(dsn, "bench") as watch:
        begin(
            watch, Reader(group, cluster_id(access)), ends, ends, "latest"
        )  # nothing to read while they join the group
        try:
            for _ in range(processes):
                with (ground.folder / "ingest.log").open("ab") as log:
                    running.append(
                        subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                    )
            until(lambda: shares(watch) == [len(ends) // processes] * processes, "every process has its partitions")
            checkpoint(dsn)
            watch.execute("UPDATE kafka_offset SET next_offset = 0")
            started = time.monotonic()
            poke(access, ends)
            most = follow(
                watch, sum(ends.values()) + len(ends), [psutil.Process(each.pid) for each in running], started
            )
            seconds = time.monotonic() - started
        except TimeoutError:
            print((ground.folder / "ingest.log").read_text()[-2000:], file=sys.stderr)
            raise
        finally:
            for each in running:
                each.terminate()
            for each in running:
                each.wait(timeout=30)
    return Run(sum(ends.values()) / seconds, most / 1e6)


def follow(watch: Connection, messages: int, processes: Sequence[psutil.Process], started: float) -> int:
    """Wait until so many messages are applied; the most memory, in bytes, that one process held meanwhile."""
    most = 0
    while applied(watch) < messages:
        most = max(most, *(each.memory_info().rss for each in processes))
        if time.monotonic() - started > PATIENCE_SECONDS:
            raise TimeoutError("not everything was applied")
        time.sleep(0.02)
    return most


def poke(access: KafkaAccess, partitions: Iterable[tuple[str, int]]) -> None:
    """One more event in each partition: its process finds that the offsets were moved, and reads on from them."""
    name = str(uuid.uuid4())
    with Publisher(access) as publisher:
        for topic, part in partitions:
            one = predictions([name], 1) if topic.startswith(PREDICTIONS) else labels([name], 1, 1)
            publisher.send(topic, None, next(one), part)
        publisher.flush()


def applied(connection: Connection) -> int:
    row = connection.execute("SELECT coalesce(sum(next_offset), 0)::bigint FROM kafka_offset").fetchone()
    return row[0] if row else 0


def shares(connection: Connection) -> list[int]:
    """How many partitions each living process reads."""
    rows = connection.execute("SELECT (detail->>'partitions')::int FROM role WHERE name = 'ingest'").fetchall()
    return [row[0] for row in rows]


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.05)


def checkpoint(dsn: str) -> None:
    """The writing of what earlier runs left dirty must not fall into this one."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def whole(ground: Ground, processes: int = 1, stored: int = 0) -> Run:
    """Both topics from their beginning, into a database with this many older pairs."""
    filled = ground.filled
    with database(ground.server_dsn) as dsn:
        if stored:
            store(dsn, stored)
        return ours(ground, dsn, (filled.predictions, filled.labels), processes)


def labels_and_corrections(ground: Ground) -> tuple[Run, Run]:
    """First labels of predictions that are all there, then a correction of each."""
    filled = ground.filled
    empty = fill(ground.address, 0)
    with database(ground.server_dsn) as dsn:
        ours(ground, dsn, (filled.predictions, empty.labels))
        first = ours(ground, dsn, (empty.predictions, filled.labels))
        corrected = ours(ground, dsn, (empty.predictions, filled.corrections))
        report_size(dsn, filled.pairs, "after a correction of each")
    return first, corrected


def store(dsn: str, pairs: int) -> None:
    """Joined pairs of an earlier time."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO pair"
            " (id, predicted_at, confidence, labelled_at, label_version, label_number, segment_set, label_kind)"
            " SELECT (lpad(to_hex(1780000000000 + g / 4), 12, '0') || '7' || substr(md5(g::text), 1, 19))::uuid,"
            " '2026-05-01'::timestamptz + g * interval '1 ms', 0.9, '2026-05-02', 0, 1, 1, 1"
            " FROM generate_series(1, %s) AS g",
            (pairs,),
        )
        connection.execute("VACUUM ANALYZE pair")


def report_size(dsn: str, pairs: int, when: str) -> None:
    """Bytes a pair, tables and indexes."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'pair'::regclass"
        ).fetchone()
    print(f"  {row[0] / pairs if row else 0:.0f} bytes a pair {when}")


def size(ground: Ground) -> None:
    """Bytes a pair with a UUID id, one signal and no optional field, a label each."""
    filled = ground.filled
    with database(ground.server_dsn) as dsn:
        ours(ground, dsn, (filled.predictions, filled.labels))
        report_size(dsn, filled.pairs, "with its label")


def median(runs: Sequence[Run]) -> float:
    return statistics.median(run.rate for run in runs)


def say(name: str, runs: Sequence[Run]) -> float:
    rates = ", ".join(f"{run.rate:,.0f}" for run in runs)
    memory = max(run.rss_megabytes for run in runs)
    print(f"  {name:34} {median(runs):>9,.0f} events/s   ({rates})" + (f"   {memory:.0f} MB" if memory else ""))
    return median(runs)


def verdict(what: str, ratio: float, wanted: float) -> None:
    print(f"  {what}: {ratio:.2f} (wanted {wanted}) {'OK' if ratio >= wanted else 'MISSED'}")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench ingest")
    parser.add_argument("--pairs", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stored", type=int, default=5_000_000)
    parser.add_argument("--only", nargs="*", default=["plain", "stored", "corrections", "size", "breakdown"])
    options = parser.parse_args(arguments)
    with kafka() as (address, what), postgres() as dsn, tempfile.TemporaryDirectory(prefix="caldrift-bench-") as folder:
        cores = len(os.sched_getaffinity(0))
        print(f"{2 * options.pairs:,} events in {PARTITIONS} partitions a topic, {what}, {cores} cores for everything")
        ground = Ground(address, dsn, Path(folder), fill(address, options.pairs))
        if "plain" in options.only:
            against_the_plain_loop(ground, options.rounds)
        if "stored" in options.only:
            with_stored_pairs(ground, options.rounds, options.stored)
        if "corrections" in options.only:
            pairs = [labels_and_corrections(ground) for _ in range(options.rounds)]
            first = say("first labels", [each for each, _ in pairs])
            verdict("corrections / first labels", say("corrections", [each for _, each in pairs]) / first, 0.8)
        if "size" in options.only:
            size(ground)
        if "probabilities" in options.only:
            with_probabilities(ground, options.rounds)
        if "breakdown" in options.only:
            with database(dsn) as fresh:
                print(json.dumps(breakdown(address, fresh, ground.filled), indent=2))


def against_the_plain_loop(ground: Ground, rounds: int) -> None:
    plain, one, two = [], [], []
    for _ in range(rounds):
        plain.append(plain_loop(ground))
        one.append(whole(ground))
        two.append(whole(ground, processes=2))
    base = say("plain loop, one process", plain)
    single = say("caldrift ingest, one process", one)
    double = say("caldrift ingest, two processes", two)
    verdict("one process / plain loop", single / base, 1.5)
    verdict("two processes / one", double / single, 1.25)


def with_probabilities(ground: Ground, rounds: int) -> None:
    """Where the time of an event goes with probabilities and without, medians of rounds by turns."""
    contestants = {"without": ground.filled, "with": fill(ground.address, ground.filled.pairs, classes=True)}
    found: dict[str, list[dict[str, list[float]]]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, filled in contestants.items():
            with database(ground.server_dsn) as fresh:
                checkpoint(fresh)
                found[name].append(breakdown(ground.address, fresh, filled))
    print("  microseconds an event, by the wall and of this process: without probabilities, with them, the difference")
    for part in found["with"][0]:
        without, with_them = (
            [statistics.median(each[part][place] for each in found[name]) for place in (0, 1)] for name in contestants
        )
        columns = "   ".join(f"{a:6.2f} {b:6.2f} {b - a:+6.2f}" for a, b in zip(without, with_them, strict=True))
        print(f"  {part:26} {columns}   x{with_them[0] / without[0]:.2f} x{with_them[1] / without[1]:.2f}")


def with_stored_pairs(ground: Ground, rounds: int, stored: int) -> None:
    empty, full = [], []
    for _ in range(rounds):
        empty.append(whole(ground))
        full.append(whole(ground, stored=stored))
    base = say("empty store", empty)
    verdict(f"{stored:,} pairs stored / empty", say(f"{stored:,} pairs stored", full) / base, 0.85)
