"""The pages of review, and the forms that they send: look for errors, draw spot checks, answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from monitor.errors import BadInput
from monitor.postgres import listings, matrices, pipeline, reviews, spot_checks
from monitor.postgres.database import Connection
from monitor.postgres.labelled import Selection
from monitor.postgres.retention import read_floor
from monitor.postgres.reviews import Answer
from monitor.review.matrix import Row, matrix
from monitor.web import reviewpage
from monitor.web.answering import Tell, answer
from monitor.web.changes import Change, Operator
from monitor.web.connections import Connections
from monitor.web.guard import local_path
from monitor.web.layout import Layout
from monitor.web.links import segment_of
from monitor.web.options import WebOptions
from monitor.web.reviewpage import MOST_WAITING, Address

Text = Annotated[str, Query(max_length=500)]
Segment = Annotated[list[str] | None, Query(max_length=20)]
Number = Annotated[int | None, Query(ge=1)]
LEVEL = 0.95
SCAN = "SET LOCAL statement_timeout = '120s'"
"""Looking through all pairs takes longer than a page may."""


def router(connections: Connections, layout: Layout, options: WebOptions, tell: Tell) -> APIRouter:
    """The routes. `tell` sends the labels that answers become."""
    routes = APIRouter(include_in_schema=False)
    _add_pages(routes, connections, layout, options)
    _add_searches(routes, connections, options)
    _add_answers(routes, connections, tell)
    return routes


def _add_pages(routes: APIRouter, connections: Connections, layout: Layout, options: WebOptions) -> None:
    def page(request: Request, address: Address, done: int | None) -> HTMLResponse:
        with connections.reading() as connection:
            now = pipeline.progress(connection).now
            if address.model not in listings.models(connection):
                raise reviewpage.UnknownModelError(f"There is no model {address.model}.")
            dimensions = matrices.dimensions(connection, address.model, options.main_signal)
            found = reviewpage.Found(
                waiting=reviews.waiting(
                    connection,
                    address.model,
                    address.queue,
                    since=reviewpage.since(address.window, now),
                    segment=dict(address.segment),
                    limit=MOST_WAITING,
                ),
                answered=None if done is None else reviews.item(connection, done),
                tallies=reviews.tallies(connection),
                draws=spot_checks.draws(connection, address.model) if address.queue == "spot_check" else [],
                rows=_rows(connection, address, dimensions, options) if address.queue == "errors" else [],
                dimensions=dimensions,
                now=now,
            )
        view = reviewpage.view_of(found, address, options.spot_check_share)
        return layout.page(request, "review.html", view=view, here="/review", windows=options.windows)

    @routes.get("/review")
    def models(request: Request) -> HTMLResponse:
        with connections.reading() as connection:
            rows = reviewpage.counted(
                reviews.tallies(connection), reviews.n_waiting(connection), listings.models(connection)
            )
        return layout.page(request, "reviews.html", rows=rows, here="/review")

    @routes.get("/review/{model:path}")
    def errors(
        *,
        request: Request,
        model: str,
        window: Text = "",
        segment: Segment = None,
        dimension: Text = "",
        done: Number = None,
    ) -> HTMLResponse:
        return page(request, Address("errors", model, window, _segment(segment), dimension), done)

    @routes.get("/spot-check/{model:path}")
    def spot_check(
        *, request: Request, model: str, window: Text = "", segment: Segment = None, done: Number = None
    ) -> HTMLResponse:
        return page(request, Address("spot_check", model, window, _segment(segment)), done)


def _segment(parts: list[str] | None) -> tuple[tuple[str, str], ...]:
    """The parts as they come from a link or, together and with commas, from the form."""
    return tuple(sorted(segment_of([each for part in parts or [] for each in part.split(",") if each]).items()))


def _rows(connection: Connection, address: Address, dimensions: list[str], options: WebOptions) -> list[Row]:
    chosen = address.dimension or (dimensions[0] if dimensions else "")
    window = address.window or options.windows[-1]
    return matrix(matrices.counts_by_value(connection, address.model, options.main_signal, window, chosen), LEVEL)


def _add_searches(routes: APIRouter, connections: Connections, options: WebOptions) -> None:
    @routes.post("/review/find")
    def find(change: Operator) -> Response:
        """Look for confident errors, in the part of the traffic that the page shows."""
        model, window = change.text("model"), change.text("window")
        segment = segment_of([part for part in change.text("segment").split(",") if part])
        with connections.writing() as connection:
            connection.execute(SCAN)
            now = pipeline.progress(connection).now
            selection = Selection(
                model,
                reviewpage.since(window, now) or read_floor(connection),
                now,
                segment,
                main_signal=options.main_signal,
            )
            added = reviews.add_errors(
                connection,
                selection,
                limit=options.queue_size,
                control_share=options.control_share,
                now=now,
                by=change.by,
            )
        return _done({"added": added}, Address("errors", model, window, tuple(segment.items())).page(), change)

    @routes.post("/spot-check/draw")
    def draw(change: Operator) -> Response:
        """Draw predictions to be checked."""
        model = change.text("model")
        with connections.writing() as connection:
            connection.execute(SCAN)
            made = spot_checks.draw(
                connection,
                model,
                options.spot_check_share,
                main_signal=options.main_signal,
                now=pipeline.progress(connection).now,
                by=change.by,
            )
        return _done({"drawn": made.drawn, "of": made.n}, f"/spot-check/{quote(model, safe='')}", change)


def _add_answers(routes: APIRouter, connections: Connections, tell: Tell) -> None:
    @routes.post("/review/answer")
    def give(change: Operator) -> Response:
        """Answer an item; the page goes on to the next."""
        given = Answer(change.text("reason"), change.by, change.text("truth"), change.text("note"))
        number = change.number("item")
        with connections.reading() as connection:
            now = pipeline.progress(connection).now
        item = answer(connections.writing, tell, number, given, now)
        back = local_path(change.text("back")) if change.text("back") else Address(item.queue, item.model).page()
        said = {"item": item.id, "reason": item.reason, "label": item.label}
        return _done(said, f"{back}{'&' if '?' in back else '?'}done={item.id}", change)


def _done(said: Mapping[str, object], page: str, change: Change) -> Response:
    """What was done, to a program; the page, to a browser."""
    return JSONResponse({"schema": 1, **said}) if change.is_program else RedirectResponse(page, 303)


def untold(label: object, model: str) -> None:
    """Stands in for Kafka where there is none. Raises BadInput."""
    raise BadInput(f"labels cannot be sent from here, so this answer of {model} cannot become one: {label}")
