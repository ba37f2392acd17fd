"""Words about alerts that several pages share: what they are about, what was measured, where they stand. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol
from uuid import UUID

from monitor.alerting.metrics import METRICS
from monitor.alerting.round import FIRING_SHARE
from monitor.alerting.target import About
from monitor.alerting.transition import Reason
from monitor.alerting.verdict import Alarmed, Estimate, Evidence, Measured, Said
from monitor.postgres.pages import SeriesKey
from monitor.web.links import OverviewAddress, address_of, segment_text
from monitor.web.scales import duration_text, plain
from monitor.web.verdicts import Range, ratio, signed

SERVICE: Final = "caldrift itself"
NAMES: Final[Mapping[str, str]] = {
    "ece": "ECE",
    "mce": "MCE",
    "auroc": "AUROC",
    "aurc": "AURC",
    "n": "labels",
    "n_predictions": "predictions",
    "confident_error_share": "share of confident errors",
    "coverage": "coverage of labels",
    "label_delay_seconds": "median label delay",
    "labels_stale": "time since the newest label",
    "recalibration_late": "time since the last scheduled recalibration",
    "certificate_breach": "shortfall of a certified threshold",
    "intake_stopped": "time without intake while messages wait",
    "consumer_lag": "number of messages that wait",
    "dead_letters": "number of dead letters of a day",
    "evaluation_late": "time since the last evaluation",
    "outbox_stuck": "age of the oldest notice that waits",
    FIRING_SHARE: "share of its series that fire",
}
REASONS: Final[Mapping[Reason, str]] = {
    "pending": "the limit was crossed",
    "fired": "it lasted",
    "withdrawn": "it did not last",
    "recovering": "back within exit",
    "flapped": "no longer within exit",
    "resolved": "it stayed within exit",
    "no data": "there are no data",
    "series ended": "the series ended",
    "rule ended": "the rule ended",
}
"""Why a state changed."""


class Subject(Protocol):
    """What an alert is about, as its rows have it."""

    @property
    def about(self) -> About: ...
    @property
    def series(self) -> int | None: ...
    @property
    def model(self) -> str: ...
    @property
    def signal(self) -> str: ...
    @property
    def segment(self) -> Mapping[str, str]: ...
    @property
    def source(self) -> str: ...
    @property
    def window(self) -> str: ...


@dataclass(frozen=True, slots=True)
class SubjectView:
    """What an alert is about: its name, what tells it apart, and where there is more of it, empty for the service."""

    name: str
    detail: str
    url: str


def subject_view(about: Subject, window: str) -> SubjectView:
    """`window` is what the page of a series shows where the alert has none of its own."""
    if about.about == "service":
        return SubjectView(SERVICE, "", "")
    if about.about == "rollup":
        return SubjectView(about.model, "its series together", OverviewAddress(window, model=about.model).url())
    if about.about == "model" or about.series is None:
        return SubjectView(about.model, "the model", OverviewAddress(window, model=about.model).url())
    source = f", labelled by {about.source}" if about.source else ""
    over = f", over {about.window}" if about.window else ""
    key = SeriesKey(about.series, about.model, about.signal, about.segment, about.source)
    url = address_of(key, about.window or window).page()
    return SubjectView(about.model, f"{segment_text(about.segment)}; {about.signal}{over}{source}", url)


def subject_words(about: Subject) -> str:
    """What an alert is about, in one line."""
    shown = subject_view(about, "")
    return f"{shown.name}; {shown.detail}" if shown.detail else shown.name


def alert_url(number: UUID) -> str:
    """The page of an alert."""
    return f"/alerts/{number}"


def measure_name(measure: str) -> str:
    """A measure as a person says it."""
    return NAMES.get(measure, measure.replace("_", " "))


def value_text(measure: str, value: float, *, change: bool = False) -> str:
    """A value of a measure in its unit; a change, and what may be negative, with its sign."""
    found = METRICS.get(measure)
    unit = found.unit if found is not None else "number"
    if unit == "duration":
        return duration_text(timedelta(seconds=value))
    if unit == "count":
        return plain(value)
    return signed(value) if change or (found is not None and found.low is not None and found.low < 0) else ratio(value)


def estimate_text(measure: str, estimate: Estimate, *, change: bool = False) -> str:
    """A value with its interval."""
    value = value_text(measure, estimate.value, change=change)
    if estimate.interval is None:
        return value
    low, high = (value_text(measure, end, change=change) for end in estimate.interval)
    return f"{value} ({low} to {high})"


def number_text(measure: str, n: int) -> str:
    """What an estimate rests on: labels, or of a rollup series."""
    return f"of {plain(n)} series" if measure == FIRING_SHARE else f"n {plain(n)}"


def evidence_text(evidence: Evidence) -> str:
    """Evidence in one line: never a bare number."""
    match evidence:
        case Measured(measure=measure, judged=judged, compare=compare, enter=enter):
            change = compare.startswith("change")
            n = f", {number_text(measure, judged.n)}" if judged.n else ""
            since = " since the baseline" if change else ""
            limit = value_text(measure, enter, change=change)
            return f"{measure_name(measure)} {estimate_text(measure, judged, change=change)}{since}, limit {limit}{n}"
        case Alarmed():
            return f"{alarm_text(evidence)}; {plain(evidence.labels_since)} labels since"
        case Said(reason=reason, n=n):
            return reason if n is None or str(n) in reason else f"{reason}, n {plain(n)}"


def alarm_text(evidence: Alarmed) -> str:
    """What a detector said, by how much the share right moved."""
    side = "over-confident" if evidence.sign > 0 else "under-confident"
    tier = "warning" if evidence.tier == "warn" else "page"
    interval = Range(-evidence.size_interval[1], -evidence.size_interval[0])
    return (
        f"{tier}: {side} in {evidence.band} confidences, share right moved by {signed(-evidence.size)} "
        f"({signed(interval.low)} to {signed(interval.high)})"
    )
