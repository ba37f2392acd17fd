"""A backtest as one HTML file that stands alone: a table of rules, and the time line of each rule's alerts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from markupsafe import Markup

from monitor.backtest.report import AlertSpan, Backtest, RuleReport
from monitor.web.layout import environment, style
from monitor.web.scales import Linear, duration_text, instant_text, plain, time_ticks
from monitor.web.svg import join, path, picture, tag
from monitor.web.tables import Figure, data_table, figure

DRAWN: Final = 30
"""Most series of a rule that are drawn; the table below the picture has all."""
_SIZES: Final = (("wide", (1080.0, 300.0)), ("medium", (680.0, 220.0)), ("narrow", (360.0, 0.0)))
"""Widths, and how much of each is for the names of series; in a narrow picture they stand above their lines."""
_ROW, _FOOT, _TOP, _SIDE = 24.0, 34.0, 8.0, 14.0
_LETTER, _NARROW = 7.2, 6.2


@dataclass(frozen=True, slots=True)
class Row:
    """One rule in the table; `other` of the rules that it is compared with, None without any."""

    rule: str
    metric: str
    series: str
    fired: str
    pages: str
    weekly: str
    other: str | None
    firing: str
    damped: str
    onset: str | None
    insufficient: str


@dataclass(frozen=True, slots=True)
class Section:
    """The time line of one rule."""

    rule: str
    sentence: str
    figure: Markup


def html_document(report: Backtest, other: Backtest | None, source: str) -> str:
    """The file's text. `source` says in a few words what was lived through."""
    told = [rule for rule in report.rules if rule.unknown is None]
    theirs = {} if other is None else {rule.rule: rule for rule in other.rules}
    return (
        environment()
        .get_template("backtest.html")
        .render(
            style=style(),
            sentence=_sentence(report, other, source),
            rows=[_row(rule, report, other, theirs.get(rule.rule)) for rule in told],
            sections=[
                Section(rule.rule, _rule_sentence(rule), figure(_timeline(rule, report, f"rule-{number}")))
                for number, rule in enumerate(told)
                if rule.alerts
            ],
            unknown=", ".join(rule.rule for rule in report.rules if rule.unknown is not None),
            compared=other is not None,
            onset=None if report.onset_at is None else instant_text(report.onset_at),
        )
    )


def _sentence(report: Backtest, other: Backtest | None, source: str) -> str:
    said = (
        f"From {source}: {_count(report.pages, 'page')}, {_weekly(report.pages_per_week)} a week, of "
        f"{plain(report.series)} series from {instant_text(report.start_at)} to {instant_text(report.end_at)}."
    )
    if other is None:
        return said
    return f"{said} The other rules: {_count(other.pages, 'page')}, {_weekly(other.pages_per_week)} a week."


def _row(rule: RuleReport, report: Backtest, other: Backtest | None, theirs: RuleReport | None) -> Row:
    insufficient = rule.insufficient
    return Row(
        rule=rule.rule,
        metric=rule.metric,
        series=plain(rule.series_judged),
        fired=plain(rule.fired),
        pages=plain(rule.pages),
        weekly=_weekly(rule.pages_per_week),
        other=None if other is None else "none" if theirs is None else plain(theirs.pages),
        firing=_length(timedelta(seconds=rule.firing_seconds)),
        damped=plain(rule.flaps),
        onset=None if report.onset_at is None else _onset(rule),
        insufficient=f"{insufficient.share:.0%}" if insufficient.looks else "0%",
    )


def _rule_sentence(rule: RuleReport) -> str:
    brief = f" {_count(rule.withdrawn, 'crossing')} did not last." if rule.withdrawn else ""
    return f"{_count(rule.fired, 'alert')} in {_count(rule.pages, 'page')}.{brief}"


def _timeline(rule: RuleReport, report: Backtest, ident: str) -> Figure:
    by_series: dict[str, list[AlertSpan]] = {}
    for span in rule.alerts:
        by_series.setdefault(_series(span), []).append(span)
    drawn = dict(list(by_series.items())[:DRAWN])
    title = f"When {rule.rule} fired"
    described = f"{rule.fired} alerts on {len(by_series)} series from {instant_text(report.start_at)} on."
    drawings = [
        tag("div", _picture(drawn, report, f"{ident}-{name}", size, (title, described)), class_=f"only-{name}")
        for name, size in _SIZES
    ]
    left = len(by_series) - len(drawn)
    note = f"{plain(left)} more series are in the table only." if left > 0 else ""
    return Figure(title=title, picture=join(drawings), legend=Markup(), table=_table(rule), note=note)


