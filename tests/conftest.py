"""Fixtures: real servers shared by the whole run, and a database and topics of its own for each test."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from monitor.errors import Unavailable
from monitor.web import rasters
from tests import embedded
from tests.cli.commands import Done, Run
from tests.embedded import Topics

TEMPLATE = "caldrift_template"

# Whoever runs the tests may ignore these signals, as a shell does for what it runs in the background, and every process
# that a test starts would inherit that.
for ignored in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, signal.default_int_handler)

# Laws are tried on the same examples every time, and never against the clock; `pytest --hypothesis-profile long` seeks
# new ones.
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever talks to the broker runs once more on a real one: `pytest -m broker`.

    The suites of many processes come first: they wait more than they work, and left to the end they would do so alone.
    """
    items.sort(key=lambda item: item.path.parent.name not in {"end_to_end", "demo"})
    for item in items:
        if isinstance(item, pytest.Function) and "broker" in item.fixturenames:
            item.add_marker(pytest.mark.broker)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """The folder of this run's servers, gone with the run."""
    with embedded.private_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[str]:
    """The DSN of a Postgres server that belongs to this run; its user may create databases and roles."""
    with embedded.running_postgres(server_folder) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def database_template(postgres: str) -> str:
    """The name of a database with every migration applied, from which each test's own is copied."""
    from monitor.postgres.migration import upgrade

    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {TEMPLATE}")
    upgrade(embedded.with_database(postgres, TEMPLATE))
    return TEMPLATE


@pytest.fixture
def database(postgres: str, database_template: str) -> Iterator[str]:
    """The DSN of a new, empty, migrated database."""
    with embedded.fresh_database(postgres, database_template) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def font() -> None:
    """A font for the words in pictures."""
    try:
        rasters._font()
    except Unavailable as failure:
        embedded.missing(f"{failure}; Debian's fonts-dejavu-core has the first")


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """The DSN of a new database without any table."""
    with embedded.fresh_database(postgres) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def broker(server_folder: Path) -> Iterator[str]:
    """The bootstrap address of a broker: embedded, or the one that CALDRIFT_TEST_KAFKA names."""
    with embedded.running_broker(server_folder) as address:
        yield address


@pytest.fixture
def topics(broker: str) -> Iterator[Topics]:
    """Names of a new pair of topics."""
    with embedded.fresh_topics(broker) as names:
        yield names


@pytest.fixture
def caldrift(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command as its entry point does."""
    from monitor.cli.app import main

    def run(*args: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["caldrift", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Done(ended.value.code or 0, out, err)

    return run
