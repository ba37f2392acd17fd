"""What the page of one series shows, as values that the template only lays out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from markupsafe import Markup

from monitor.calibration.reading import Reading, reading_from_json
from monitor.errors import CaldriftError
from monitor.postgres.pages import PastReading, Progress, SeriesKey
from monitor.web.charts import confidence_histogram, level, reliability_diagram
from monitor.web.definitions import ANCHORS
from monitor.web.links import OverviewAddress, SeriesAddress, address_of, segment_text
from monitor.web.options import WebOptions
from monitor.web.overview import moment_of
from monitor.web.scales import duration_text, instant_text, plain
from monitor.web.svg import EMPTY, tag
from monitor.web.tables import data_table, figure
from monitor.web.timeline import ece_timeline
from monitor.web.verdicts import UNKNOWN, Range, Standing, between, leaning, percent, ratio, signed, standing

NEIGHBOURS = 24


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


@dataclass(frozen=True, slots=True)
class Tile:
    """One large figure with what it rests on."""

    word: str
    anchor: str
    value: str
    aside: str


@dataclass(frozen=True, slots=True)
class MeasureView:
    """One row of the table of all measures."""

    word: str
    anchor: str
    value: str
    interval: str
    null_band: str


@dataclass(frozen=True, slots=True)
class SeriesView:
    """The whole page."""

    title: str
    now: datetime
    address: SeriesAddress
    overview_url: str
    model_url: str
    tags: Sequence[tuple[str, str]]
    tabs: Sequence[tuple[str, str]]
    downloads: Sequence[tuple[str, str]]
    pinned: str
    newest_url: str
    reading: Reading | None
    standing: Standing
    sentence: str
    tiles: Sequence[Tile]
    reliability: Markup
    histogram: Markup
    timeline: Markup
    measures: Sequence[MeasureView]
    measures_caption: str
    above: Markup
    facts: Sequence[tuple[str, str]]
    empty: str
    neighbours: Sequence[tuple[str, str]]
    more_neighbours: bool


def view_of(found: Found, address: SeriesAddress, options: WebOptions) -> SeriesView:
    """The page of what was found; without a reading it says so, and why."""
    reading = None if found.body is None else reading_from_json(found.body)
    overview = OverviewAddress(address.window)
    judged = Standing.NOT_ENOUGH if reading is None else standing_of(reading)
    names = [*options.windows, *(name for name in found.windows if name not in options.windows)]
    segment = dict(address.segment)
    return SeriesView(
        title=f"{address.model}, {segment_text(segment)}",
        now=found.progress.now,
        address=address,
        overview_url=overview.url(),
        model_url=replace(overview, model=address.model).url(),
        tags=_tags(address),
        tabs=[(name, address.at(name).page()) for name in names],
        downloads=_downloads(address),
        pinned="" if address.as_of is None else f"This is how it was known at {instant_text(address.as_of)}.",
        newest_url=replace(address, as_of=None).page(),
        reading=reading,
        standing=judged,
        sentence="" if reading is None else sentence_of(reading, judged),
        tiles=[] if reading is None else tiles_of(reading),
        reliability=EMPTY if reading is None else figure(reliability_diagram(reading)),
        histogram=EMPTY if reading is None else figure(confidence_histogram(reading)),
        timeline=figure(ece_timeline([moment_of(past, options.min_labels) for past in found.past])),
        measures=[] if reading is None else measures_of(reading),
        measures_caption="" if reading is None else f"n = {plain(reading.n)} labels; edges of bins {_edges(reading)}",
        above=EMPTY if reading is None else above_table(reading),
        facts=[] if reading is None else facts_of(reading),
        empty=_empty(found, address),
        neighbours=[
            (_neighbour_words(key, address), address_of(key, address.window).page())
            for key in found.neighbours[:NEIGHBOURS]
        ],
        more_neighbours=len(found.neighbours) > NEIGHBOURS,
    )


def interval_of(reading: Reading, measure: str) -> Range | None:
    """The interval of a measure, where one is known."""
    found = reading.intervals.get(measure)
    return None if found is None else Range(*found)


def null_band_of(reading: Reading, measure: str) -> Range | None:
    """The null band of a measure, where one is known."""
    found = reading.null_band.get(measure)
    return None if found is None else Range(*found)


def standing_of(reading: Reading) -> Standing:
    """Where the ECE of the reading stands against its null band."""
    return standing(
        reading.ece, interval_of(reading, "ece"), null_band_of(reading, "ece"), enough=not reading.not_enough_labels
    )


def sentence_of(reading: Reading, judged: Standing) -> str:
    """The reading in a sentence, with n and its interval: never a bare number."""
    labels = f"{plain(reading.n)} label" + ("" if reading.n == 1 else "s")
    if judged is Standing.NOT_ENOUGH or reading.ece is None:
        reason = reading.missing.get("ece", "too few to say whether stated confidence holds")
        return f"({labels} over {reading.window}): {reason}."
    place = f"the null band of {between(null_band_of(reading, 'ece'))}"
    leans = leaning(reading.signed_gap)
    lean = f", {leans}" if judged.is_off and leans else ""
    means = ""
    if reading.mean_confidence is not None and reading.accuracy is not None:
        means = f" Stated {ratio(reading.mean_confidence)} on average, right {ratio(reading.accuracy)}."
    interval = between(interval_of(reading, "ece"))
    return f"{place}{lean}: ECE {ratio(reading.ece)} ({interval}) from {labels} over {reading.window}.{means}"


def tiles_of(reading: Reading) -> list[Tile]:
    """The few figures to see first."""
    n = f"n = {plain(reading.n)}"
    above = "not enough labels" if reading.not_enough_labels else n
    predictions = f"{plain(reading.n_predictions)} predictions"
    provisional = "" if reading.mature else ", provisional"
    return [
        Tile("ECE", "ece", ratio(reading.ece), _words(reading, "ece", reading.ece)),
        Tile("Null band", "null-band", between(null_band_of(reading, "ece")), "calibrated models at this n"),
        Tile("Signed gap", "signed-gap", signed(reading.signed_gap), leaning(reading.signed_gap) or above),
        Tile("Share right", "reliability", ratio(reading.accuracy), _words(reading, "accuracy", reading.accuracy)),
        Tile("Mean confidence", "confidence", ratio(reading.mean_confidence), f"labelled ones, {n}"),
        Tile("Labels", "coverage", plain(reading.n), f"{percent(reading.coverage)} of {predictions}{provisional}"),
    ]  # fmt: skip


def _words(reading: Reading, measure: str, value: float | None) -> str:
    if value is None:
        return reading.missing.get(measure, "not enough labels")
    interval = interval_of(reading, measure)
    return f"{between(interval)}, n = {plain(reading.n)}" if interval is not None else f"n = {plain(reading.n)}"


_MEASURES = (
    ("ece", "ECE", ratio),
    ("ece_equal_mass", "ECE, equal-mass bins", ratio),
    ("mce", "MCE", ratio),
    ("signed_gap", "signed gap", signed),
    ("over_confident_part", "over-confident part", ratio),
    ("under_confident_part", "under-confident part", ratio),
    ("mean_confidence", "mean confidence", ratio),
    ("accuracy", "share right", ratio),
    ("brier", "Brier score", ratio),
    ("log_loss", "log loss", ratio),
    ("auroc", "AUROC", ratio),
    ("confident_error_share", "share of confident errors", ratio),
    ("coverage", "coverage of labels", ratio),
)


def measures_of(reading: Reading) -> list[MeasureView]:
    """Every measure with its interval and null band; for the unknown the reason stands in the value's place."""
    rows = []
    for name, word, text in _MEASURES:
        value: float | None = getattr(reading, name)
        shown = reading.missing.get(name, "not enough labels") if value is None else text(value)
        interval, band = interval_of(reading, name), null_band_of(reading, name)
        rows.append(
            MeasureView(
                word,
                ANCHORS[name],
                shown,
                UNKNOWN if interval is None else between(interval),
                UNKNOWN if band is None else between(band),
            )
        )
    delay = reading.label_delay_seconds
    shown = (
        reading.missing.get("label_delay_seconds", UNKNOWN)
        if delay is None
        else duration_text(timedelta(seconds=delay))
    )
    rows.append(MeasureView("median label delay", ANCHORS["label_delay_seconds"], shown, UNKNOWN, UNKNOWN))
    return rows


