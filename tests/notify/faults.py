"""Ways in which a receiver fails before it says anything that makes sense, and what each must come to."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from monitor.notify.exchange import Transport
from monitor.notify.outcome import Dead, Outcome, Retry
from tests.notify.certificates import made
from tests.notify.receivers import Reply, receiving

BRISK = Transport(timeout=0.3)
PATIENT = Transport(timeout=10)
HTML = Reply(200, b"<html><body>Welcome to the hotel's network</body></html>", {"Content-Type": "text/html"})


@dataclass(frozen=True)
class Place:
    """Where to send to, and how."""

    url: str
    transport: Transport = PATIENT


@contextmanager
def closed_port() -> Iterator[Place]:
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port meanwhile
        taken.bind(("127.0.0.1", 0))
        yield Place(f"http://127.0.0.1:{taken.getsockname()[1]}")


@contextmanager
def hanging_socket() -> Iterator[Place]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield Place(f"http://127.0.0.1:{silent.getsockname()[1]}", BRISK)


@contextmanager
def a_byte_at_a_time() -> Iterator[Place]:
    with receiving(lambda seen: Reply(200, b"", slowly=0.05, drops=1000)) as receiver:
        yield Place(receiver.url, BRISK)


@contextmanager
def no_tls_behind_https() -> Iterator[Place]:
    with receiving() as receiver:
        yield Place(receiver.url.replace("http:", "https:"))


@contextmanager
def unknown_authority(folder: Path) -> Iterator[Place]:
    with receiving(tls=made(folder).server) as receiver:
        yield Place(receiver.url)


@contextmanager
def certificate_of_another_host(folder: Path) -> Iterator[Place]:
    tls = made(folder, "other.example")
    with receiving(tls=tls.server) as receiver:
        yield Place(receiver.url, Transport(ca_file=tls.ca_file))


@contextmanager
def answering(reply: Reply) -> Iterator[Place]:
    with receiving(lambda seen: reply) as receiver:
        yield Place(receiver.url)


Send = Callable[[Place], Outcome]
Meaning = Literal["retry", "dead channel", "dead message"]

CONNECTIONS = {
    "closed port": "the connection was refused",
    "hanging socket": "no answer within 0.3 s",
    "a byte at a time": "no whole answer within 0.3 s",
    "no TLS": "TLS failure: ",
    "unknown authority": "TLS failure: certificate not accepted, unable to get local issuer certificate",
    "another host": "TLS failure: certificate not accepted, IP address mismatch, certificate is not valid for",
}
STATUSES: dict[int, Meaning] = {
    301: "dead channel",
    302: "dead channel",
    307: "dead channel",
    308: "dead channel",
    400: "dead message",
    401: "dead channel",
    403: "dead channel",
    404: "dead channel",
    405: "dead channel",
    408: "retry",
    409: "dead message",
    410: "dead channel",
    413: "dead message",
    415: "dead message",
    422: "dead message",
    425: "retry",
    429: "retry",
    500: "retry",
    502: "retry",
    503: "retry",
    504: "retry",
    599: "retry",
}


@contextmanager
def connection(name: str, folder: Path) -> Iterator[Place]:
    """The fault of CONNECTIONS with this name."""
    match name:
        case "closed port":
            found = closed_port()
        case "hanging socket":
            found = hanging_socket()
        case "a byte at a time":
            found = a_byte_at_a_time()
        case "no TLS":
            found = no_tls_behind_https()
        case "unknown authority":
            found = unknown_authority(folder)
        case _:
            found = certificate_of_another_host(folder)
    with found as place:
        yield place


def meaning(outcome: Outcome) -> Meaning | None:
    """The row of the table that an outcome belongs to; None if it was delivered."""
    match outcome:
        case Retry():
            return "retry"
        case Dead(permanent=permanent):
            return "dead channel" if permanent else "dead message"
        case _:
            return None


def passes(send: Send, name: str, folder: Path) -> None:
    """A fault of the connection is tried again, is told in words, and takes no longer than it may."""
    with connection(name, folder) as place:
        start = time.monotonic()
        outcome = send(place)
        assert time.monotonic() - start < 3
    assert isinstance(outcome, Retry)
    assert CONNECTIONS[name] in outcome.reason


def means(send: Send, status: int, headers: dict[str, str] | None = None) -> Outcome:
    """A bare status comes to what STATUSES says, and a redirect is not followed."""
    with receiving() as elsewhere, receiving() as receiver:
        there = {"Location": elsewhere.url} if 300 <= status < 400 else {}
        receiver.script.append(Reply(status, b"<html>no</html>", {**there, **(headers or {})}))
        outcome = send(Place(receiver.url))
        assert (len(receiver.seen), elsewhere.seen) == (1, [])
    assert meaning(outcome) == STATUSES[status]
    return outcome
