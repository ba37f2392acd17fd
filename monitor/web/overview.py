"""What the overview shows, as values that the template only lays out. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from markupsafe import Markup

from monitor.postgres.alarms import AlarmRow
from monitor.postgres.alert_views import AlertRow, Count
from monitor.postgres.listings import SeriesRow, Totals
from monitor.postgres.offsets import StoredOffset
from monitor.postgres.pages import PastReading
from monitor.postgres.pipeline import Beat, DeadLetterCount, Progress
from monitor.web import sentences
from monitor.web.alertwords import alert_url
from monitor.web.drift import AlarmView, listed
from monitor.web.links import (
    AlertsAddress,
    OverviewAddress,
    ThresholdsAddress,
    address_of,
    month_before,
    report_page,
    segment_text,
)
from monitor.web.options import WebOptions
from monitor.web.scales import plain, window_text
from monitor.web.timeline import Moment, spark_line
from monitor.web.verdicts import Range, Standing, between, leaning, percent, ratio, signed, standing

PAGE_SIZE = 50
ALARMS = 6
RANK_WORDS = (
    ("excess", "surest and largest fault first"),
    ("gap", "largest signed gap first"),
    ("ece", "largest ECE first"),
    ("n", "most labels first"),
    ("name", "by name"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that the overview reads from the database, at one moment."""

    rows: Sequence[SeriesRow]
    totals: Totals
    past: Sequence[PastReading]
    models: Sequence[str]
    signals: Sequence[str]
    partitions: Sequence[StoredOffset]
    dead_letters: Sequence[DeadLetterCount]
    beats: Sequence[Beat]
    progress: Progress
    alarms: Sequence[AlarmRow]
    alerts: Sequence[AlertRow]
    """What of the rows fires or recovers."""
    alert_counts: Sequence[Count]
    has_rules: bool


@dataclass(frozen=True, slots=True)
class AlertMark:
    """An alert of a series that fires or recovers."""

    rule: str
    state: str
    url: str


@dataclass(frozen=True, slots=True)
class RowView:
    """One series in the table."""

    name: str
    detail: str
    url: str
    alerts: Sequence[AlertMark]
    standing: Standing
    leaning: str
    ece: str
    interval: str
    null_band: str
    signed_gap: str
    n: str
    coverage: str
    spark: Markup


@dataclass(frozen=True, slots=True)
class DeadView:
    """Dead letters of one reason."""

    reason: str
    topic: str
    n: str
    url: str


@dataclass(frozen=True, slots=True)
class BeatView:
    """One process and how it does."""

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class OverviewView:
    """The whole page."""

    title: str
    now: datetime
    sentence: Markup
    address: OverviewAddress
    warnings: Sequence[str]
    has_series: bool
    empty: str
    nothing_found: str
    tabs: Sequence[tuple[str, str]]
    models: Sequence[str]
    signals: Sequence[str]
    ranks: Sequence[tuple[str, str]]
    rows: Sequence[RowView]
    caption: str
    previous: str
    next: str
    page_size: int
    of_model: Sequence[tuple[str, str]]
    """Pages about the one model that is shown."""
    json_url: str
    csv_url: str
    alarms: Sequence[AlarmView]
    intake: Sequence[tuple[str, str]]
    dead_letters: Sequence[DeadView]
    beats: Sequence[BeatView]


def place_of(page: int) -> slice:
    """Where the rows of a page (from 1) stand in the ranked list."""
    return slice((page - 1) * PAGE_SIZE, page * PAGE_SIZE)


def range_of(low: float | None, high: float | None) -> Range | None:
    """The range, when both ends are known."""
    return None if low is None or high is None else Range(low, high)


def moment_of(past: PastReading, min_labels: int) -> Moment:
    """A stored reading as a point of a time line; worked out hours after its time, it is back-filled."""
    return Moment(
        as_of=past.as_of,
        n=past.n,
        ece=past.ece,
        interval=range_of(past.ece_low, past.ece_high),
        null_band=range_of(past.null_low, past.null_high),
        enough=past.n >= min_labels,
        provisional=not past.mature,
        late=past.computed_at > past.as_of and (past.computed_at - past.as_of).total_seconds() >= _LATE_SECONDS,
    )


_LATE_SECONDS = 6 * 3600


