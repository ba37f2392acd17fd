"""The web role's sign of life: its row in `role`, renewed from a thread of its own."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg

from monitor.errors import CaldriftError
from monitor.postgres.database import Connection
from monitor.postgres.heartbeats import Process, beat, forget

LOG = logging.getLogger("caldrift.web")
EVERY_SECONDS: Final = 10.0


@contextmanager
def beating(connect: Callable[[], Connection], web: str) -> Iterator[None]:
    """Beat while the block runs, and take the row back at its end. A database that is away is asked again, quietly."""
    process, ended = Process("web", os.getpid(), socket.gethostname()), threading.Event()
    thread = threading.Thread(target=_beat, args=(connect, process, web, ended), name="web-pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(EVERY_SECONDS)


def _beat(connect: Callable[[], Connection], process: Process, web: str, ended: threading.Event) -> None:
    connection: Connection | None = None
    while True:
        try:
            connection = connection or connect()
            if ended.is_set():
                forget(connection, process)
                break
            beat(connection, process, {"web": web})
        except (CaldriftError, psycopg.Error) as failure:
            LOG.debug("no sign of life", extra={"cause": str(failure)})
            if connection is not None:
                connection.close()
            connection = None
            if ended.is_set():
                break
        ended.wait(EVERY_SECONDS)
    if connection is not None:
        with suppress(psycopg.Error):
            connection.close()
