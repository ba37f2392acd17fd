"""The pages as they are served, on a real database: one seeded for all readers, or an empty one of a test's own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from monitor.calibration.reading import Reading
from monitor.postgres.database import Connection, connect
from monitor.postgres.migration import head
from monitor.web.answering import Tell
from monitor.web.app import create_app
from monitor.web.connections import Connections
from monitor.web.options import WebOptions
from monitor.web.reviewroutes import untold
from monitor.web.server import listen, serve_on
from tests import embedded
from tests.web.seeding import seeded

OPTIONS = WebOptions(windows=("1d", "7d", "all"), main_signal="confidence", min_labels=100)


@contextmanager
def served(
    make_connection: Callable[[], Connection], options: WebOptions = OPTIONS, tell: Tell = untold
) -> Iterator[str]:
    """The address of the application, served as `caldrift web` does."""
    connections = Connections(make_connection)
    app = create_app(options, connections, head(), tell)
    listener, stop = listen("127.0.0.1", 0), threading.Event()
    thread = threading.Thread(target=serve_on, args=(app, listener, stop))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        thread.join(20)
        connections.close()


@contextmanager
def client_of(dsn: str, options: WebOptions = OPTIONS, tell: Tell = untold) -> Iterator[httpx.Client]:
    """A client of the application on the database of the DSN."""
    with (
        served(lambda: connect(dsn, "caldrift web", statement_timeout_seconds=10), options, tell) as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def seeded_database(postgres: str, database_template: str) -> Iterator[tuple[str, list[Reading]]]:
    """The DSN of a database with readings that no test changes, and the newest 7d reading of each stream."""
    with embedded.fresh_database(postgres, database_template) as dsn:
        yield dsn, seeded(dsn)


@pytest.fixture(scope="session")
def pages(seeded_database: tuple[str, list[Reading]]) -> Iterator[httpx.Client]:
    """A client of the pages of the seeded database."""
    with client_of(seeded_database[0]) as client:
        yield client


@pytest.fixture
def newest(seeded_database: tuple[str, list[Reading]]) -> list[Reading]:
    """The newest 7d reading of each of `seeding.STREAMS`."""
    return seeded_database[1]


@pytest.fixture
def empty_pages(database: str) -> Iterator[httpx.Client]:
    """A client of the pages of a database in which nothing has happened yet."""
    with client_of(database) as client:
        yield client


@pytest.fixture
def clients(seeded_database: tuple[str, list[Reading]]) -> Iterator[Callable[[WebOptions], httpx.Client]]:
    """Makes clients of applications with other options, say a token."""
    with ExitStack() as stack:
        yield lambda options: stack.enter_context(client_of(seeded_database[0], options))
