"""A server whose answers a test scripts, and clients that ask it often."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from monitor.client import Client
from tests.client.promoting import MODEL
from tests.notify.receivers import Receiver, Reply, receiving

Make = Callable[..., Client]
PATIENCE = 10.0
REFRESH_SECONDS = 0.03


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds; fail when it does not in ten seconds."""
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def reply(body: bytes, etag: str | None = '"1"', status: int = 200) -> Reply:
    """An answer with a tag."""
    return Reply(status, body, {} if etag is None else {"ETag": etag})


@pytest.fixture
def server() -> Iterator[Receiver]:
    """A server that says 404 until a test has it say something else."""
    with receiving(lambda _: Reply(404)) as receiver:
        yield receiver


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes clients of m1 that are closed after the test."""
    with ExitStack() as stack:

        def made(**options: Any) -> Client:
            given = {"refresh_seconds": REFRESH_SECONDS, "timeout_seconds": PATIENCE, **options}
            return stack.enter_context(Client(MODEL, **given))

        yield made
