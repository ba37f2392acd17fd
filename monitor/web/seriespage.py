"""What the page of one series shows, as values that the template only lays out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from markupsafe import Markup

from monitor.alerting.alertrules import AlertRule
from monitor.calibration.reading import reading_from_json
from monitor.errors import CaldriftError
from monitor.events.rules import CALIBRATED
from monitor.postgres.alarms import AlarmRow, DetectorRow
from monitor.postgres.alert_views import AlertRow, Change
from monitor.postgres.calibrators import InForce
from monitor.postgres.pages import PastReading, SeriesKey
from monitor.postgres.pipeline import Progress
from monitor.web import drift, readingview, seriesalerts
from monitor.web.drift import DriftView
from monitor.web.links import (
    OverviewAddress,
    SeriesAddress,
    ThresholdsAddress,
    address_of,
    month_before,
    report_page,
    segment_text,
)
from monitor.web.options import WebOptions
from monitor.web.overview import moment_of
from monitor.web.readingview import ReadingView
from monitor.web.scales import instant_text
from monitor.web.seriesalerts import SeriesAlertView
from monitor.web.tables import figure
from monitor.web.timeline import Event, ece_timeline

NEIGHBOURS = 24
ALARMS = 50


class UnknownSeriesError(CaldriftError):
    """The address names a series that the database does not hold."""


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that the page reads from the database, at one moment. `body` None: no reading of this window."""

    body: str | None
    past: Sequence[PastReading]
    windows: Sequence[str]
    neighbours: Sequence[SeriesKey]
    progress: Progress
    detector: DetectorRow | None
    alarms: Sequence[AlarmRow]
    alerts: Sequence[AlertRow]
    """Those that are not ok, in any window."""
    changes: Sequence[Change]
    rules: Sequence[AlertRule]
    promotions: Sequence[InForce]
    """Of the model, the newest first."""


@dataclass(frozen=True, slots=True)
class SeriesView:
    """The whole page."""

    title: str
    now: datetime
    address: SeriesAddress
    overview_url: str
    thresholds_url: str
    model_url: str
    tags: Sequence[tuple[str, str]]
    tabs: Sequence[tuple[str, str]]
    downloads: Sequence[tuple[str, str]]
    pinned: str
    newest_url: str
    reading: ReadingView | None
    timeline: Markup
    alerts: Sequence[SeriesAlertView]
    drift: DriftView
    empty: str
    neighbours: Sequence[tuple[str, str]]
    more_neighbours: bool


def view_of(found: Found, address: SeriesAddress, options: WebOptions) -> SeriesView:
    """The page of what was found; without a reading it says so, and why."""
    reading = None if found.body is None else readingview.view_of(reading_from_json(found.body))
    overview = OverviewAddress(address.window)
    names = [*options.windows, *(name for name in found.windows if name not in options.windows)]
    segment = dict(address.segment)
    moments = [moment_of(past, options.min_labels) for past in found.past]
    return SeriesView(
        title=f"{address.model}, {segment_text(segment)}",
        now=found.progress.now,
        address=address,
        overview_url=overview.url(),
        thresholds_url=ThresholdsAddress(address.model, address.signal, address.segment, address.window).page(),
        model_url=replace(overview, model=address.model).url(),
        tags=_tags(address),
        tabs=[(name, address.at(name).page()) for name in names],
        downloads=_downloads(address, found.progress.now),
        pinned="" if address.as_of is None else f"This is how it was known at {instant_text(address.as_of)}.",
        newest_url=replace(address, as_of=None).page(),
        reading=reading,
        timeline=figure(
            ece_timeline(
                moments,
                alarms=drift.marks_of(found.alarms),
                spans=seriesalerts.spans(found.changes),
                limits=seriesalerts.limit_lines(found.rules, address, options.main_signal),
                events=_events(found.promotions, address, options),
            )
        ),
        alerts=seriesalerts.listed(found.changes, found.alerts, found.progress.now, pinned=address.as_of is not None),
        drift=drift.view_of(found.detector, found.alarms),
        empty=_empty(found, address),
        neighbours=[
            (_neighbour_words(key, address), address_of(key, address.window).page())
            for key in found.neighbours[:NEIGHBOURS]
        ],
        more_neighbours=len(found.neighbours) > NEIGHBOURS,
    )


def _events(promotions: Sequence[InForce], address: SeriesAddress, options: WebOptions) -> list[Event]:
    """The promotions, on series of the signal that is mapped and of what the maps say."""
    if address.signal not in {options.main_signal, CALIBRATED}:
        return []
    return [Event(each.at, f"{instant_text(each.at)}: {each.words}, by {each.by}") for each in promotions]


def _tags(address: SeriesAddress) -> list[tuple[str, str]]:
    segment = list(address.segment) or [("segment", "all events")]
    source = [("labelled by", address.source)] if address.source else []
    return [("signal", address.signal), *segment, *source]


def _downloads(address: SeriesAddress, now: datetime) -> list[tuple[str, str]]:
    return [
        ("JSON", address.api("readings")),
        ("bins as CSV", address.api("bins.csv")),
        ("history as CSV", address.api("readings.csv")),
        ("drift as JSON", address.api("drift")),
        ("report of the month", report_page(address.model, month_before(now))),
    ]


def _neighbour_words(key: SeriesKey, address: SeriesAddress) -> str:
    source = f", labelled by {key.source_group}" if key.source_group else ""
    signal = "" if key.signal == address.signal else f"; {key.signal}"
    return f"{segment_text(key.segment)}{signal}{source}"


def _empty(found: Found, address: SeriesAddress) -> str:
    others = [name for name in found.windows if name != address.window]
    if address.as_of is not None:
        return f"There was no reading over {address.window} at {instant_text(address.as_of)} yet."
    if others:
        return f"There is none over {address.window}; there are readings over {', '.join(others)}."
    return "The series is known, and the next evaluation gives it its first reading."
