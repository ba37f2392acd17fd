"""A certificate for 127.0.0.1 from an authority of the test's own."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Tls:
    """`server` presents the certificate; `ca_file` holds the authority that a client must trust."""

    server: ssl.SSLContext
    ca_file: str


def made(folder: Path, host: str = "127.0.0.1") -> Tls:
    """A certificate for `host`."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(server)
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return Tls(server, str(path))
