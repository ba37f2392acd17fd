"""The HTTP API: the same readings as the command line prints, from the rows that the leader computed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from monitor.calibration.reading import reading_from_json
from monitor.postgres import alarms, listings
from monitor.postgres import pages as stored
from monitor.postgres.database import Connection
from monitor.web.connections import Connections
from monitor.web.links import instant, segment_of, segment_text
from monitor.web.options import WebOptions
from monitor.web.pages import Rank, Text, aware
from monitor.web.seriespage import UnknownSeriesError

JSON = "application/json"
MOST_SERIES = 10_000
MOST_READINGS = 1000
MOST_ALARMS = 10_000
Segment = Annotated[list[str] | None, Query(max_length=20, description="dimension=value, once for each dimension")]
Limit = Annotated[int, Query(ge=1, le=MOST_SERIES)]


def router(connections: Connections, options: WebOptions) -> APIRouter:
    """The routes of the API."""
    routes = APIRouter(prefix="/api/v1")
    _add_lists(routes, connections, options)
    _add_readings(routes, connections, options)
    _add_bins(routes, connections, options)
    _add_drift(routes, connections, options)
    return routes


def _add_lists(routes: APIRouter, connections: Connections, options: WebOptions) -> None:
    @routes.get("/series")
    def series(
        *,
        window: Text = "",
        model: Text = "",
        signal: Text = "",
        search: Text = "",
        sources: Literal["", "all"] = "",
        limit: Limit = 500,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        """The newest reading of every series in one window."""
        chosen = _selection(options, window, model, signal, search, any_source=sources == "all")
        with connections.reading() as connection:
            return _readings(listings.latest_bodies(connection, chosen, limit=limit, offset=offset))

    @routes.get("/series.csv")
    def series_csv(
        *,
        window: Text = "",
        model: Text = "",
        signal: Text = "",
        search: Text = "",
        sources: Literal["", "all"] = "",
        rank: Rank = "excess",
        limit: Limit = MOST_SERIES,
    ) -> Response:
        """The same as a table, worst first."""
        chosen = _selection(options, window, model, signal, search, any_source=sources == "all")
        with connections.reading() as connection:
            rows = listings.latest_rows(connection, chosen, rank=rank, limit=limit)
        heads = (
            "model",
            "signal",
            "segment",
            "source",
            "window",
            "as_of",
            "n",
            "n_predictions",
            *_MEASURES,
            "coverage",
        )
        lines = (
            (
                row.model, row.signal, segment_text(row.segment), row.source_group, chosen.window, instant(row.as_of),
                row.n, row.n_predictions, row.ece, row.ece_low, row.ece_high, row.null_low, row.null_high,
                row.signed_gap, row.coverage,
            )
            for row in rows
        )  # fmt: skip
        return table("series.csv", heads, lines)


def _selection(options: WebOptions, window: str, *texts: str, any_source: bool) -> listings.Selection:
    """`texts` are model, signal and search, empty where not given."""
    model, signal, search = (text or None for text in texts)
    return listings.Selection(
        window or options.windows[0], options.min_labels, model, signal, search, any_source=any_source
    )


_MEASURES = ("ece", "ece_low", "ece_high", "null_low", "null_high", "signed_gap")


def _add_readings(routes: APIRouter, connections: Connections, options: WebOptions) -> None:
    @routes.get("/readings")
    def readings(
        *,
        model: Text,
        signal: Text = options.main_signal,
        segment: Segment = None,
        window: Text = "",
        source: Text = "",
        as_of: datetime | None = None,
        history: Annotated[int, Query(ge=1, le=MOST_READINGS)] = 1,
    ) -> Response:
        """The newest reading of one series (at `as_of`, if given), or with `history` so many of them, newest first."""
        name, at = window or options.windows[0], aware(as_of)
        with connections.reading() as connection:
            key = _series(connection, model, signal, segment, source)
            bodies = stored.reading_bodies(connection, key.series, name, limit=history, until=at)
        return _readings(bodies)

    @routes.get("/readings.csv")
    def history_csv(
        *,
        model: Text,
        signal: Text = options.main_signal,
        segment: Segment = None,
        window: Text = "",
        source: Text = "",
        as_of: datetime | None = None,
    ) -> Response:
        """ECE of one series over time, as the chart shows it."""
        with connections.reading() as connection:
            key = _series(connection, model, signal, segment, source)
            rows = stored.history(connection, key.series, window or options.windows[0], aware(as_of))
        heads = ("as_of", "computed_at", "n", "ece", "ece_low", "ece_high", "null_low", "null_high", "mature")
        lines = (
            (
                instant(row.as_of), instant(row.computed_at), row.n, row.ece, row.ece_low, row.ece_high, row.null_low,
                row.null_high, str(row.mature).lower(),
            )
            for row in rows
        )  # fmt: skip
        return table("readings.csv", heads, lines)


def _add_bins(routes: APIRouter, connections: Connections, options: WebOptions) -> None:
    @routes.get("/bins.csv")
    def bins_csv(
        *,
        model: Text,
        signal: Text = options.main_signal,
        segment: Segment = None,
        window: Text = "",
        source: Text = "",
        as_of: datetime | None = None,
    ) -> Response:
        """The bins of the newest reading of one series."""
        with connections.reading() as connection:
            key = _series(connection, model, signal, segment, source)
            body = stored.reading_body(connection, key.series, window or options.windows[0], aware(as_of))
        bins = [] if body is None else reading_from_json(body).bins
        heads = ("low", "high", "n", "mean_confidence", "accuracy", "interval_low", "interval_high")
        lines = ((one.low, one.high, one.n, one.mean_confidence, one.accuracy, *one.interval) for one in bins)
        return table("bins.csv", heads, lines)


def _add_drift(routes: APIRouter, connections: Connections, options: WebOptions) -> None:
    @routes.get("/drift")
    def drift(
        *,
        model: Text = "",
        signal: Text = options.main_signal,
        segment: Segment = None,
        source: Text = "",
        window: Text = "",  # noqa: ARG001 - links of a series bear one
        as_of: datetime | None = None,
        limit: Annotated[int, Query(ge=0, le=MOST_ALARMS)] = 100,
    ) -> Response:
        """Detectors and newest alarms of one series, of a model without `segment`, or of all without `model`.

        With `as_of` no alarm that is younger.
        """
        with connections.reading() as connection:
            one = None if segment is None else [_series(connection, model, signal, segment, source).series]
            found = alarms.detectors(connection, model=model or None, series=one)
            said = alarms.alarms(connection, model=model or None, series=one, until=aware(as_of), limit=limit)
        return Response(alarms.to_json(found, said), media_type=JSON)


def _series(
    connection: Connection, model: str, signal: str, segment: list[str] | None, source: str
) -> stored.SeriesKey:
    key = stored.find_series(connection, model, signal, segment_of(segment or []), source)
    if key is None:
        raise UnknownSeriesError("There is no such series: it may have been retired, or never had an event.")
    return key


def _readings(bodies: Iterable[str]) -> Response:
    """The object that `caldrift reading --json` prints, from bodies that are JSON already."""
    return Response(f'{{"schema": 1, "readings": [{", ".join(bodies)}]}}\n', media_type=JSON)


def table(name: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """Comma-separated values to download; unknown values are empty, and no text can be taken for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows([guarded(value) for value in row] for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def guarded(value: object) -> object:
    """The value; a text that a spreadsheet would run as a formula gets an apostrophe before it."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return f"'{value}"
    return "" if value is None else value
