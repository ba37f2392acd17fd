"""One self-contained HTML page of readings: the charts of the web page, no script, nothing loaded from elsewhere."""

import importlib.resources
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup, escape

from monitor.calibration.reading import Reading
from monitor.cli.figures import segment_words, verdict
from monitor.errors import BadInput
from monitor.events.rules import MAIN_SIGNAL
from monitor.web.charts import confidence_histogram, reliability_diagram
from monitor.web.svg import join, tag
from monitor.web.tables import data_table, figure
from monitor.web.verdicts import Range, between, count, percent, ratio, signed

_DRAWN = 200
"""Series with charts of their own; the table has every series."""

_HEADS = (
    "series",
    "labels",
    "coverage",
    "share right",
    "mean confidence",
    "gap",
    "ECE",
    "interval",
    "null band",
    "verdict",
)


def write_report(path: Path, readings: Sequence[Reading], files: Sequence[str]) -> None:
    """Write the page. Raises BadInput when the file cannot be written."""
    try:
        path.write_text(page(readings, files), encoding="utf-8")
    except OSError as failure:
        raise BadInput(f"{path}: cannot be written: {failure.strerror}", "usage") from None


def page(readings: Sequence[Reading], files: Sequence[str]) -> str:
    """The whole page."""
    style = importlib.resources.files("monitor.web").joinpath("static", "caldrift.css").read_text(encoding="utf-8")
    drawn = readings[:_DRAWN]
    sections = join(_section(reading, f"s{number}") for number, reading in enumerate(drawn))
    dropped = len(readings) - len(drawn)
    note = tag("p", f"{dropped} more series are in the table only.") if dropped else Markup("")
    body = join(
        [
            tag("h1", "Calibration"),
            tag(
                "p",
                f"Measured from {', '.join(files)}. Gap = mean confidence - share right: positive is over-confident.",
            ),
            data_table("Every series", _HEADS, [_row(reading) for reading in readings]),
            note,
            sections,
        ]
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Calibration: {escape(', '.join(files))}</title><style>{style}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _row(reading: Reading) -> list[str]:
    return [
        _title(reading),
        count(reading.n),
        percent(reading.coverage),
        ratio(reading.accuracy),
        ratio(reading.mean_confidence),
        signed(reading.signed_gap),
        ratio(reading.ece),
        _between(reading.intervals.get("ece")),
        _between(reading.null_band.get("ece")),
        verdict(reading),
    ]


def _title(reading: Reading) -> str:
    """`m1, lang=de, signal logprob`: what a reading is about."""
    parts = [reading.model, *([segment_words(reading.segment)] if reading.segment else [])]
    parts += [f"signal {reading.signal}"] if reading.signal != MAIN_SIGNAL else []
    parts += [f"labels by {reading.source}"] if reading.source else []
    return ", ".join(parts)


def _between(pair: Sequence[float] | None) -> str:
    return between(None if pair is None else Range(pair[0], pair[1]))


def _section(reading: Reading, ident: str) -> Markup:
    charts = [
        figure(reliability_diagram(reading, f"{ident}-reliability")),
        figure(confidence_histogram(reading, f"{ident}-histogram")),
    ]
    return tag(
        "section",
        tag("h2", _title(reading)),
        tag("p", f"{count(reading.n)} labels, ECE {ratio(reading.ece)}: {verdict(reading)}."),
        tag("div", *charts, class_="figures"),
    )