def view_of(found: Found, address: OverviewAddress, options: WebOptions) -> OverviewView:
    """The page of what was found."""
    sparks: dict[int, list[Moment]] = defaultdict(list)
    for past in found.past:
        sparks[past.series].append(replace(moment_of(past, options.min_labels), late=False))
    now = found.progress.now
    marks: dict[int | None, list[AlertMark]] = defaultdict(list)
    for alert in found.alerts:
        marks[alert.series].append(AlertMark(alert.rule, alert.state, alert_url(alert.id)))
    total, first = found.totals.series, place_of(address.page).start
    few = f", {plain(total - found.totals.judged)} without enough labels" if found.totals.judged < total else ""
    over = window_text(address.window)
    shown = f"{plain(first + 1)} to {plain(first + len(found.rows))} of {plain(total)} series over {over}{few}."
    return OverviewView(
        title=_title(found),
        now=now,
        sentence=Markup(" ").join(
            [
                sentences.firing(
                    found.alert_counts, has_rules=found.has_rules, url=AlertsAddress(state="firing").url()
                ),
                sentences.overview(found.totals, address.window, found.partitions, options.labels_topic, now),
            ]
        ),
        address=address,
        warnings=sentences.warnings(found.beats) if found.models or found.partitions else [],
        has_series=bool(found.models),
        empty=_empty(found),
        nothing_found=_nothing_found(found, address),
        tabs=[(name, replace(address, window=name, page=1).url()) for name in options.windows],
        models=found.models,
        signals=found.signals,
        ranks=RANK_WORDS,
        rows=[_row(row, address.window, sparks[row.series], marks[row.series]) for row in found.rows],
        caption=shown,
        previous=replace(address, page=address.page - 1).url() if address.page > 1 else "",
        next=replace(address, page=address.page + 1).url() if first + len(found.rows) < total else "",
        page_size=PAGE_SIZE,
        of_model=_of_model(address, options, found.progress.now),
        json_url=f"/api/v1/series?{replace(address, page=1, rank='excess', refresh=True).query()}",
        csv_url=f"/api/v1/series.csv?{replace(address, page=1, refresh=True).query()}",
        alarms=listed(found.alarms, address.window),
        intake=sentences.intake_facts(found.progress, found.partitions),
        dead_letters=[
            DeadView(count.reason, count.topic, plain(count.n), f"/dead-letters?reason={count.reason}")
            for count in found.dead_letters
        ],
        beats=[BeatView(beat.name, sentences.beat_words(beat.silent_seconds)) for beat in _newest(found.beats)],
    )


def _of_model(address: OverviewAddress, options: WebOptions, now: datetime) -> list[tuple[str, str]]:
    if not address.model:
        return []
    signal = address.signal or options.main_signal
    thresholds = ThresholdsAddress(address.model, signal, (), address.window)
    return [
        ("Thresholds", thresholds.page()),
        ("Report of the month", report_page(address.model, month_before(now))),
    ]


def _title(found: Found) -> str:
    fires = sum(count.n for count in found.alert_counts if count.state == "firing")
    off = found.totals.outside
    return f"{fires} firing" if fires else f"{off} of {found.totals.judged} series outside" if off else "Overview"


def _newest(beats: Iterable[Beat]) -> list[Beat]:
    """The living processes, and the last dead one of a role that has no living one."""
    living = [beat for beat in beats if beat.silent_seconds < sentences.SILENT_SECONDS]
    roles = {beat.name for beat in living}
    dead: dict[str, Beat] = {}
    for beat in beats:
        if beat.name not in roles and (beat.name not in dead or beat.silent_seconds < dead[beat.name].silent_seconds):
            dead[beat.name] = beat
    return sorted([*living, *dead.values()], key=lambda beat: (beat.name, beat.instance))


def _empty(found: Found) -> str:
    if not found.partitions:
        return "Nothing has been read from the topics yet, so there is nothing to show."
    if found.progress.evaluated_at is None:
        return "Messages have come in, and the first evaluation has not happened yet."
    return "Messages have come in, and none of them has made a reading: predictions and labels must share their ids."


def _nothing_found(found: Found, address: OverviewAddress) -> str:
    if not found.models:
        return "Series appear here as soon as the first labelled predictions are evaluated."
    if address.model or address.signal or address.search:
        return "No series fits this choice."
    return f"No series has a reading over {window_text(address.window)} yet."


def _row(row: SeriesRow, window: str, past: Sequence[Moment], alerts: Sequence[AlertMark]) -> RowView:
    interval, null_band = range_of(row.ece_low, row.ece_high), range_of(row.null_low, row.null_high)
    judged = standing(row.ece, interval, null_band, enough=row.enough)
    source = f", labelled by {row.source_group}" if row.source_group else ""
    return RowView(
        name=row.model,
        detail=f"{segment_text(row.segment)}; {row.signal}{source}",
        url=address_of(row, window).page(),
        alerts=alerts,
        standing=judged,
        leaning=leaning(row.signed_gap, row.ece) if judged.is_off else "",
        ece=ratio(row.ece),
        interval=between(interval) if interval is not None else "",
        null_band=between(null_band),
        signed_gap=signed(row.signed_gap),
        n=plain(row.n),
        coverage=percent(row.coverage) if row.coverage is not None else "",
        spark=spark_line(past, f"spark-{row.series}"),
    )
