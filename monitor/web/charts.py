"""The charts of one reading, drawn as SVG: the reliability diagram and the histogram of confidence. Pure.

Every colour comes from a class, so that one style sheet serves light and dark; every mark has a shape and words beside
its colour. All coordinates are in units of the view box, 360 wide: about one unit a pixel in a narrow column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from monitor.calibration.reading import Bin, HistogramBin, Reading
from monitor.web.scales import Linear, plain, round_up, short_count, step_of, ticks
from monitor.web.svg import join, marker, number, path, picture, tag
from monitor.web.tables import Figure, data_table, legend, nothing
from monitor.web.verdicts import Range, between, count, ratio

WIDTH, HEIGHT = 360.0, 436.0
LEFT, RIGHT = 48.0, 346.0
BELOW = "below the line: over-confident"
ABOVE = "above the line: under-confident"
_TOP, _BOTTOM = 24.0, 326.0
_NAME_HEIGHT, _BETWEEN = 26.0, 24.0
_STRIP_TOP, _STRIP_BOTTOM = 348.0, 396.0


@dataclass(frozen=True, slots=True)
class Point:
    """One bin of the diagram: `confidence` and `rate` are means over its `n` labelled predictions."""

    low: float
    high: float
    n: float
    confidence: float
    rate: float
    interval: Range

    @property
    def side(self) -> str:
        """`below` (over-confident) or `above` when the whole interval is, else `on` the line."""
        if self.interval.low <= self.confidence <= self.interval.high:
            return "on"
        return "below" if self.rate < self.confidence else "above"


_SHAPES = {"below": ("down", "over"), "above": ("up", "under"), "on": ("circle", "fair")}


def reliability_diagram(reading: Reading, ident: str = "reliability") -> Figure:
    """Share right against stated confidence in equal-width bins, with intervals, the diagonal and the counts."""
    return bins_diagram(reading.bins, reading.confidence_level, ident)


def bins_diagram(
    bins: Sequence[Bin], confidence_level: float, ident: str, title: str = "Reliability diagram"
) -> Figure:
    """The reliability diagram of bins, whose intervals are of the level."""
    if not bins:
        return nothing(title, "Not enough labels: no labelled prediction in this window yet.")
    return Figure(
        title=title,
        picture=picture(ident, WIDTH, HEIGHT, title, _bins_described(bins), _bins_drawn(bins)),
        legend=_reliability_legend(confidence_level),
        table=bins_table(bins, confidence_level),
    )


def diagrams_beside(named: Sequence[tuple[str, Sequence[Bin]]], ident: str, title: str) -> Markup:
    """The `<svg>` of reliability diagrams from left to right, each below its name; those without bins are left out."""
    shown = [(name, bins) for name, bins in named if bins]
    parts = [
        tag(
            "g",
            tag("text", name, x=LEFT, y=16.0, class_="words"),
            tag("g", _bins_drawn(bins, "confidence"), transform=f"translate(0 {number(_NAME_HEIGHT)})"),
            transform=f"translate({number(place * (WIDTH + _BETWEEN))} 0)",
        )
        for place, (name, bins) in enumerate(shown)
    ]
    described = " ".join(f"{name}: {_bins_described(bins)}" for name, bins in shown)
    width = max(1, len(shown)) * (WIDTH + _BETWEEN) - _BETWEEN
    return picture(ident, width, HEIGHT + _NAME_HEIGHT, title, described, join(parts))


def _bins_described(bins: Sequence[Bin]) -> str:
    sides = [_point(found).side for found in bins]
    return (
        f"{len(bins)} bins with labels, {count(sum(found.n for found in bins))} labels. With their whole interval, "
        f"{sides.count('below')} lie below the line (over-confident) and {sides.count('above')} above it "
        "(under-confident)."
    )


def _bins_drawn(bins: Sequence[Bin], across: str = "stated confidence") -> Markup:
    points = [_point(found) for found in bins]
    x, y = Linear(0, 1, LEFT, RIGHT), Linear(0, 1, _BOTTOM, _TOP)
    return join(
        [
            _halves(x, y),
            _frame(x, y),
            tag("path", d=path([(x(0), y(0)), (x(1), y(1))]), class_="diagonal"),
            tag("text", ABOVE, x=LEFT, y=_TOP - 9, class_="under words"),
            tag("text", BELOW, x=RIGHT, y=_BOTTOM + 15, class_="over words", text_anchor="end"),
            join(_mark(point, x, y, points) for point in points),
            _counts(points, x),
            x_axis(x, _STRIP_BOTTOM, across),
        ]
    )


def _point(found: Bin) -> Point:
    return Point(found.low, found.high, found.n, found.mean_confidence, found.accuracy, Range(*found.interval))


def _halves(x: Linear, y: Linear) -> Markup:
    """The two sides of the diagonal, faintly tinted."""
    return join(
        [
            tag("path", d=path([(x(0), y(0)), (x(1), y(1)), (x(1), y(0))], closed=True), class_="half over"),
            tag("path", d=path([(x(0), y(0)), (x(1), y(1)), (x(0), y(1))], closed=True), class_="half under"),
        ]
    )


def _frame(x: Linear, y: Linear) -> Markup:
    grid = [tag("path", d=path([(x.start, y(at)), (x.stop, y(at))]), class_="grid") for at in ticks(0, 1)]
    uprights = [tag("path", d=path([(x(at), y.start), (x(at), y.stop)]), class_="grid") for at in ticks(0, 1)]
    texts = [tick_left(plain(at, 0.1), x.start, y(at)) for at in ticks(0, 1)]
    return join([*grid, *uprights, *texts, side_title("share that was right", y)])


def _mark(point: Point, x: Linear, y: Linear, points: Sequence[Point]) -> Markup:
    shape, css = _SHAPES[point.side]
    across, up = x(point.confidence), y(point.rate)
    largest = max(3.4, min(7.5, 0.42 * (RIGHT - LEFT) / len(points)))
    radius = 3.0 + (largest - 3.0) * (point.n / max(other.n for other in points)) ** 0.5
    words = (
        f"{ratio(point.low, 2)} to {ratio(point.high, 2)}: n {count(point.n)}, mean confidence "
        f"{ratio(point.confidence)}, right {ratio(point.rate)} ({between(point.interval)})"
    )
    parts = [
        tag("title", words),
        tag("path", d=path([(across, y(point.confidence)), (across, up)]), class_=f"gap {css}"),
    ]
    low, high = y(point.interval.low), y(point.interval.high)
    bar = f"{path([(across, low), (across, high)])} {path([(across - 4, low), (across + 4, low)])} "
    parts.append(tag("path", d=bar + path([(across - 4, high), (across + 4, high)]), class_=f"whisker {css}"))
    return tag("g", *parts, marker(shape, across, up, radius, f"mark {css}"), class_="point")


def _counts(points: Sequence[Point], x: Linear) -> Markup:
    """The strip under the diagram: how many labels each bin holds, on the same axis of confidence."""
    most = max(point.n for point in points)
    height = Linear(0, most, _STRIP_BOTTOM, _STRIP_TOP)
    bars = (
        tag(
            "rect",
            x=x(point.low) + 1,
            y=min(height(point.n), _STRIP_BOTTOM - 1),
            width=max(0.5, x(point.high) - x(point.low) - 2),
            height=max(1.0, _STRIP_BOTTOM - height(point.n)),
            class_="bar plain",
        )
        for point in points
    )
    texts = [tick_left(short_count(most), LEFT, _STRIP_TOP + 4), side_title("labels", height)]
    return join([*bars, *texts])


def confidence_histogram(reading: Reading, ident: str = "histogram") -> Figure:
    """How often each confidence was stated, right answers upwards, wrong ones downwards, on one scale."""
    title = "Confidence, right against wrong"
    bars = [bar for bar in reading.histogram if bar.right > 0 or bar.wrong > 0]
    if not bars:
        return nothing(title, "Not enough labels: no labelled prediction in this window yet.")
    most_right, most_wrong = max(bar.right for bar in bars), max(bar.wrong for bar in bars)
    step = step_of(max(most_right + most_wrong, 1), 6)
    top, bottom = round_up(most_right / step, 1000) * step, round_up(most_wrong / step, 1000) * step
    top, bottom = max(top, step) if most_right else 0.0, max(bottom, step) if most_wrong else 0.0
    x, y = Linear(0, 1, LEFT, RIGHT), Linear(-bottom, top, _STRIP_BOTTOM, _TOP)
    right, wrong = sum(bar.right for bar in bars), sum(bar.wrong for bar in bars)
    described = (
        f"{count(round(right, 1))} right (upwards) and {count(round(wrong, 1))} wrong (downwards) in bins of 0.05."
    )
    drawn = join(
        [
            _count_grid(x, y, step),
            join(_two_bars(bar, x, y) for bar in bars),
            tag("path", d=path([(LEFT, y(0)), (RIGHT, y(0))]), class_="axis"),
            join(
                side_title(word, Linear(0, 1, y(0), y(end)), css)
                for word, end, css in (("right", top, "right"), ("wrong", -bottom, "wrong"))
                if abs(y(0) - y(end)) >= 40
            ),
            x_axis(x, _STRIP_BOTTOM, "stated confidence"),
        ]
    )
    rows = (
        (f"{ratio(bar.low, 2)} to {ratio(bar.high, 2)}", count(round(bar.right, 3)), count(round(bar.wrong, 3)))
        for bar in bars
    )
    return Figure(
        title=title,
        picture=picture(ident, WIDTH, HEIGHT, title, described, drawn),
        legend=legend(
            [
                (tag("rect", x=4.0, y=1.0, width=14.0, height=10.0, class_="bar right"), "right, upwards"),
                (_hatched(4, 1, 14, 10), "wrong, downwards (striped)"),
            ]
        ),
        table=data_table("Labelled predictions by stated confidence", ("confidence", "right", "wrong"), rows),
    )


def _count_grid(x: Linear, y: Linear, step: float) -> Markup:
    first, last = math.ceil(y.low / step - 1e-9), math.floor(y.high / step + 1e-9)
    places = [round(place * step, 9) for place in range(first, last + 1)]
    lines = [tag("path", d=path([(x.start, y(at)), (x.stop, y(at))]), class_="grid") for at in places]
    return join([*lines, *(tick_left(short_count(abs(at)), x.start, y(at)) for at in places)])


def _two_bars(bar: HistogramBin, x: Linear, y: Linear) -> Markup:
    low, high, right, wrong = bar.low, bar.high, bar.right, bar.wrong
    left, width = x(low) + 0.8, x(high) - x(low) - 1.6
    parts = [tag("title", f"{ratio(low, 2)} to {ratio(high, 2)}: right {count(right)}, wrong {count(wrong)}")]
    if right > 0:
        tall = max(1.0, y(0) - y(right))
        parts.append(tag("rect", x=left, y=y(0) - tall, width=width, height=tall, class_="bar right"))
    if wrong > 0:
        parts.append(_hatched(left, y(0), width, max(1.0, y(-wrong) - y(0))))
    return tag("g", *parts)


def _hatched(left: float, top: float, width: float, height: float) -> Markup:
    """A bar with slanted stripes, drawn as lines cut to the bar: a shared pattern would need an id of the page."""
    body = tag("rect", x=left, y=top, width=width, height=height, class_="bar wrong")
    strokes = []
    offset = 4.0
    while offset < width + height:
        x0, y0 = (left + offset, top) if offset <= width else (left + width, top + offset - width)
        x1, y1 = (left, top + offset) if offset <= height else (left + offset - height, top + height)
        strokes.append(f"M{number(x0)} {number(y0)} L{number(x1)} {number(y1)}")
        offset += 4.0
    return tag("g", body, tag("path", d=" ".join(strokes), class_="stripes")) if strokes else body


def x_axis(x: Linear, baseline: float, title: str) -> Markup:
    """An axis from 0 to 1 under a chart: line, ticks, texts, and what it measures."""
    marks = (
        join(
            [
                tag("path", d=path([(x(at), baseline), (x(at), baseline + 4)]), class_="axis"),
                tag("text", plain(at, 0.1), x=x(at), y=baseline + 17, class_="tick", text_anchor="middle"),
            ]
        )
        for at in ticks(0, 1)
    )
    line = tag("path", d=path([(x.start, baseline), (x.stop, baseline)]), class_="axis")
    name = tag("text", title, x=(x.start + x.stop) / 2, y=baseline + 35, class_="title", text_anchor="middle")
    return join([line, *marks, name])


def tick_left(text: str, edge: float, at: float) -> Markup:
    """A tick's text to the left of a vertical axis."""
    return tag("text", text, x=edge - 6, y=at + 3.8, class_="tick", text_anchor="end")


