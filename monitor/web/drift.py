"""What the detectors of a series say, as its page shows it; and alarms wherever they are listed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from monitor.postgres.alarms import AlarmRow, DetectorRow, evidence_words
from monitor.postgres.pages import SeriesKey
from monitor.web.links import address_of, segment_text
from monitor.web.scales import instant_text, plain
from monitor.web.svg import EMPTY
from monitor.web.tables import data_table, with_aside
from monitor.web.timeline import Mark
from monitor.web.verdicts import UNKNOWN, Range, between, signed


@dataclass(frozen=True, slots=True)
class DriftView:
    """The part of a series' page about drift."""

    sentence: str
    facts: Sequence[tuple[str, str]]
    alarms: Markup


@dataclass(frozen=True, slots=True)
class AlarmView:
    """An alarm in a list of several series."""

    name: str
    words: str
    url: str


def view_of(found: DetectorRow | None, alarms: Sequence[AlarmRow]) -> DriftView:
    """The view of the detectors of a series, and of its alarms, newest first."""
    if found is None:
        return DriftView(
            "No detector watches this series yet: its first mature hour with labels begins one.", [], EMPTY
        )
    return DriftView(_sentence(found, alarms), _facts(found), _table(alarms) if alarms else EMPTY)


def marks_of(alarms: Sequence[AlarmRow]) -> list[Mark]:
    """The alarms as marks on a time line."""
    return [
        Mark(alarm.raised_at, alarm.onset_low_at, alarm.onset_high_at, alarm.tier == "page", words_of(alarm))
        for alarm in alarms
    ]


def words_of(alarm: AlarmRow) -> str:
    """An alarm in a sentence: which side, which band, by how much, since when."""
    moved = f"share right moved by {signed(-alarm.size)} since about {instant_text(alarm.onset_at)}"
    return f"{alarm.tier_name} at {instant_text(alarm.raised_at)}: {alarm.what}, {moved}"


def listed(alarms: Sequence[AlarmRow], window: str) -> list[AlarmView]:
    """Alarms of several series, each with the address of its series."""
    return [
        AlarmView(f"{alarm.model}, {alarm.signal}, {segment_text(alarm.segment)}", words_of(alarm), _url(alarm, window))
        for alarm in alarms
    ]


def _url(alarm: AlarmRow, window: str) -> str:
    key = SeriesKey(alarm.series, alarm.model, alarm.signal, alarm.segment, alarm.source)
    return address_of(key, window).page()


def _sentence(found: DetectorRow, alarms: Sequence[AlarmRow]) -> str:
    if found.renew:
        state = "A new baseline was asked for: it begins with the next mature hour."
    elif found.stage == "learning":
        state = f"A baseline is being learned: {plain(found.baseline_labels)} labels so far; no alarm before it is."
    else:
        state = f"{plain(found.labels)} labels were held against a baseline of {plain(found.baseline_labels)}."
    newest = f" Last: {words_of(alarms[0])}." if alarms else " No alarm so far."
    return state + newest


def _facts(found: DetectorRow) -> list[tuple[str, str]]:
    shift = UNKNOWN if found.shift is None else f"{signed(-found.shift)} at {_instant(found.shift_at)}"
    return [
        ("baseline", f"{plain(found.baseline_labels)} labels, predictions from {_instant(found.began_at)}"),
        ("taken up to", f"predictions of {_instant(found.until_at)}"),
        ("share right moved by", signed(None if found.residual is None else -found.residual)),
        ("evidence for a page", evidence_words(found.page_evidence, found.page_limit, UNKNOWN)),
        ("evidence for a warning", evidence_words(found.warn_evidence, found.warn_limit, UNKNOWN)),
        ("last shift seen by ADWIN", shift),
        ("labels that came late", plain(found.late_labels)),
    ]


def _instant(at: datetime | None) -> str:
    return UNKNOWN if at is None else instant_text(at)


def _table(alarms: Sequence[AlarmRow]) -> Markup:
    rows = (
        (
            alarm.tier_name,
            instant_text(alarm.raised_at),
            alarm.what,
            with_aside(signed(-alarm.size), between(Range(-alarm.size_high, -alarm.size_low))),
            with_aside(
                instant_text(alarm.onset_at),
                f"{instant_text(alarm.onset_low_at)} to {instant_text(alarm.onset_high_at)}",
            ),
            plain(alarm.labels),
        )
        for alarm in alarms
    )
    heads = ("tier", "raised", "what", "share right moved by", "since about", "labels since the baseline")
    return data_table("Alarms, newest first", heads, rows)
