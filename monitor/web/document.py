"""Readings as one HTML file that stands alone: the pages' own layout, its style inside, no script, nothing loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from monitor.calibration.reading import Reading
from monitor.web import readingview
from monitor.web.definitions import DEFINITIONS
from monitor.web.layout import environment, style
from monitor.web.links import segment_text
from monitor.web.readingview import ReadingView, interval_of, null_band_of, standing_of
from monitor.web.scales import plain
from monitor.web.verdicts import Standing, between, leaning, percent, ratio, signed

DRAWN: Final = 100
"""Most series that get charts of their own; the table has every series."""


@dataclass(frozen=True, slots=True)
class Row:
    """One series in the table; `anchor` leads to its charts, empty without them."""

    anchor: str
    name: str
    detail: str
    standing: Standing
    leaning: str
    ece: str
    interval: str
    null_band: str
    signed_gap: str
    accuracy: str
    n: str
    coverage: str


@dataclass(frozen=True, slots=True)
class Section:
    """The charts and tables of one series."""

    anchor: str
    name: str
    detail: str
    view: ReadingView


@dataclass(frozen=True, slots=True)
class Report:
    """The whole file."""

    title: str
    sentence: str
    rows: Sequence[Row]
    sections: Sequence[Section]
    undrawn: str


def html_document(readings: Sequence[Reading], title: str, source: str, *, drawn: int = DRAWN) -> str:
    """The file's text. `source` says in a few words what was read, say the names of the files.

    The worst series stand first; the first `drawn` of them have charts.
    """
    report = report_of(readings, title, source, drawn)
    template = environment().get_template("report.html")
    return template.render(view=report, style=style(), definitions=DEFINITIONS)


def report_of(readings: Sequence[Reading], title: str, source: str, drawn: int) -> Report:
    """What the file shows."""
    ranked = sorted(readings, key=_rank)
    anchors = [f"series-{number + 1}" if number < drawn else "" for number in range(len(ranked))]
    left = len(ranked) - drawn
    return Report(
        title=title,
        sentence=_sentence(ranked, source),
        rows=[_row(reading, anchor) for reading, anchor in zip(ranked, anchors, strict=True)],
        sections=[
            Section(anchor, reading.model, _detail(reading), readingview.view_of(reading, anchor))
            for reading, anchor in zip(ranked, anchors, strict=True)
            if anchor
        ],
        undrawn=f"{plain(left)} more series have no charts here." if left > 0 else "",
    )


def _rank(reading: Reading) -> tuple[bool, float, str, str]:
    """Worst first: by the lower bound of the ECE above the null band; those without enough labels last."""
    interval, band = interval_of(reading, "ece"), null_band_of(reading, "ece")
    excess = interval.low - band.high if interval is not None and band is not None else -1.0
    return standing_of(reading) is Standing.NOT_ENOUGH, -excess, reading.model, segment_text(reading.segment)


def _sentence(readings: Sequence[Reading], source: str) -> str:
    standings = [standing_of(reading) for reading in readings]
    judged = sum(one is not Standing.NOT_ENOUGH for one in standings)
    off = sum(one.is_off for one in standings)
    few = "" if judged == len(standings) else f" {plain(len(standings) - judged)} without enough labels to be judged."
    outside = f"{plain(off)} of {plain(judged)} series {'is' if off == 1 else 'are'} outside the null band."
    return f"From {source}: {outside}{few}"


def _detail(reading: Reading) -> str:
    parts = [segment_text(reading.segment), reading.signal]
    parts += [f"labelled by {reading.source}"] if reading.source else []
    return "; ".join(parts)


def _row(reading: Reading, anchor: str) -> Row:
    judged, interval = standing_of(reading), interval_of(reading, "ece")
    return Row(
        anchor=anchor,
        name=reading.model,
        detail=_detail(reading),
        standing=judged,
        leaning=leaning(reading.signed_gap, reading.ece) if judged.is_off else "",
        ece=ratio(reading.ece),
        interval="" if interval is None else between(interval),
        null_band=between(null_band_of(reading, "ece")),
        signed_gap=signed(reading.signed_gap),
        accuracy=ratio(reading.accuracy),
        n=plain(reading.n),
        coverage="" if reading.coverage is None else percent(reading.coverage),
    )