def side_title(text: str, y: Linear, css: str = "") -> Markup:
    """What a vertical axis measures, turned upwards beside it."""
    middle = (y.start + y.stop) / 2
    turn = f"rotate(-90 12 {number(middle)})"
    return tag("text", text, x=12.0, y=middle, class_=f"title {css}".strip(), text_anchor="middle", transform=turn)


def _reliability_legend(confidence_level: float) -> Markup:
    def key(side: str) -> Markup:
        shape, css = _SHAPES[side]
        return join([tag("path", d="M11 0 L11 12", class_=f"whisker {css}"), marker(shape, 11, 6, 4.5, f"mark {css}")])

    return legend(
        [
            (key("on"), f"agrees with the line within its {level(confidence_level)} interval"),
            (key("below"), "over-confident"),
            (key("above"), "under-confident"),
            (tag("rect", x=7.0, y=1.0, width=8.0, height=11.0, class_="bar plain"), "labels in the bin"),
        ]
    )


def level(confidence_level: float) -> str:
    """`95 %`: the level of intervals."""
    return f"{confidence_level * 100:.4g}\N{NO-BREAK SPACE}%"


def bins_table(bins: Sequence[Bin], confidence_level: float) -> Markup:
    """The bins in figures: counts, means and intervals."""
    rows = (
        (
            f"{ratio(found.low, 2)} to {ratio(found.high, 2)}",
            count(found.n),
            ratio(found.mean_confidence),
            ratio(found.accuracy),
            between(Range(*found.interval)),
        )
        for found in bins
    )
    heads = ("bin", "labels (n)", "mean confidence", "share right", f"{level(confidence_level)} interval")
    return data_table("Equal-width bins of stated confidence", heads, rows)
