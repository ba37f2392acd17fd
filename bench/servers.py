"""The servers that benchmarks run on: Postgres of the embedded wheel, and a real Kafka where there is one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monitor.demo.broker import start_broker
from monitor.demo.postgres_server import start_postgres
from tests import real_kafka


@contextmanager
def kafka() -> Iterator[tuple[str, str]]:
    """The address of a broker and what it is: CALDRIFT_BENCH_KAFKA, or Apache Kafka by Maven, or the embedded one."""
    named = os.environ.get("CALDRIFT_BENCH_KAFKA")
    if named:
        yield named, "the broker named by CALDRIFT_BENCH_KAFKA"
        return
    reason = real_kafka.why_not()
    if reason is None:
        with real_kafka.running_kafka() as node:
            yield node.address, f"Apache Kafka {real_kafka.VERSION}"
        return
    print(f"no real Kafka: {reason}")
    with tempfile.TemporaryDirectory(prefix="caldrift-bench-") as folder:
        broker = start_broker(Path(folder) / "broker")
        try:
            yield broker.address, "the embedded broker"
        finally:
            broker.stop()


@contextmanager
def postgres() -> Iterator[str]:
    """The DSN of a fresh embedded Postgres, gone afterwards; or CALDRIFT_BENCH_POSTGRES, a server whose user may create
    databases."""
    named = os.environ.get("CALDRIFT_BENCH_POSTGRES")
    if named:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="caldrift-bench-") as folder:
        Path(folder).chmod(0o711)
        server = start_postgres(Path(folder) / "postgres")
        try:
            yield server.dsn
        finally:
            server.stop()
