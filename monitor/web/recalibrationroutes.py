"""The pages of recalibration: which map each model has, its hold-out, and putting maps in force or out of it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from monitor.errors import BadInput, Refused
from monitor.events.rules import CALIBRATED
from monitor.postgres import calibrators, labels, listings, lookup, pipeline
from monitor.postgres.calibrators import InForce
from monitor.postgres.database import Connection
from monitor.postgres.listings import Selection
from monitor.web import recalibrationpage
from monitor.web.changes import Change, Operator
from monitor.web.connections import Connections
from monitor.web.layout import Layout
from monitor.web.options import WebOptions
from monitor.web.recalibrationpage import address

Refresh = Annotated[Literal["on", "off"], Query()]


def router(connections: Connections, layout: Layout, options: WebOptions) -> APIRouter:
    """The routes of the pages."""
    routes = APIRouter(include_in_schema=False)
    _add_list(routes, connections, layout, options)
    _add_model(routes, connections, layout, options)
    _add_changes(routes, connections, options)
    return routes


def _add_list(routes: APIRouter, connections: Connections, layout: Layout, options: WebOptions) -> None:
    @routes.get("/recalibration")
    def show(request: Request, refresh: Refresh = "on") -> HTMLResponse:
        with connections.reading() as connection:
            now = pipeline.progress(connection).now
            rows = [
                recalibrationpage.row_of(
                    model,
                    calibrators.in_force(connection, model, options.main_signal),
                    calibrators.stored(connection, model, options.main_signal),
                    calibrators.runs(connection, model, 1),
                    now,
                )
                for model in labels.models(connection, options.main_signal)
            ]
        return layout.page(
            request, "recalibrations.html", rows=rows, now=now, here="/recalibration", refresh=refresh == "on"
        )


def _add_model(routes: APIRouter, connections: Connections, layout: Layout, options: WebOptions) -> None:
    @routes.get("/recalibration/{model:path}/{version}.json")
    def download(model: str, version: int) -> Response:
        with connections.reading() as connection:
            found = calibrators.version_of(connection, model, options.main_signal, version)
        kept = {"Content-Disposition": f'attachment; filename="calibrator-{version}.json"'}
        return Response(found.body, media_type="application/json", headers=kept)

    @routes.get("/recalibration/{model:path}")
    def show(request: Request, model: str, refresh: Refresh = "on") -> HTMLResponse:
        with connections.reading() as connection:
            found = _found(connection, model, options)
        view = recalibrationpage.view_of(found)
        return layout.page(
            request,
            "recalibration.html",
            view=view,
            shown=recalibrationpage.SHOWN,
            here="/recalibration",
            refresh=refresh == "on",
        )


def _add_changes(routes: APIRouter, connections: Connections, options: WebOptions) -> None:
    @routes.post("/recalibration/{model:path}/promote")
    def promote(model: str, change: Operator) -> RedirectResponse:
        with connections.writing() as connection:
            before = _seen(connection, model, change, options)
            chosen = calibrators.version_of(connection, model, options.main_signal, change.number("version"))
            now, shadow = pipeline.progress(connection).now, change.text("stage") == "shadow"
            reason = change.text("reason") or "promoted on the page"
            _promote(connection, calibrators.promotion_of(chosen, before, now, change.by, reason, shadow=shadow))
        return RedirectResponse(address(model), 303)

    @routes.post("/recalibration/{model:path}/roll-back")
    def roll_back(model: str, change: Operator) -> RedirectResponse:
        with connections.writing() as connection:
            before = _seen(connection, model, change, options)
            if before is None or before.calibrator is None:
                raise BadInput(f"no map of {model} is in force: there is nothing to roll back")
            back = calibrators.previous(connection, model, options.main_signal)
            now = pipeline.progress(connection).now
            reason = change.text("reason") or "rolled back on the page"
            _promote(connection, calibrators.back_to(before, back, now, change.by, reason))
        return RedirectResponse(address(model), 303)


def _promote(connection: Connection, promotion: InForce) -> None:
    try:
        calibrators.promote(connection, promotion)
    except Refused as failure:
        raise HTTPException(409, str(failure)) from None


def _seen(connection: Connection, model: str, change: Change, options: WebOptions) -> InForce | None:
    """What is in force. Answers 409 where it is not what the page showed whose form was sent."""
    before = calibrators.in_force(connection, model, options.main_signal)
    if change.number("number") != (0 if before is None else before.number):
        words = "nothing" if before is None else f"{before.words}, by {before.by}"
        raise HTTPException(409, f"What is in force for {model} has changed since the page was shown: {words}.")
    return before


def _found(connection: Connection, model: str, options: WebOptions) -> recalibrationpage.Found:
    lookup.find_model(connection, model)
    return recalibrationpage.Found(
        model=model,
        signal=options.main_signal,
        in_force=calibrators.in_force(connection, model, options.main_signal),
        back=calibrators.previous(connection, model, options.main_signal),
        stored=calibrators.stored(connection, model, options.main_signal),
        promotions=calibrators.promotions(connection, model),
        runs=calibrators.runs(connection, model, 50),
        window=options.windows[0],
        rows=[
            row
            for signal in (options.main_signal, CALIBRATED)
            for row in listings.latest_rows(
                connection,
                Selection(options.windows[0], options.min_labels, model, signal, any_source=False),
                rank="name",
                limit=recalibrationpage.MOST_ROWS,
            )
        ],
        now=pipeline.progress(connection).now,
    )