def above_table(reading: Reading) -> Markup:
    """What lies above each threshold."""
    rows = [
        (
            f"\N{GREATER-THAN OR EQUAL TO} {ratio(one.threshold, 2)}",
            plain(one.n),
            percent(one.coverage),
            ratio(one.accuracy) if one.accuracy is not None else "no labels",
            between(None if one.interval is None else Range(*one.interval)),
        )
        for one in reading.above
    ]
    if not rows:
        return tag("p", "Not enough labels.", class_="muted")
    return data_table(
        "Labelled predictions at or above a confidence",
        ("confidence", "labels (n)", "coverage", "share right", f"{level(reading)} interval"),
        rows,
    )


def facts_of(reading: Reading) -> list[tuple[str, str]]:
    """When and how the reading was made."""
    span = "everything so far"
    if reading.window_start is not None and reading.window_end is not None:
        span = f"{instant_text(reading.window_start)} to {instant_text(reading.window_end)}"
    facts = [
        ("predictions made", span),
        ("as of", instant_text(reading.as_of) if reading.as_of is not None else UNKNOWN),
        ("labels", "mature" if reading.mature else "provisional: younger predictions are included"),
        ("bins", f"{reading.bins_setting.count} of equal width, {_edges(reading)}"),
    ]
    facts += [(f"how: {name.replace('_', ' ')}", how) for name, how in sorted(reading.methods.items())]
    return facts


def _edges(reading: Reading) -> str:
    return str(reading.bins_setting.edges).replace("_", " ")


def _tags(address: SeriesAddress) -> list[tuple[str, str]]:
    segment = list(address.segment) or [("segment", "all events")]
    source = [("labelled by", address.source)] if address.source else []
    return [("signal", address.signal), *segment, *source]


def _downloads(address: SeriesAddress) -> list[tuple[str, str]]:
    return [
        ("JSON", address.api("readings")),
        ("bins as CSV", address.api("bins.csv")),
        ("history as CSV", address.api("readings.csv")),
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
