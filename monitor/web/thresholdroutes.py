"""The page and the API of thresholds and certificates."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from monitor.calibration.certificates import Promise
from monitor.errors import BadInput
from monitor.postgres import pipeline
from monitor.postgres.certificates import deployed, document
from monitor.postgres.lookup import find_model
from monitor.postgres.selective import window_sums
from monitor.web import thresholdspage
from monitor.web.connections import Connections
from monitor.web.layout import Layout
from monitor.web.links import ThresholdsAddress, segment_of
from monitor.web.options import WebOptions
from monitor.web.pages import Text
from monitor.web.seriespage import UnknownSeriesError
from monitor.web.thresholdspage import Found

Segment = Annotated[list[str] | None, Query(max_length=20, description="dimension=value, once for each dimension")]
MOST = 1_000


def router(connections: Connections, layout: Layout, options: WebOptions) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    _add_page(routes, connections, layout, options)
    _add_api(routes, connections, options)
    return routes


def _add_page(routes: APIRouter, connections: Connections, layout: Layout, options: WebOptions) -> None:
    @routes.get("/thresholds/{model:path}", include_in_schema=False)
    def show(
        *,
        request: Request,
        model: str,
        signal: Text = options.main_signal,
        segment: Segment = None,
        window: Text = "",
        target: float = 0.95,
        reject: float = 0.5,
        delta: float = 0.05,
        chain: Annotated[str, Query(max_length=200)] = "",
    ) -> HTMLResponse:
        wanted = tuple(sorted(segment_of(segment or []).items()))
        over = window or options.windows[-1]
        address = checked(ThresholdsAddress(model, signal, wanted, over, target, reject, delta, chain))
        view = thresholdspage.view_of(_found(connections, address), address, options)
        return layout.page(request, "thresholds.html", view=view)


def _add_api(routes: APIRouter, connections: Connections, options: WebOptions) -> None:
    @routes.get("/api/v1/thresholds/{model:path}")
    def thresholds(
        *,
        model: str,
        signal: Text = options.main_signal,
        segment: Segment = None,
        window: Text = "",
        target: float = 0.95,
        reject: float = 0.5,
        delta: float = 0.05,
    ) -> Response:
        """What passes each threshold of one series, its bands, and the thresholds that are certified."""
        wanted = tuple(sorted(segment_of(segment or []).items()))
        over = window or options.windows[-1]
        address = checked(ThresholdsAddress(model, signal, wanted, over, target, reject, delta))
        return _json(thresholdspage.answer(_found(connections, address), address))

    @routes.get("/api/v1/certificates")
    def certificates(*, model: Text = "", past: bool = False) -> Response:
        """The deployed certificates and how their promises stand; with `past` those that were retired, too."""
        with connections.reading() as connection:
            found = deployed(connection, model or None, past=past, limit=MOST)
        return _json({"schema": 1, "certificates": [document(each) for each in found]})


def checked(address: ThresholdsAddress) -> ThresholdsAddress:
    """The address, whose promises are in range. Raises BadInput."""
    Promise(address.target, address.delta)
    Promise(address.reject, address.delta)
    return address


def _found(connections: Connections, address: ThresholdsAddress) -> Found:
    with connections.reading() as connection:
        try:
            find_model(connection, address.model)
        except BadInput as failure:
            raise UnknownSeriesError(str(failure)) from None
        return Found(
            series=window_sums(
                connection, address.model, address.window, signal=address.signal, segment=dict(address.segment)
            ),
            deployed=deployed(connection, address.model),
            progress=pipeline.progress(connection),
        )


def _json(found: object) -> Response:
    return Response(msgspec.json.encode(found), media_type="application/json")
