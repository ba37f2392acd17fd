"""The monthly report of one model: one HTML file that stands alone, without script, that loads nothing. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup

from monitor.calibration.certificates import Certificate, Promise, certify
from monitor.calibration.reading import Reading, ReadingSettings
from monitor.calibration.readout import read
from monitor.calibration.sketch import Sketch
from monitor.errors import BadInput
from monitor.events.rules import CALIBRATED, CALIBRATOR
from monitor.postgres.calibrators import InForce, Run
from monitor.postgres.monthly import Fired, Month
from monitor.review.candidates import Candidate
from monitor.rolling.panes import Span, hour_of
from monitor.rolling.segments import SeriesName, parse_segment
from monitor.rolling.subjects import subject_of
from monitor.web.charts import bins_diagram
from monitor.web.layout import environment, style
from monitor.web.links import SeriesAddress, ThresholdsAddress, segment_text
from monitor.web.readingview import Tile, interval_of, null_band_of, sentence_of, standing_of, tiles_of
from monitor.web.scales import MONTHS, instant_text, plain
from monitor.web.tables import figure
from monitor.web.thresholdspage import TARGETS, CertifiedRow, DeployedRow, certified_row, deployed_row
from monitor.web.verdicts import Range, between, count, ratio, signed

"""The dimension of the version of the map that was applied to a prediction."""
WORST: Final = 10
_MONTH: Final = re.compile(r"(2\d{3})-(0[1-9]|1[0-2])")
_DRAWS: Final = 200


@dataclass(frozen=True, slots=True)
class Applied:
    """Predictions to which one map was applied, as stated and as recalibrated."""

    version: str
    n: str
    before: str
    before_interval: str
    after: str
    after_interval: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment by the bound of its gap."""

    name: str
    url: str
    gap: str
    interval: str
    bound: str
    accuracy: str
    n: str


@dataclass(frozen=True, slots=True)
class Error:
    """An answer that was wrong with a high confidence."""

    confidence: str
    at: str
    segments: str
    answer: str
    truth: str
    reference: str
    alike: str


@dataclass(frozen=True, slots=True)
class Event:
    """A recalibration, a promotion or an alert: when, what, and how it went."""

    at: str
    what: str
    words: str


@dataclass(frozen=True, slots=True)
class Report:
    """The whole file."""

    model: str
    month: str
    known: str
    pages: str
    thresholds_url: str
    sentence: str
    tiles: Sequence[Tile]
    before: Markup
    after: Markup
    applied: Sequence[Applied]
    worst: Sequence[Segment]
    cut_short: bool
    errors: Sequence[Error]
    certified: Sequence[CertifiedRow]
    deployed: Sequence[DeployedRow]
    recalibrations: Sequence[Event]
    promotions: Sequence[Event]
    alerts: Sequence[Event]


def month_between(text: str, now: datetime) -> tuple[datetime, datetime]:
    """The first instant of a month as `2026-10` and that of the next, UTC. Raises BadInput for another text, or a month
    that is yet to come."""
    matched = _MONTH.fullmatch(text)
    if matched is None:
        raise BadInput(f"a month must look like 2026-10, got {text[:40]!r}", "month")
    year, month = int(matched[1]), int(matched[2])
    start = datetime(year, month, 1, tzinfo=UTC)
    if start > now:
        raise BadInput(f"{text} is yet to come: the clock shows {instant_text(now)}", "month")
    return start, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


def html_document(month: Month, *, min_labels: int, pages: str = "") -> str:
    """The file's text. `pages`: where people find the pages, for links to them; empty: the file has no links."""
    report = report_of(month, min_labels, pages.rstrip("/"))
    return environment().get_template("monthly.html").render(view=report, style=style())


def readings_of(month: Month, min_labels: int) -> list[Reading]:
    """The readings of the whole model, as stated and as recalibrated, then its segments, the widest bound first."""
    return [*_whole(month, min_labels), *(reading for _, reading in _ranked(month, min_labels))]


def report_of(month: Month, min_labels: int, pages: str) -> Report:
    """What the file shows."""
    whole = _whole(month, min_labels)
    stated = next((each for each in whole if each.signal == month.main_signal), None)
    applied = next((each for each in whole if each.signal == CALIBRATED), None)
    enough = stated is not None and stated.n > 0
    sketch = month.sums.get(SeriesName(month.model, month.main_signal, "{}"))
    return Report(
        model=month.model,
        month=f"{MONTHS[month.start.month - 1]} {month.start.year}",
        known=_known(month),
        pages=pages,
        thresholds_url=ThresholdsAddress(month.model, month.main_signal, (), "all").page() if pages else "",
        sentence=_sentence(stated),
        tiles=tiles_of(stated) if stated is not None and enough else [],
        before=_diagram(stated, "As stated", "before"),
        after=_diagram(applied, "As recalibrated", "after"),
        applied=list(_applied(month, min_labels)),
        worst=[_segment(bound, each, pages) for bound, each in _ranked(month, min_labels)[:WORST]],
        cut_short=month.cut_short,
        errors=[_error(each) for each in month.errors],
        certified=[certified_row(each) for each in _certified(sketch)],
        deployed=[deployed_row(each) for each in month.certificates],
        recalibrations=[_run(each) for each in sorted(month.runs, key=lambda each: each.at)],
        promotions=[_promotion(each) for each in sorted(month.promotions, key=lambda each: each.at)],
        alerts=[_fired(each) for each in month.alerts],
    )


