"""The monthly report as a page: the same file as `caldrift report` writes."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse

from monitor.errors import BadInput
from monitor.postgres import pipeline
from monitor.postgres.lookup import find_model
from monitor.postgres.monthly import month_of
from monitor.web import monthly
from monitor.web.connections import Connections
from monitor.web.layout import style
from monitor.web.links import month_before, report_page
from monitor.web.options import WebOptions
from monitor.web.seriespage import UnknownSeriesError


def router(connections: Connections, options: WebOptions) -> APIRouter:
    """`/reports/{model}/{month}`, and `/reports/{model}` for the last month that is over."""
    routes = APIRouter(include_in_schema=False)
    digest = b64encode(sha256(style().encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

    @routes.get("/reports/{model:path}/{month:str}")
    def show(model: str, month: str) -> HTMLResponse:
        with connections.reading() as connection:
            now = pipeline.progress(connection).now
            start, end = monthly.month_between(month, now)
            try:
                find_model(connection, model)
            except BadInput as failure:
                raise UnknownSeriesError(str(failure)) from None
            found = month_of(
                connection, model, start, end, now=now, maturity=options.maturity, main_signal=options.main_signal
            )
        text = monthly.html_document(found, min_labels=options.min_labels, pages=options.public_url)
        return HTMLResponse(text, headers={"Content-Security-Policy": policy})

    @routes.get("/reports/{model}")
    def newest(model: str) -> RedirectResponse:
        with connections.reading() as connection:
            now = pipeline.progress(connection).now
        return RedirectResponse(report_page(model, month_before(now)), 307)

    return routes
