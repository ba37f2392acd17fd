"""One GET and its whole answer, bounded in time and size; never redirected, since a token goes with it."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from monitor.errors import Unavailable

LARGEST_ANSWER: Final = 32 * 1024 * 1024
"""Bytes: an artefact of 10,000 segments takes a few."""
_PIECE: Final = 65_536


@dataclass(frozen=True, slots=True)
class Place:
    """Where the map of a model is served. Secrets are left out of its text form."""

    secure: bool
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    etag: str | None
    body: bytes


def place_of(server: str, model: str, signal: str) -> Place:
    """The place under a server's address. Raises ValueError when that is none."""
    parts = urlsplit(server)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError(f"server must be http://HOST:PORT or https://HOST:PORT, without a user, got {server!r}")
    secure = parts.scheme == "https"
    path = f"{parts.path.rstrip('/')}/api/v1/calibrators/{quote(model, safe='')}?signal={quote(signal, safe='')}"
    return Place(secure, parts.hostname, parts.port or (443 if secure else 80), path)


def get(place: Place, etag: str | None, token: str | None, timeout_seconds: float) -> Answer:
    """Ask once; `timeout_seconds` is for the connection, each wait, and the whole of the body.

    Raises Unavailable, in words that hold no secret, when no whole answer comes.
    """
    headers = {"Accept": "application/json", "User-Agent": "caldrift-client"}
    if etag is not None:
        headers["If-None-Match"] = etag
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    kind = http.client.HTTPSConnection if place.secure else http.client.HTTPConnection
    connection = kind(place.host, place.port, timeout=timeout_seconds)
    limit = time.monotonic() + timeout_seconds
    try:
        connection.request("GET", place.path, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.headers.get("ETag"), _body(response, limit))
    except TimeoutError:
        raise Unavailable(f"no whole answer within {timeout_seconds:g} s") from None
    except ssl.SSLError as failure:
        raise Unavailable(f"TLS failure: {failure.reason or failure}") from None
    except socket.gaierror:
        raise Unavailable("the host's name is not known") from None
    except OSError as failure:
        raise Unavailable(failure.strerror or type(failure).__name__) from None
    except (http.client.HTTPException, ValueError) as failure:
        raise Unavailable(f"the answer is no HTTP ({type(failure).__name__})") from None
    finally:
        connection.close()


def _body(response: http.client.HTTPResponse, limit: float) -> bytes:
    body = bytearray()
    while piece := response.read1(_PIECE):
        body += piece
        if time.monotonic() > limit:  # the socket limits each wait, and a body may come a byte at a time
            raise TimeoutError
        if len(body) > LARGEST_ANSWER:
            raise Unavailable(f"the answer is larger than {LARGEST_ANSWER:,} bytes")
    return bytes(body)
