"""Databases of the tests' own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from monitor.postgres.database import Connection, connect
from tests.embedded import fresh_database


@pytest.fixture
def other_database(postgres: str, database_template: str) -> Iterator[Callable[[], Connection]]:
    """Connections to further new databases."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(
            connect(stack.enter_context(fresh_database(postgres, database_template)), "test")
        )
