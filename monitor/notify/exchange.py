"""One POST and its whole answer: bounded in time and size, never redirected, never written to a log."""

import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import httpx

from monitor.errors import BadInput
from monitor.notify.outcome import Dead, Retry

LARGEST_ANSWER: Final = 64 * 1024
"""Bytes. No receiver has more to say, and a page of an error may be of any size."""
_METADATA: Final = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32")
_FORBIDDEN: Final = tuple(map(ipaddress.ip_network, _METADATA))

# httpx writes every URL to the log, and the URL of an incoming webhook is its secret; httpcore what is answered to it.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Transport:
    """How to speak HTTP: `timeout` in seconds for the connection, each read and the whole answer; `ca_file` instead
    of the authorities that certifi knows.
    """

    timeout: float = 10.0
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, as far as it is read. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def post(transport: Transport, url: str, body: bytes, headers: Mapping[str, str]) -> Answer | Retry | Dead:
    """Post once. An answer of any status is an Answer; without one it says whether another attempt makes sense.

    A redirect is not followed: it would carry the message, and perhaps its secrets, to another place. Addresses that
    only a machine's own cloud or link answers at are refused.
    """
    try:
        refused = _refused(httpx.URL(url))
        return refused or _exchanged(transport, url, body, headers)
    except httpx.TimeoutException:
        return Retry(None, f"no answer within {transport.timeout:g} s")
    except BadInput as failure:
        return Dead(str(failure), permanent=True)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        return Dead("the URL must begin with http:// or https:// and name a host", permanent=True)
    except (httpx.LocalProtocolError, UnicodeError):
        return Dead("a header, perhaps the token, holds characters that HTTP does not take", permanent=True)
    except httpx.ConnectError as failure:
        return Retry(None, _no_connection(failure))
    except httpx.ProxyError:
        return Retry(None, "the proxy refused the connection")
    except httpx.DecodingError:
        return Retry(None, "the answer could not be decoded")
    except httpx.TransportError as failure:
        return Retry(None, f"the connection broke ({type(failure).__name__})")


def _exchanged(transport: Transport, url: str, body: bytes, headers: Mapping[str, str]) -> Answer | Retry:
    verify = trust(transport.ca_file)
    limit = time.monotonic() + transport.timeout
    with (
        httpx.Client(
            timeout=transport.timeout, verify=verify, follow_redirects=False, headers={"User-Agent": "caldrift"}
        ) as client,
        client.stream("POST", url, content=body, headers=headers) as response,
    ):
        found = bytearray()
        for piece in response.iter_bytes():
            found += piece
            if time.monotonic() > limit:  # httpx limits each read, and an answer may come a byte at a time
                return Retry(None, f"no whole answer within {transport.timeout:g} s")
            if len(found) >= LARGEST_ANSWER:
                break
        return Answer(response.status_code, dict(response.headers), bytes(found[:LARGEST_ANSWER]))


def trust(ca_file: str | None) -> ssl.SSLContext:
    """Whom to trust: the authorities in `ca_file`, or certifi's. Raises BadInput if the file holds none."""
    if ca_file is None:
        return _of_certifi()
    try:
        return _of_file(ca_file, Path(ca_file).stat().st_mtime_ns)
    except OSError as failure:  # OpenSSL's errors are some, too
        raise BadInput("the file of authorities cannot be read, or holds no certificates") from failure


# Reading all authorities anew takes longer than most deliveries; a file that is renewed is read again.
_of_certifi = lru_cache(maxsize=1)(httpx.create_ssl_context)


@lru_cache(maxsize=8)
def _of_file(ca_file: str, _changed_at: int) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


def _refused(url: httpx.URL) -> Dead | None:
    if url.scheme not in {"http", "https"} or not url.host:
        raise httpx.UnsupportedProtocol("neither http nor https")
    try:
        found = socket.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None  # a proxy may know the name; without one, the connection fails and says so
    if any(is_forbidden(str(entry[4][0])) for entry in found):
        return Dead("the URL leads to a link-local or metadata address, which is never a receiver", permanent=True)
    return None


def is_forbidden(address: str) -> bool:
    """Whether a numeric address belongs to the machine's own link or to its cloud's metadata service."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(mapped in network for network in _FORBIDDEN)


def _no_connection(failure: httpx.ConnectError) -> str:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"TLS failure: {tls_reason(cause)}"
        if isinstance(cause, socket.gaierror):
            return "the host's name is not known"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        cause = cause.__cause__ or cause.__context__
    return "no connection"


def tls_reason(failure: ssl.SSLError) -> str:
    """OpenSSL's own words for the failure; they hold no secret."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"certificate not accepted, {failure.verify_message}"
    return (failure.reason or "unknown reason").lower().replace("_", " ")
