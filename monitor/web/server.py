"""Listening: uvicorn on one socket, stopped by an event instead of signals of its own."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI

from monitor.errors import BadSettings

LOG = logging.getLogger("caldrift.web")
GRACE_SECONDS: Final = 5
BACKLOG: Final = 128


class Server(uvicorn.Server):
    """A uvicorn server that leaves the process's signals to whoever started it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises BadSettings when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
        listener.listen(BACKLOG)
    except OSError as failure:
        listener.close()
        raise BadSettings([f"web.port: cannot listen at {host}:{port}: {failure.strerror}"]) from None
    return listener


def serve(app: FastAPI, host: str, port: int, stop: threading.Event, descriptor: int | None = None) -> int:
    """Listen and serve until `stop` is set. Returns the exit status. Raises BadSettings when the address is taken.

    `descriptor` is a listening socket that the supervisor holds open: the port outlives a restart of this process.
    """
    listener = listen(host, port) if descriptor is None else socket.socket(fileno=descriptor)
    place = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    LOG.info("listening", extra={"web": place})
    return serve_on(app, listener, stop)


def serve_on(app: FastAPI, listener: socket.socket, stop: threading.Event) -> int:
    """Serve until `stop` is set; requests under way get a few seconds to end. Closes the listener."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        lifespan="off",
        ws="none",
    )
    server = Server(config)

    def watch() -> None:
        stop.wait()
        server.should_exit = True

    threading.Thread(target=watch, name="web-stop", daemon=True).start()
    try:
        server.run([listener])
    finally:
        listener.close()
    return 0 if stop.is_set() else 1
