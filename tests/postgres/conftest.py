"""Connections to a database of the test's own, in both layouts."""

from collections.abc import Iterator

import psycopg
import pytest

from monitor.postgres.database import Connection, connect
from monitor.postgres.migration import upgrade
from monitor.postgres.tables import HASHED, TIME_ORDERED
from tests import embedded

TIME_ORDERED_TEMPLATE = "caldrift_template_time_ordered"


@pytest.fixture(scope="session")
def time_ordered_template(postgres: str) -> str:
    """The name of a database in the time-ordered layout, from which each test's own is copied."""
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {TIME_ORDERED_TEMPLATE}")
    upgrade(embedded.with_database(postgres, TIME_ORDERED_TEMPLATE), TIME_ORDERED)
    return TIME_ORDERED_TEMPLATE


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A connection to a new database in the hashed layout."""
    with connect(database, "test") as connected:
        yield connected


@pytest.fixture
def time_ordered(postgres: str, time_ordered_template: str) -> Iterator[Connection]:
    """A connection to a new database in the time-ordered layout."""
    with embedded.fresh_database(postgres, time_ordered_template) as dsn, connect(dsn, "test") as connected:
        yield connected


@pytest.fixture(params=[HASHED, TIME_ORDERED])
def either_layout(
    request: pytest.FixtureRequest, postgres: str, database_template: str, time_ordered_template: str
) -> Iterator[Connection]:
    """A connection to a new database, once in each layout."""
    template = database_template if request.param == HASHED else time_ordered_template
    with embedded.fresh_database(postgres, template) as dsn, connect(dsn, "test") as connected:
        yield connected


@pytest.fixture(scope="session")
def plain(postgres: str) -> Iterator[Connection]:
    """A connection for statements that touch no table."""
    with connect(postgres, "test") as connected:
        yield connected
