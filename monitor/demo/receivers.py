"""Stand-ins for Slack and PagerDuty on loopback, and a page that shows what they received.

A real HTTP server that speaks their protocols, so that the service tells it what it would tell the real ones.
"""

import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from monitor.demo.pagerduty import Service
from monitor.demo.ports import LOOPBACK
from monitor.demo.receivedpage import page, received
from monitor.demo.slack import Workspace

LARGEST: Final = 4 << 20
"""Bytes of a request; no message and no picture of the service is as large."""
HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json; charset=utf-8"
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Receivers:
    """Both stand-ins; the secrets are those that the service has to name."""

    url: str
    slack: Workspace
    pagerduty: Service
    web: str = ""
    """Where the service's own page is."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def slack_url(self) -> str:
        """For a channel's `base_url`."""
        return f"{self.url}/slack/api/"

    @property
    def pagerduty_url(self) -> str:
        """For a channel's `url`."""
        return f"{self.url}/pagerduty"

    def shown(self, path: str, now: datetime) -> Reply:
        """The answer to a browser."""
        with self.lock:
            if path == "/":
                return Reply(200, HTML, page(self.slack, self.pagerduty, self.web, now).encode())
            if path == "/received.json":
                content = json.dumps(received(self.slack, self.pagerduty), indent=1, ensure_ascii=False)
                return Reply(200, JSON, content.encode())
            name = path.removeprefix("/pictures/").removesuffix(".png")
            picture = self.slack.pictures.get(name)
        if picture is not None and path == f"/pictures/{name}.png" and picture.png:
            return Reply(200, "image/png", picture.png)
        return _not_found()

    def taken(self, path: str, headers: Mapping[str, str], body: bytes, now: datetime) -> Reply:
        """The answer to what the service posts."""
        with self.lock:
            if path.startswith("/slack/upload/"):
                known = self.slack.put_file(path.removeprefix("/slack/upload/"), body)
                return Reply(200, "text/plain", b"OK") if known else _not_found()
            asked = _asked(headers.get("content-type", ""), body)
            if path.startswith("/slack/api/"):
                authorization = headers.get("authorization", "")
                method = path.removeprefix("/slack/api/")
                if asked is None:
                    return _json(200, {"ok": False, "error": "invalid_json"})
                return _json(200, self.slack.call(method, asked, authorization, now))
            if path in {"/pagerduty/v2/enqueue", "/pagerduty/v2/change/enqueue"}:
                if asked is None:
                    return _json(400, {"status": "invalid event", "message": "no JSON object", "errors": []})
                is_change = path.endswith("/change/enqueue")
                take = self.pagerduty.enqueue_change if is_change else self.pagerduty.enqueue
                return _json(*take(asked, now))
        return _not_found()


@contextmanager
def receiving(port: int, web: str = "") -> Iterator[Receivers]:
    """Both stand-ins, at the port or at a free one, for as long as the block lasts."""
    server = _listening(port)
    url = f"http://{LOOPBACK}:{server.server_address[1]}"
    workspace = Workspace(f"xoxb-{secrets.token_hex(12)}", f"{url}/slack/upload")
    receivers = Receivers(url, workspace, Service(secrets.token_hex(16)), web)
    server.RequestHandlerClass = _handler(receivers)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="receivers", daemon=True)
    thread.start()
    try:
        yield receivers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves early is its own affair."""


def _listening(port: int) -> _Server:
    try:
        return _Server((LOOPBACK, port), BaseHTTPRequestHandler)
    except OSError:
        return _Server((LOOPBACK, 0), BaseHTTPRequestHandler)


def _handler(receivers: Receivers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            self._answer(receivers.shown(urlsplit(self.path).path, datetime.now(UTC)))

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > LARGEST:
                self._answer(Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "text/plain", b"too large"))
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(length))
            self._answer(receivers.taken(urlsplit(self.path).path, headers, body, datetime.now(UTC)))

        def _answer(self, reply: Reply) -> None:
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(reply.body)))
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the library calls it by
            pass

    return Handler


def _asked(kind: str, body: bytes) -> dict[str, Any] | None:
    """What a body asks for, JSON or a form; None where it is neither."""
    try:
        if kind.startswith("application/json"):
            found = json.loads(body)
            return found if isinstance(found, dict) else None
        return {name: values[0] for name, values in parse_qs(body.decode()).items()}
    except (ValueError, RecursionError):
        return None


def _json(status: int, content: Mapping[str, Any]) -> Reply:
    return Reply(status, JSON, json.dumps(content).encode())


def _not_found() -> Reply:
    return Reply(HTTPStatus.NOT_FOUND, "text/plain", b"not found")
