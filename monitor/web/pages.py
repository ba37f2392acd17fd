"""The pages that people read. Each reads one snapshot of computed rows, makes its view, and lays it out."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from monitor.errors import BadInput
from monitor.postgres import alarms, alert_views, audit, calibrators, listings, pipeline, rule_sets
from monitor.postgres import pages as stored
from monitor.postgres.alert_views import OPEN
from monitor.postgres.offsets import read_offsets
from monitor.web import overview, seriespage
from monitor.web.connections import Connections
from monitor.web.deadletters import PAGE_SIZE as LETTERS
from monitor.web.deadletters import view_of as dead_letter_view
from monitor.web.definitions import DEFINITIONS
from monitor.web.layout import Layout
from monitor.web.links import OverviewAddress, SeriesAddress, address_of, segment_of
from monitor.web.options import WebOptions
from monitor.web.ruleset import rules_of

Refresh = Annotated[Literal["on", "off"], Query()]
Text = Annotated[str, Query(max_length=500)]
Rank = Literal["excess", "gap", "ece", "n", "name"]

CHANGES: Final = 100
"""Entries of the trail on one page."""


def router(connections: Connections, layout: Layout, options: WebOptions) -> APIRouter:
    """The routes of the pages."""
    routes = APIRouter(include_in_schema=False)
    add_overview(routes, connections, layout, options)
    add_series(routes, connections, layout, options)
    add_others(routes, connections, layout)
    return routes


def add_overview(routes: APIRouter, connections: Connections, layout: Layout, options: WebOptions) -> None:
    """`/`."""

    @routes.get("/")
    def show(
        *,
        request: Request,
        window: Text = "",
        model: Text = "",
        signal: Text = "",
        search: Annotated[str, Query(max_length=200)] = "",
        sources: Literal["", "all"] = "",
        rank: Rank = "excess",
        page: Annotated[int, Query(ge=1, le=10_000)] = 1,
        refresh: Refresh = "on",
    ) -> HTMLResponse:
        address = OverviewAddress(
            window or options.windows[0], model, signal, search, sources, rank, page, refresh=refresh == "on"
        )
        chosen = listings.Selection(
            address.window,
            options.min_labels,
            model or None,
            signal or None,
            search or None,
            any_source=sources == "all",
        )
        with connections.reading() as connection:
            listed = listings.overview_page(connection, chosen, options.main_signal, rank, overview.place_of(page))
            found = overview.Found(
                rows=listed.rows,
                totals=listed.totals,
                past=stored.recent(connection, [row.series for row in listed.rows], address.window),
                models=listings.models(connection),
                signals=listings.signals(connection),
                partitions=read_offsets(connection, options.group_id),
                dead_letters=pipeline.dead_letter_counts(connection),
                beats=pipeline.beats(connection),
                progress=pipeline.progress(connection),
                alarms=alarms.alarms(connection, model=model or None, limit=overview.ALARMS),
                alerts=alert_views.of_series(connection, [row.series for row in listed.rows]),
                alert_counts=alert_views.counts(connection),
                has_rules=rule_sets.rule_set(connection) is not None,
            )
        view = overview.view_of(found, address, options)
        return layout.page(request, "overview.html", view=view, here="/", refresh=address.refresh)


def add_series(routes: APIRouter, connections: Connections, layout: Layout, options: WebOptions) -> None:
    """`/series` and `/series/{number}`."""

    @routes.get("/series/{number}")
    def by_number(number: int, window: Text = "") -> RedirectResponse:
        with connections.reading() as connection:
            key = stored.series_numbered(connection, number)
        if key is None:
            raise seriespage.UnknownSeriesError(f"There is no series number {number}.")
        return RedirectResponse(address_of(key, window or options.windows[0]).page(), 307)

    @routes.get("/series")
    def show(
        *,
        request: Request,
        model: Text,
        signal: Text = options.main_signal,
        segment: Annotated[list[str] | None, Query(max_length=20)] = None,
        window: Text = "",
        source: Text = "",
        as_of: datetime | None = None,
        refresh: Refresh = "on",
    ) -> HTMLResponse:
        wanted = tuple(sorted(segment_of(segment or []).items()))
        address = SeriesAddress(
            model, signal, wanted, window or options.windows[0], source, aware(as_of), refresh=refresh == "on"
        )
        with connections.reading() as connection:
            key = stored.find_series(connection, model, signal, dict(wanted), source)
            if key is None:
                raise seriespage.UnknownSeriesError(
                    f"There is no such series of {model}: it may have been retired, or never had an event."
                )
            found = seriespage.Found(
                body=stored.reading_body(connection, key.series, address.window, address.as_of),
                past=stored.history(connection, key.series, address.window, address.as_of),
                windows=stored.windows_of(connection, key.series),
                neighbours=stored.neighbours(connection, key, limit=seriespage.NEIGHBOURS + 1),
                progress=pipeline.progress(connection),
                detector=next(iter(alarms.detectors(connection, series=[key.series])), None),
                alarms=alarms.alarms(connection, series=[key.series], until=address.as_of, limit=seriespage.ALARMS),
                alerts=alert_views.of_series(connection, [key.series], OPEN),
                changes=alert_views.changes(connection, key.series, [address.window, ""], until=address.as_of),
                rules=rules_of(rule_sets.rule_set(connection))[0],
                promotions=calibrators.promotions(connection, address.model),
            )
        view = seriespage.view_of(found, address, options)
        return layout.page(request, "series.html", view=view, here="", refresh=address.refresh)


def add_others(routes: APIRouter, connections: Connections, layout: Layout) -> None:
    """`/dead-letters`, `/trail` and `/definitions`."""

    @routes.get("/dead-letters")
    def dead_letters(
        request: Request, reason: Text = "", before: Annotated[int | None, Query(ge=0)] = None
    ) -> HTMLResponse:
        with connections.reading() as connection:
            counts = pipeline.dead_letter_counts(connection)
            rows = pipeline.dead_letters(connection, reason=reason or None, before=before, limit=LETTERS + 1)
        view = dead_letter_view(counts, rows, reason)
        return layout.page(request, "dead_letters.html", view=view, here="/dead-letters")

    @routes.get("/trail")
    def trail(request: Request, before: Annotated[int | None, Query(ge=1)] = None) -> HTMLResponse:
        with connections.reading() as connection:
            found = audit.trail(connection, CHANGES + 1, before)
        rows = [(each, json.dumps(each.detail, ensure_ascii=False)) for each in found[:CHANGES]]
        older = f"/trail?before={rows[-1][0].id}" if len(found) > CHANGES else ""
        return layout.page(request, "trail.html", rows=rows, older=older, here="/trail")

    @routes.get("/definitions")
    def definitions(request: Request) -> Response:
        return layout.page(request, "definitions.html", definitions=DEFINITIONS, here="/definitions")


def aware(at: datetime | None) -> datetime | None:
    """The instant, which must say its zone. Raises BadInput where it does not."""
    if at is not None and at.tzinfo is None:
        raise BadInput(f"an instant needs a zone, say {at.isoformat()}Z")
    return at
