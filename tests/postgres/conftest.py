"""Connections to a database of the test's own, in both layouts."""

from collections.abc import Iterator

import pytest

from monitor.postgres.database import Connection, connect
from monitor.postgres.migration import upgrade
from monitor.postgres.tables import HASHED, TIME_ORDERED


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A connection to a new database in the hashed layout."""
    with connect(database, "test") as connected:
        yield connected


@pytest.fixture
def time_ordered(empty_database: str) -> Iterator[Connection]:
    """A connection to a new database in the time-ordered layout."""
    upgrade(empty_database, TIME_ORDERED)
    with connect(empty_database, "test") as connected:
        yield connected


@pytest.fixture(params=[HASHED, TIME_ORDERED])
def either_layout(request: pytest.FixtureRequest, empty_database: str) -> Iterator[Connection]:
    """A connection to a new database, once in each layout."""
    upgrade(empty_database, str(request.param))
    with connect(empty_database, "test") as connected:
        yield connected


@pytest.fixture(scope="session")
def plain(postgres: str) -> Iterator[Connection]:
    """A connection for statements that touch no table."""
    with connect(postgres, "test") as connected:
        yield connected
