"""Receivers on loopback: an HTTP server whose answers a test scripts, and what all fakes of a protocol share."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any


@dataclass(frozen=True)
class Seen:
    """A request as it came. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer; `slowly` seconds pass before it, or before each of its bytes if there are `drops`."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    slowly: float = 0.0
    drops: int = 0


Answering = Callable[[Seen], Reply]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that refuse a certificate or lose patience are what tests want."""


class Receiver:
    """A server in a thread. `script` holds replies that come first, then `answering` is asked."""

    def __init__(self, answering: Answering, tls: SSLContext | None) -> None:
        self.answering = answering
        self.script: list[Reply] = []
        self.seen: list[Seen] = []
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def reply(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        return self.script.pop(0) if self.script else self.answering(seen)

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving(answering: Answering = lambda seen: Reply(), tls: SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver for as long as the test needs it."""
    receiver = Receiver(answering, tls)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._write(receiver.reply(Seen(self.command, self.path, headers, body)))

        do_GET = do_POST  # noqa: N815 - the name that the library calls; a client that follows a redirect asks so

        def _write(self, reply: Reply) -> None:
            try:
                if not reply.drops:
                    time.sleep(reply.slowly)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body) + reply.drops))
                self.end_headers()
                self.wfile.write(reply.body)
                for _ in range(reply.drops):
                    time.sleep(reply.slowly)
                    self.wfile.write(b".")
                    self.wfile.flush()
            except OSError:
                pass  # the client has left, as the test wants

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the library calls it by
            pass

    return Handler