def _certified(sketch: Sketch | None) -> list[Certificate]:
    return [] if sketch is None else [certify(sketch, Promise(target)) for target in TARGETS]


def _known(month: Month) -> str:
    open_end = ""
    if month.end > month.now:
        open_end = " The month is not over."
    elif month.end + month.maturity > month.now:
        open_end = " Labels of its last days may still come."
    return f"Predictions of the month, with the labels known on {instant_text(month.now)}.{open_end}"


def _sentence(stated: Reading | None) -> str:
    if stated is None:
        return "No prediction of this model was made in this month."
    if not stated.n:
        return f"{plain(stated.n_predictions)} predictions, and not one has a label: nothing can be said of them."
    judged = standing_of(stated)
    return f"{judged.value[0].upper()}{judged.value[1:]} {sentence_of(stated, judged)}"


def _whole(month: Month, min_labels: int) -> list[Reading]:
    signals = (month.main_signal, CALIBRATED)
    names = [SeriesName(month.model, signal, "{}") for signal in dict.fromkeys(signals)]
    return [_read(month, name, min_labels) for name in names if name in month.sums]


def _read(month: Month, name: SeriesName, min_labels: int) -> Reading:
    span = Span(hour_of(month.start), hour_of(month.end))
    subject = subject_of(name, f"{month.start:%Y-%m}", span, month.now, month.maturity)
    return read(month.sums[name], ReadingSettings(min_labels=min_labels, draws=_DRAWS), subject)


def _diagram(reading: Reading | None, title: str, ident: str) -> Markup:
    if reading is None or not reading.bins:
        return Markup("")
    return figure(bins_diagram(reading.bins, reading.confidence_level, ident, title))


def _applied(month: Month, min_labels: int) -> Iterator[Applied]:
    """Version by version, on the same predictions."""
    for name in sorted(month.sums, key=lambda each: (len(each.segment), each.segment)):
        segment = parse_segment(name.segment)
        stated = name._replace(signal=month.main_signal)
        if name.signal != CALIBRATED or segment.keys() != {CALIBRATOR} or stated not in month.sums:
            continue
        before, after = _read(month, stated, min_labels), _read(month, name, min_labels)
        yield Applied(
            version=segment[CALIBRATOR],
            n=plain(after.n),
            before=ratio(before.ece),
            before_interval=between(interval_of(before, "ece")),
            after=ratio(after.ece),
            after_interval=f"{between(interval_of(after, 'ece'))}, null band {between(null_band_of(after, 'ece'))}",
        )


def _ranked(month: Month, min_labels: int) -> list[tuple[float, Reading]]:
    """Segments as stated, by how far the gap is from 0 at least: the nearer end of its interval, 0 if that holds 0."""
    found = []
    for name in month.sums:
        segment = parse_segment(name.segment)
        if name.signal != month.main_signal or not segment or CALIBRATOR in segment:
            continue
        reading = _read(month, name, min_labels)
        interval = interval_of(reading, "signed_gap")
        if interval is not None and not reading.not_enough_labels:
            found.append((max(interval.low, -interval.high, 0.0), reading))
    return sorted(found, key=lambda each: (-each[0], -abs(each[1].signed_gap or 0.0), segment_text(each[1].segment)))


def _segment(bound: float, reading: Reading, pages: str) -> Segment:
    wanted = tuple(sorted(reading.segment.items()))
    interval = interval_of(reading, "signed_gap")
    return Segment(
        name=segment_text(reading.segment),
        url=pages + SeriesAddress(reading.model, reading.signal, wanted, "all").page() if pages else "",
        gap=signed(reading.signed_gap),
        interval="" if interval is None else _signed_between(interval),
        bound=ratio(bound),
        accuracy=ratio(reading.accuracy),
        n=plain(reading.n),
    )


def _signed_between(interval: Range) -> str:
    return f"{signed(interval.low)} to {signed(interval.high)}"


def _error(each: Candidate) -> Error:
    return Error(
        confidence=ratio(each.confidence),
        at=instant_text(each.predicted_at),
        segments=segment_text(each.segments) if each.segments else "",
        answer=_short(each.predicted),
        truth=_short(each.label_text) or ("wrong" if not each.outcome else f"right by {ratio(each.outcome, 2)}"),
        reference=_short(each.reference),
        alike=f"and {count(each.alike)} alike" if each.alike else "",
    )


def _short(text: str | None, most: int = 300) -> str:
    if text is None:
        return ""
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def _run(each: Run) -> Event:
    return Event(instant_text(each.at), f"{each.signal}, on {each.cause}", f"{each.outcome}: {each.sentence}")


def _promotion(each: InForce) -> Event:
    what = f"{each.signal}: version {each.calibrator.version}" if each.calibrator else f"{each.signal}: as stated"
    return Event(instant_text(each.at), f"{what}, {each.stage}", f"{each.by}: {each.reason}")


def _fired(each: Fired) -> Event:
    who = f"{each.signal}; {segment_text(each.segment)}" if each.signal else ""
    until = "still firing" if each.ended_at is None else f"over on {instant_text(each.ended_at)}"
    return Event(instant_text(each.fired_at), f"{each.rule} ({each.severity})", ", ".join(_some([who, until])))


def _some(words: Iterable[str]) -> list[str]:
    return [each for each in words if each]
