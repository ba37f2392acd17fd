"""Who may read, and what a browser may do with a page: hosts, tokens, origin, headers. A layer around the whole."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from http.cookies import SimpleCookie
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.web.changes import set_visitor
from monitor.web.visitors import COOKIE, Gate, Visitor

OPEN_PATHS: Final = ("/livez", "/readyz", "/sign-in", "/static/")
"""Paths that need no token: probes, the form itself, and files that ship with the package."""

MACHINE_PATHS: Final = ("/api/", "/metrics")
"""Paths that programs read: refused with 401 instead of being sent to the form."""

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
SESSION_SECONDS: Final = 30 * 86_400

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


def is_from_here(headers: Headers, allowed: Iterable[str]) -> bool:
    """Whether a request that may change something comes from a page of this site, or from no page at all.

    Browsers say so in Sec-Fetch-Site; those that do not, in Origin, whose host must be the one that was asked or one of
    the settings'. Programs send neither.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site in {"same-origin", "none"}
    if origin is None:
        return True
    try:
        place = urlsplit(origin)
        named = place.netloc.lower() == headers.get("host", "").lower() or place.hostname in {
            name.lower() for name in allowed
        }
    except ValueError:
        return False
    return place.scheme in {"http", "https"} and named


def session_cookie(session: str, *, secure: bool) -> str:
    """The header that gives a browser its session."""
    cookie: SimpleCookie = SimpleCookie({COOKIE: session})
    for name, value in (("max-age", SESSION_SECONDS), ("path", "/"), ("httponly", True), ("samesite", "lax")):
        cookie[COOKIE][name] = value
    if secure:
        cookie[COOKIE]["secure"] = True
    return cookie[COOKIE].OutputString()


class Guard:
    """Checks every request before the application sees it, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, *, gate: Gate, allowed_hosts: tuple[str, ...]) -> None:
        self.app, self.gate, self.allowed_hosts = app, gate, allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        client = scope.get("client")
        visitor = self.gate.visitor(Headers(scope=scope), client[0] if client else "")
        set_visitor(scope, visitor)
        refusal = self.refusal(scope, visitor)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if visitor.is_used and visitor.is_fresh:
                    headers.append("Set-Cookie", session_cookie(visitor.session, secure=scope["scheme"] == "https"))
            await send(message)

        await (refusal or self.app)(scope, receive, send_guarded)

    def refusal(self, scope: Scope, visitor: Visitor) -> Response | None:
        """The answer to a request that may not pass; None for one that may."""
        headers, path = Headers(scope=scope), str(scope["path"])
        if self.gate.is_open and not is_host_known(headers.get("host", ""), self.allowed_hosts):
            return PlainTextResponse("caldrift does not answer to this host name; add it to web.allowed_hosts\n", 421)
        if scope["method"] not in READING and not is_from_here(headers, self.allowed_hosts):
            return PlainTextResponse("this was sent from a page of another site\n", 403)
        if visitor.may_read or path.startswith(OPEN_PATHS):
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
