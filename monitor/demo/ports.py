"""Loopback ports: a free one is asked of the kernel, and its owner must be ready to lose the race for it."""

import socket
import time

LOOPBACK = "127.0.0.1"


def free_port(preferred: int | None = None) -> int:
    """The preferred port when nobody listens there, else one the kernel picks. Another process may still take it."""
    if preferred and not is_open(preferred):
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind((LOOPBACK, preferred))
            except OSError:
                pass
            else:
                return preferred
    with socket.socket() as candidate:
        candidate.bind((LOOPBACK, 0))
        return int(candidate.getsockname()[1])


def is_open(port: int) -> bool:
    """Whether something accepts connections on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def wait_until_open(port: int, seconds: float, poll_seconds: float = 0.02) -> bool:
    """Whether the port opened within so many seconds."""
    deadline = time.monotonic() + seconds
    while not (opened := is_open(port)) and time.monotonic() < deadline:
        time.sleep(poll_seconds)
    return opened
