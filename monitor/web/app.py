"""The web application: pages, API, metrics and probes behind one guard."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from monitor.errors import BadInput, CaldriftError, Refused, Unavailable
from monitor.postgres.pages import schema_revision
from monitor.web import (
    alertapi,
    alertroutes,
    api,
    calibratorapi,
    exposition,
    pages,
    recalibrationroutes,
    reportroutes,
    reviewapi,
    reviewroutes,
    thresholdroutes,
)
from monitor.web.alertpage import UnknownAlertError
from monitor.web.answering import Tell
from monitor.web.connections import Connections
from monitor.web.guard import Guard, local_path, session_cookie
from monitor.web.layout import VERSION, Layout
from monitor.web.options import WebOptions, check
from monitor.web.reviewpage import UnknownModelError
from monitor.web.seriespage import UnknownSeriesError
from monitor.web.visitors import COOKIE, Gate

LOG = logging.getLogger(__name__)
RETRY_SECONDS = 5
LARGEST_FORM = 4096


def create_app(
    options: WebOptions, connections: Connections, revision: str, tell: Tell = reviewroutes.untold
) -> FastAPI:
    """The application. `revision` is that of the schema which this version needs, for /readyz; `tell` sends labels.

    Raises BadSettings when the options would open it to other machines without a token.
    """
    check(options)
    app = FastAPI(title="caldrift", version=VERSION, docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json")
    layout, gate = Layout(refresh_seconds=options.refresh_seconds), Gate(options)
    app.include_router(pages.router(connections, layout, options))
    app.include_router(alertroutes.router(connections, layout, options))
    app.include_router(recalibrationroutes.router(connections, layout, options))
    app.include_router(reviewapi.router(connections, tell))
    app.include_router(reviewroutes.router(connections, layout, options, tell))
    app.include_router(api.router(connections, options))
    app.include_router(alertapi.router(connections))
    app.include_router(calibratorapi.router(connections, options))
    app.include_router(thresholdroutes.router(connections, layout, options))
    app.include_router(reportroutes.router(connections, options))
    app.include_router(exposition.router(connections, options))
    app.mount("/static", StaticFiles(directory=Path(str(files("monitor.web"))) / "static"))
    _add_probes(app, connections, revision)
    _add_sign_in(app, layout, gate, options)
    _add_failures(app, layout)
    app.add_middleware(Guard, gate=gate, allowed_hosts=options.allowed_hosts)
    return app


def _add_probes(app: FastAPI, connections: Connections, revision: str) -> None:
    @app.get("/livez", include_in_schema=False)
    def livez() -> PlainTextResponse:
        """The process answers: true even while the database is away."""
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    def readyz() -> PlainTextResponse:
        """The database answers and has this version's tables."""
        try:
            with connections.reading() as connection:
                current = schema_revision(connection) == revision
        except Unavailable as failure:
            LOG.warning("not ready: %s", failure)
            return PlainTextResponse("the database does not answer\n", 503)
        if not current:
            return PlainTextResponse("the database has another version's tables: caldrift db upgrade\n", 503)
        return PlainTextResponse("ok\n")


def _add_sign_in(app: FastAPI, layout: Layout, gate: Gate, options: WebOptions) -> None:
    """The form takes the viewer's token or the operator's, whichever there are."""
    needed = "These pages need the token of this installation." if options.token else "Anybody may read these pages."
    words = f"{needed} The operator's token also lets change things." if options.operator_token else needed

    def page(request: Request, target: str, status: int = 200) -> Response:
        made = layout.page(request, "sign_in.html", next=target, words=words, wrong=status != 200, bare=True)
        made.status_code = status
        return made

    @app.get("/sign-in", include_in_schema=False)
    def form(request: Request, next: str = "/") -> Response:  # noqa: A002 - the name in the URL
        return page(request, local_path(next)) if gate.can_sign_in else RedirectResponse("/", 303)

    @app.post("/sign-in", include_in_schema=False)
    async def sign_in(request: Request) -> Response:
        given = parse_qs((await _small_body(request)).decode("utf-8", "replace"))
        target = local_path(given.get("next", ["/"])[0])
        if not gate.can_sign_in:
            return RedirectResponse("/", 303)
        role = gate.role_of(given.get("token", [""])[0])
        if role is None:
            return page(request, target, 403)
        answer = RedirectResponse(target, 303)
        session = gate.new_session(role, given.get("name", [""])[0])
        answer.headers.append("Set-Cookie", session_cookie(session, secure=request.url.scheme == "https"))
        return answer

    @app.post("/sign-out", include_in_schema=False)
    def sign_out() -> RedirectResponse:
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE)
        return answer


async def _small_body(request: Request) -> bytes:
    """The body of a form, up to its bound; nothing of a larger one."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            return b""
    return body


UNKNOWN: Final = (
    (UnknownSeriesError, "No such series", "The overview lists the series that there are."),
    (UnknownAlertError, "No such alert", "The page of alerts lists those that there are."),
    (UnknownModelError, "No such model", "The page of reviews lists those that there are."),
)
"""What an address may name that is not there: the failure, its words, and where to look instead."""


def _add_unknown(app: FastAPI, kind: type[CaldriftError], say: Callable[..., Response]) -> None:
    @app.exception_handler(kind)
    def unknown(request: Request, failure: CaldriftError) -> Response:
        return say(request, text=str(failure))


def _add_failures(app: FastAPI, layout: Layout) -> None:
    """Every failure is said in words: to people as a page, to programs as JSON."""

    def say(request: Request, title: str, text: str, status: int, *, then: str = "", retry: int = 0) -> Response:
        if request.url.path.startswith("/api/"):
            waits = {"Retry-After": str(retry)} if retry else {}
            return JSONResponse({"schema": 1, "error": text}, status, headers=waits)
        return layout.message(title, text, status, then=then, retry_seconds=retry)

    @app.exception_handler(Unavailable)
    def away(request: Request, failure: Unavailable) -> Response:
        LOG.warning("the database is away: %s", failure)
        then = (
            f"Nothing is lost meanwhile. This page tries again every {RETRY_SECONDS} seconds; caldrift doctor says "
            "what is wrong."
        )
        text = "The pages show what the database holds, and it cannot be read now."
        return say(request, "The database does not answer", text, 503, then=then, retry=RETRY_SECONDS)

    for kind, title, then in UNKNOWN:
        _add_unknown(app, kind, partial(say, title=title, status=404, then=then))

    @app.exception_handler(Refused)
    def unreadable(request: Request, failure: Refused) -> Response:
        return say(request, "What is stored cannot be read", str(failure), 500)

    @app.exception_handler(BadInput)
    def bad(request: Request, failure: BadInput) -> Response:
        return say(request, "That cannot be read", str(failure), 400)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, failure: RequestValidationError) -> Response:
        mistakes = "; ".join(
            f"{'.'.join(str(part) for part in error['loc'][1:])}: {error['msg']}" for error in failure.errors()
        )
        return say(request, "That address cannot be read", mistakes, 400)

    @app.exception_handler(HTTPException)
    def refused(request: Request, failure: HTTPException) -> Response:
        titles = {403: "Not allowed", 404: "No such page", 405: "Not allowed here", 409: "Somebody was faster"}
        return say(
            request, titles.get(failure.status_code, "That did not work"), str(failure.detail), failure.status_code
        )
