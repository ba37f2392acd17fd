"""Who may read, and what a browser may do with a page: hosts, token, headers. A layer around the whole application."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "caldrift_session"
OPEN_PATHS: Final = ("/livez", "/readyz", "/sign-in", "/static/")
"""Paths that need no token: probes, the form itself, and files that ship with the package."""

MACHINE_PATHS: Final = ("/api/", "/metrics")
"""Paths that programs read: refused with 401 instead of being sent to the form."""

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def session_of(token: str) -> str:
    """What the cookie of a signed-in browser holds: proof of the token, not the token."""
    return hmac.new(token.encode(), b"caldrift web session, version 1", "sha256").hexdigest()


def is_token(given: str, token: str) -> bool:
    """Whether the text is the token; takes the same time wherever they differ."""
    return hmac.compare_digest(given.encode(), token.encode())


def is_signed_in(headers: Headers, token: str) -> bool:
    """Whether the request carries the token (`Authorization: Bearer`) or the cookie of a browser that gave it."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and is_token(given.strip(), token):
        return True
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return False
    return cookie is not None and hmac.compare_digest(cookie.value.encode(), session_of(token).encode())


def is_host_known(host: str, allowed: Iterable[str]) -> bool:
    """Whether a page may be served under this Host: an address, `localhost`, or a name that the settings allow.

    Any other name may be an outsider's that was made to point here (DNS rebinding).
    """
    name = host.rpartition(":")[0] if not host.endswith("]") and host.rpartition(":")[2].isdigit() else host
    name = name.strip("[]").rstrip(".").lower()
    if name == "localhost" or name in {other.lower() for other in allowed}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """Checks every request before the application sees it, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, *, token: str | None, allowed_hosts: tuple[str, ...]) -> None:
        self.app, self.token, self.allowed_hosts = app, token, allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self.refusal(scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await (refusal or self.app)(scope, receive, send_guarded)

    def refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that may not pass; None for one that may."""
        headers, path = Headers(scope=scope), str(scope["path"])
        if self.token is None:
            if is_host_known(headers.get("host", ""), self.allowed_hosts):
                return None
            return PlainTextResponse("caldrift does not answer to this host name; add it to web.allowed_hosts\n", 421)
        if path.startswith(OPEN_PATHS) or is_signed_in(headers, self.token):
            return None
        if path.startswith(MACHINE_PATHS) or scope["method"] not in {"GET", "HEAD"}:
            return PlainTextResponse(
                "a token is needed: Authorization: Bearer ...\n", 401, {"WWW-Authenticate": "Bearer"}
            )
        query = scope.get("query_string", b"").decode("latin-1")
        target = quote(f"{path}?{query}" if query else path, safe="")
        return RedirectResponse(f"/sign-in?next={target}", 303)


def local_path(target: str) -> str:
    """The target if it is a path of this site, else `/`: a sign-in never leads elsewhere."""
    plain = (
        target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable() and "\\" not in target
    )
    return target if plain else "/"