def _picture(
    by_series: dict[str, list[AlertSpan]],
    report: Backtest,
    ident: str,
    size: tuple[float, float],
    said: tuple[str, str],
) -> Markup:
    """Of a width, so much of which is for the names of series."""
    width, names = size
    row = _ROW if names else _ROW + 14
    bottom = _TOP + row * len(by_series)
    x = Linear(report.start_at.timestamp(), report.end_at.timestamp(), max(names, _SIDE), width - _SIDE)
    parts = [_axis(report, x, bottom, width), *_onset_line(report, x, bottom)]
    for number, (series, spans) in enumerate(by_series.items()):
        top = _TOP + row * number
        middle = top + row - _ROW / 2
        room = int(((names or width) - _SIDE) / _NARROW)
        text = series if len(series) <= room else series[: room - 1] + "…"
        place = {"x": 0.0, "y": middle + 4} if names else {"x": _SIDE, "y": top + 12}
        parts.append(tag("text", text, class_="tick", **place))
        parts.append(tag("path", d=path([(x.start, middle), (x.stop, middle)]), class_="grid"))
        parts += [_bar(span, report, x, middle) for span in spans]
    return picture(ident, width, bottom + _FOOT, *said, *parts)


def _bar(span: AlertSpan, report: Backtest, x: Linear, middle: float) -> Markup:
    start, end = x(span.fired_at.timestamp()), x((span.resolved_at or report.end_at).timestamp())
    size = {"x": start, "y": middle - 5, "width": max(end - start, 2.0), "height": 10.0}
    css = "life firing" if span.told else "life"
    return tag("g", tag("title", _words(span)), tag("rect", class_=css, **size))


def _axis(report: Backtest, x: Linear, bottom: float, width: float) -> Markup:
    about = max(2, int((x.stop - x.start) / 90))
    marks = []
    for at, text in time_ticks(report.start_at, report.end_at, about):
        across, half = x(at.timestamp()), _LETTER * len(text) / 2
        marks.append(tag("path", d=path([(across, bottom), (across, bottom + 4)]), class_="axis"))
        inside = min(max(across, half), width - half)
        marks.append(tag("text", text, x=inside, y=bottom + 18, class_="tick", text_anchor="middle"))
    marks.append(tag("path", d=path([(x.start, bottom), (x.stop, bottom)]), class_="axis"))
    return join(marks)


def _onset_line(report: Backtest, x: Linear, bottom: float) -> list[Markup]:
    if report.onset_at is None:
        return []
    across = x(report.onset_at.timestamp())
    said = tag("title", f"marked onset: {instant_text(report.onset_at)}")
    return [tag("g", said, tag("path", d=path([(across, _TOP), (across, bottom)]), class_="alarm"))]


def _table(rule: RuleReport) -> Markup:
    heads = ("Series", "fired at", "resolved at", "flaps damped", "remark")
    rows = [
        (
            _series(span),
            instant_text(span.fired_at),
            "to the end" if span.resolved_at is None else instant_text(span.resolved_at),
            plain(span.damped),
            "" if span.told else f"not told: {span.hushed or 'resolved before'}",
        )
        for span in rule.alerts
    ]
    return data_table(f"Alerts of {rule.rule}", heads, rows)


def _words(span: AlertSpan) -> str:
    end = "to the end" if span.resolved_at is None else f"to {instant_text(span.resolved_at)}"
    return f"{_series(span)}: from {instant_text(span.fired_at)} {end}"


def _series(span: AlertSpan) -> str:
    return ", ".join(value for name, value in span.series.items() if name != "signal")


def _onset(rule: RuleReport) -> str:
    found = rule.onset
    if found is None or found.delay_seconds is None:
        return f"{plain(found.pages_before if found else 0)}, never"
    return f"{plain(found.pages_before)}, {_length(timedelta(seconds=found.delay_seconds))}"


def _length(length: timedelta) -> str:
    return duration_text(length) if length else "0"


def _count(number: int, name: str) -> str:
    return f"{plain(number)} {name}{'' if number == 1 else 's'}"


def _weekly(number: float) -> str:
    return "0" if not number else f"{number:.2f}" if number < 10 else f"{number:.0f}"
