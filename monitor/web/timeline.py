"""ECE over time, large and as a spark line: the value, its interval, and the null band it should lie in. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from markupsafe import Markup

from monitor.web.charts import side_title, tick_left
from monitor.web.scales import Linear, day_text, instant_text, plain, round_up, step_of, ticks, time_ticks
from monitor.web.svg import EMPTY, join, marker, path, picture, tag
from monitor.web.tables import Figure, data_table, legend, nothing
from monitor.web.verdicts import Range, Standing, between, count, ratio, standing

_SIZES = (("wide", (1080.0, 330.0)), ("medium", (680.0, 300.0)), ("narrow", (360.0, 300.0)))
_LEFT, _TOP, _FOOT, _SIDE = 52.0, 14.0, 46.0, 14.0
_DOTS = 90
_TICKS = 6
_LETTER = 7.8
_ROW = 15.0
_ROWS = 6
_APART = 13.0
"""Between the feet of two texts above each other."""
_GAP = 5.0
_FAR = 4.0
"""A limit so many times as high as all readings would flatten them."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of a series in time. `ece` None: not enough labels then.

    `provisional`: its labels are not all in yet. `late`: it was worked out afterwards (history put in at once).
    """

    as_of: datetime
    n: float
    ece: float | None
    interval: Range | None
    null_band: Range | None
    enough: bool = True
    provisional: bool = False
    late: bool = False

    @property
    def standing(self) -> Standing:
        return standing(self.ece, self.interval, self.null_band, enough=self.enough)

    @property
    def is_hollow(self) -> bool:
        return self.provisional or self.late or not self.enough


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a chart lies: its scales of time (seconds since the epoch) and of value."""

    x: Linear
    y: Linear

    def at(self, moment: Moment, value: float) -> tuple[float, float]:
        return self.x(moment.as_of.timestamp()), self.y(value)


@dataclass(frozen=True, slots=True)
class Mark:
    """An alarm on the time line: when it was raised, the interval of the drift's onset, and what it says."""

    raised_at: datetime
    onset_low_at: datetime
    onset_high_at: datetime
    is_page: bool
    words: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done to the model, and when: a map put in force, say."""

    at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class Span:
    """One life of an alert: `end_at` None while it is not over; `is_firing`: it fires at the time of the page."""

    rule: str
    start_at: datetime
    end_at: datetime | None
    is_firing: bool
    words: str


@dataclass(frozen=True, slots=True)
class LimitLine:
    """The limits of a rule on ECE."""

    rule: str
    enter: float
    leave: float


@dataclass(frozen=True, slots=True)
class _Over:
    """What is drawn over the readings."""

    alarms: Sequence[Mark]
    spans: Sequence[Span]
    limits: Sequence[LimitLine]
    events: Sequence[Event]

    @property
    def rows(self) -> list[str]:
        """Rules with a life to show, each in a row of its own, the first ones in full."""
        return list(dict.fromkeys(span.rule for span in self.spans))[:_ROWS]

    @property
    def height(self) -> float:
        """What the rows add to the picture, with a gap below them."""
        return _ROW * len(self.rows) + _GAP if self.rows else 0.0


def ece_timeline(
    moments: Sequence[Moment],
    ident: str = "timeline",
    *,
    alarms: Sequence[Mark] = (),
    spans: Sequence[Span] = (),
    limits: Sequence[LimitLine] = (),
    events: Sequence[Event] = (),
) -> Figure:
    """ECE over time with its interval and null band, alarms, events, and above it the lives of alerts.

    `moments` in rising order of `as_of`. `limits` far above all readings are told beside the chart only.
    Drawn for wide, medium and narrow pages, so that the texts keep their size; the style sheet shows one of them.
    """
    title = "ECE over time"
    known = [moment for moment in moments if moment.ece is not None]
    if not known:
        return nothing(title, "Not enough labels: no reading of this window has an ECE yet.")
    off = sum(moment.standing.is_off for moment in moments)
    described = (
        f"{len(known)} readings from {instant_text(moments[0].as_of)} to {instant_text(moments[-1].as_of)}; "
        f"{off} lie above their null band. Last: ECE {ratio(known[-1].ece)}, null band {between(known[-1].null_band)}."
    )
    over = _Over(alarms, spans, limits, events)
    drawings = [
        tag(
            "div",
            picture(
                f"{ident}-{name}",
                width,
                height + over.height,
                title,
                described,
                _timeline(moments, over, width, height),
            ),
            class_=f"only-{name}",
        )
        for name, (width, height) in _SIZES
    ]
    return Figure(title=title, picture=join(drawings), legend=_legend(moments, over), table=_table(moments))


def _frame(
    moments: Sequence[Moment],
    left: float,
    right: float,
    top: float,
    bottom: float,
    *,
    limits: Sequence[LimitLine] = (),
) -> Frame:
    highs = [value for moment in moments for value in _values(moment)]
    highest = max(highs, default=0.0)
    highs += [limit.enter for limit in limits if limit.enter <= _FAR * highest]
    start, end = moments[0].as_of.timestamp(), moments[-1].as_of.timestamp()
    return Frame(Linear(start, end, left, right), Linear(0, round_up(max(highs, default=0.0), _TICKS), bottom, top))


def _values(moment: Moment) -> Iterator[float]:
    """What the axis must hold. The wide ranges of a reading of few labels may leave it: they would flatten the rest."""
    if moment.ece is not None:
        yield moment.ece
        if moment.enough:
            yield from (found.high for found in (moment.interval, moment.null_band) if found is not None)


def _timeline(moments: Sequence[Moment], over: _Over, width: float, height: float) -> Markup:
    """The picture, `height` high without the rows of the alerts on top."""
    top = _TOP + over.height
    bottom = top - _TOP + height - _FOOT
    frame = _frame(moments, _LEFT, width - _SIDE, top, bottom, limits=over.limits)
    return join(
        [
            _value_axis(frame),
            _alarms(over.alarms, frame),
            _events(over.events, frame),
            _band(moments, frame, lambda moment: moment.null_band, "null-band"),
            _band(moments, frame, lambda moment: moment.interval, "interval"),
            _limits(over.limits, frame),
            _line(moments, frame),
            _marks(moments, frame, 4.2),
            _lives(over, frame),
            _time_axis(moments, frame, bottom, width),
        ]
    )


def _alarms(alarms: Sequence[Mark], frame: Frame) -> Markup:
    """A line where each alarm was raised, and a strip over the time in which its drift is thought to have begun."""
    start, end = frame.x.low, frame.x.high
    drawn = []
    for alarm in alarms:
        low, high = alarm.onset_low_at.timestamp(), alarm.onset_high_at.timestamp()
        parts = [tag("title", alarm.words)]
        if alarm.is_page and high >= start and low <= end:
            left, right = frame.x(max(low, start)), frame.x(min(high, end))
            size = {
                "x": left,
                "y": frame.y.stop,
                "width": max(right - left, 2.0),
                "height": frame.y.start - frame.y.stop,
            }
            parts.append(tag("rect", **size, class_="onset"))
        if start <= alarm.raised_at.timestamp() <= end:
            across = frame.x(alarm.raised_at.timestamp())
            css = "alarm" if alarm.is_page else "alarm warning"
            parts.append(tag("path", d=path([(across, frame.y.start), (across, frame.y.stop)]), class_=css))
        drawn.append(tag("g", *parts) if len(parts) > 1 else EMPTY)
    return join(drawn)


def _events(events: Sequence[Event], frame: Frame) -> Markup:
    """A line with a flag where each event was."""
    drawn = []
    for event in events:
        if frame.x.low <= event.at.timestamp() <= frame.x.high:
            across, top = frame.x(event.at.timestamp()), frame.y.stop
            flag = [(across, top), (across + 9.0, top + 4.0), (across, top + 8.0)]
            drawn.append(
                tag(
                    "g",
                    tag("title", event.words),
                    tag("path", d=path([(across, frame.y.start), (across, top)]), class_="event"),
                    tag("path", d=path(flag) + " Z", class_="event flag"),
                )
            )
    return join(drawn)


def _limits(limits: Sequence[LimitLine], frame: Frame) -> Markup:
    """Enter and exit of the rules on ECE, each with its word where there is room."""
    drawn, taken = [], [math.inf]
    for limit in limits:
        for word, value, css in (("enter", limit.enter, "limit"), ("exit", limit.leave, "limit exit")):
            if value > frame.y.high:
                continue
            up = frame.y(value)
            drawn.append(
                tag(
                    "g",
                    tag("title", f"{limit.rule}: {word} {ratio(value)}"),
                    tag("path", d=path([(frame.x.start, up), (frame.x.stop, up)]), class_=css),
                )
            )
            below = up + 12 if up < frame.y.stop + 14 else up - 4
            if min(abs(below - other) for other in taken) >= _APART:
                taken.append(below)
                drawn.append(tag("text", word, x=frame.x.stop, y=below, class_="tick", text_anchor="end"))
    return join(drawn)


def _lives(over: _Over, frame: Frame) -> Markup:
    """A row for each rule above the frame: a bar while its alert fired or recovered."""
    drawn = []
    for number, rule in enumerate(over.rows):
        foot = frame.y.stop - _GAP - _ROW * (len(over.rows) - number - 1) - 4
        drawn.append(tag("text", _letter(number), x=frame.x.start - 6, y=foot, class_="tick", text_anchor="end"))
        for span in over.spans:
            start, end = span.start_at.timestamp(), (span.end_at or datetime.max.replace(tzinfo=UTC)).timestamp()
            if span.rule != rule or end < frame.x.low or start > frame.x.high:
                continue
            left, right = frame.x(start), frame.x(end)
            css = "life firing" if span.is_firing else "life"
            bar = tag("rect", x=left, y=foot - 8, width=max(right - left, 3.0), height=8.0, class_=css)
            drawn.append(tag("g", tag("title", span.words), bar))
    return join(drawn)


def _letter(number: int) -> str:
    return "ABCDEF"[number]


def _value_axis(frame: Frame) -> Markup:
    step = step_of(frame.y.high, _TICKS)
    places = ticks(0, frame.y.high, _TICKS)
    lines = (
        tag("path", d=path([(frame.x.start, frame.y(at)), (frame.x.stop, frame.y(at))]), class_="grid") for at in places
    )
    texts = (tick_left(plain(at, step) if at else "0", frame.x.start, frame.y(at)) for at in places)
    return join([*lines, *texts, side_title("ECE", frame.y)])


def _time_axis(moments: Sequence[Moment], frame: Frame, baseline: float, width: float) -> Markup:
    start, end = moments[0].as_of.astimezone(UTC), moments[-1].as_of.astimezone(UTC)
    about = max(2, int((width - _LEFT) / 82))
    marks = []
    for at, text in time_ticks(start, end, about) if end > start else ():
        across = frame.x(at.timestamp())
        half = _LETTER * len(text) / 2
        inside = min(max(across, half), width - half)
        marks.append(tag("path", d=path([(across, baseline), (across, baseline + 4)]), class_="axis"))
        marks.append(tag("text", text, x=inside, y=baseline + 17, class_="tick", text_anchor="middle"))
    name = tag("text", _span_text(start, end), x=width / 2, y=baseline + 36, class_="title", text_anchor="middle")
    return join(
        [tag("path", d=path([(frame.x.start, baseline), (frame.x.stop, baseline)]), class_="axis"), *marks, name]
    )


def _span_text(start: datetime, end: datetime) -> str:
    if start == end:
        return f"evaluated {instant_text(start)}"
    if start.date() == end.date():
        return f"evaluated on {day_text(end)} {end.year} (UTC)"
    year = "" if start.year == end.year else f" {start.year}"
    return f"evaluated (UTC) {day_text(start)}{year} to {day_text(end)} {end.year}"


def _runs(moments: Sequence[Moment], known: Callable[[Moment], bool]) -> Iterator[list[Moment]]:
    """Stretches without a gap: nothing is drawn across readings that are not there."""
    run: list[Moment] = []
    for moment in moments:
        if known(moment):
            run.append(moment)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _band(moments: Sequence[Moment], frame: Frame, ends: Callable[[Moment], Range | None], css: str) -> Markup:
    shapes = []
    for run in _runs(moments, lambda moment: moment.ece is not None and ends(moment) is not None):
        edges = [(moment, found) for moment in run if (found := ends(moment)) is not None]
        upper = [frame.at(moment, found.high) for moment, found in edges]
        lower = [frame.at(moment, found.low) for moment, found in edges]
        if len(edges) == 1:
            (across, top), (_, foot) = upper[0], lower[0]
            reach = 7 if css == "null-band" else 3
            left, right = max(across - reach, frame.x.start - 4), min(across + reach, frame.x.stop + 4)
            upper, lower = [(left, top), (right, top)], [(left, foot), (right, foot)]
        shapes.append(tag("path", d=path([*upper, *reversed(lower)], closed=True), class_=css))
        if css == "null-band":
            shapes.append(tag("path", d=path(upper), class_="null-edge"))
    return join(shapes)


def _line(moments: Sequence[Moment], frame: Frame) -> Markup:
    """Solid through full readings, dashed into and out of provisional or back-filled ones."""
    parts = []
    for run in _runs(moments, lambda moment: moment.ece is not None):
        for earlier, later in pairwise(run):
            if earlier.ece is None or later.ece is None:
                continue
            css = "line dashed" if later.is_hollow or earlier.is_hollow else "line"
            parts.append((css, frame.at(earlier, earlier.ece), frame.at(later, later.ece)))
    drawn: list[Markup] = []
    points: list[tuple[float, float]] = []
    last_css = ""
    for css, start, end in parts:
        if css != last_css or not points or points[-1] != start:
            if points:
                drawn.append(tag("path", d=path(points), class_=last_css))
            points, last_css = [start], css
        points.append(end)
    if points:
        drawn.append(tag("path", d=path(points), class_=last_css))
    return join(drawn)


def _marks(moments: Sequence[Moment], frame: Frame, radius: float) -> Markup:
    size = radius if len(moments) <= _DOTS else radius * 0.7
    marks = []
    for moment in moments:
        if moment.ece is None:
            continue
        off = moment.standing.is_off
        if not off and len(moments) > _DOTS and moment is not moments[-1]:
            continue
        css = f"mark {'over' if off else 'fair'}{' hollow' if moment.is_hollow else ''}"
        words = (
            f"{instant_text(moment.as_of)}: ECE {ratio(moment.ece)} ({between(moment.interval)}), "
            f"null band {between(moment.null_band)}, n {count(moment.n)}, {_words(moment)}"
        )
        shape = marker("diamond" if off else "circle", *frame.at(moment, moment.ece), size if off else size * 0.8, css)
        marks.append(tag("g", tag("title", words), shape))
    return join(marks)


def _words(moment: Moment) -> str:
    said = [
        moment.standing.value if moment.standing is Standing.NOT_ENOUGH else f"{moment.standing.value} the null band"
    ]
    said += ["provisional"] if moment.provisional else []
    said += ["back-filled"] if moment.late else []
    return ", ".join(said)


def _legend(moments: Sequence[Moment], over: _Over) -> Markup:
    line = tag("path", d="M1 6 L21 6", class_="line")
    entries = [
        (join([line, marker("circle", 11, 6, 3.4, "mark fair")]), "ECE, within its null band"),
        (join([line, marker("diamond", 11, 6, 4, "mark over")]), "ECE above its null band"),
        (tag("rect", x=1.0, y=1.0, width=20.0, height=10.0, class_="interval"), "interval of the ECE"),
        (
            join(
                [
                    tag("rect", x=1.0, y=1.0, width=20.0, height=11.0, class_="null-band"),
                    tag("path", d="M1 1 L21 1", class_="null-edge"),
                ]
            ),
            "null band: what ECE reads at this n if the model is calibrated",
        ),
    ]
    hollow = join([tag("path", d="M1 6 L21 6", class_="line dashed"), marker("circle", 11, 6, 3.4, "mark fair hollow")])
    kinds = [
        word
        for word, found in (
            ("provisional (labels still to come)", any(moment.provisional for moment in moments)),
            ("back-filled (worked out afterwards)", any(moment.late for moment in moments)),
            ("few labels", any(not moment.enough and moment.ece is not None for moment in moments)),
        )
        if found
    ]
    strip = tag("rect", x=3.0, y=0.0, width=8.0, height=12.0, class_="onset")
    page = join([strip, tag("path", d="M17 0 L17 12", class_="alarm")])
    warning = tag("path", d="M11 0 L11 12", class_="alarm warning")
    done = join([tag("path", d="M8 0 L8 12", class_="event"), tag("path", d="M8 0 L17 4 L8 8 Z", class_="event flag")])
    return legend(
        [
            *entries,
            *([(hollow, " or ".join(kinds))] if kinds else []),
            *(
                [(page, "page of the drift detectors, and when its drift began")]
                if _any(over.alarms, page=True)
                else []
            ),
            *([(done, "another map put in force, or rolled back")] if over.events else []),
            *([(warning, "warning of the drift detectors")] if _any(over.alarms, page=False) else []),
            *(
                (_life_key(over, rule), f"{_letter(n)}: {rule} {_life_words(over, rule)}")
                for n, rule in enumerate(over.rows)
            ),
            *(
                (_limit_key(), f"{each.rule}: enter {ratio(each.enter)}, exit {ratio(each.leave)}")
                for each in over.limits
            ),
        ]
    )


def _life_key(over: _Over, rule: str) -> Markup:
    css = "life firing" if _fires(over, rule) else "life"
    return tag("rect", x=1.0, y=2.0, width=20.0, height=8.0, class_=css)


def _life_words(over: _Over, rule: str) -> str:
    return "fires" if _fires(over, rule) else "fired"


def _fires(over: _Over, rule: str) -> bool:
    return any(span.is_firing for span in over.spans if span.rule == rule)


def _limit_key() -> Markup:
    enter, leave = tag("path", d="M1 3 L21 3", class_="limit"), tag("path", d="M1 9 L21 9", class_="limit exit")
    return join([enter, leave])


def _any(alarms: Sequence[Mark], *, page: bool) -> bool:
    return any(alarm.is_page == page for alarm in alarms)


def _table(moments: Sequence[Moment]) -> Markup:
    rows = (
        (
            instant_text(moment.as_of),
            ratio(moment.ece),
            between(moment.interval),
            between(moment.null_band),
            count(moment.n),
            _words(moment),
        )
        for moment in reversed(moments)
    )
    return data_table(
        "ECE over time, newest first", ("as of", "ECE", "interval", "null band", "labels (n)", "standing"), rows
    )


def spark_line(moments: Sequence[Moment], ident: str) -> Markup:
    """ECE against its null band in a strip of 140 by 36, for one row of a table; empty without two readings."""
    known = [moment for moment in moments if moment.ece is not None]
    if len(known) < 2:
        return EMPTY
    frame = _frame(moments, 4, 132, 5, 33)
    last = known[-1]
    if last.ece is None:
        return EMPTY
    off = last.standing.is_off
    values = [moment.ece for moment in known if moment.ece is not None]
    described = f"ECE {ratio(min(values))} to {ratio(max(values))}"
    return tag(
        "div",
        picture(
            ident,
            140,
            36,
            "ECE over time",
            f"{described}, last {ratio(last.ece)}.",
            _band(moments, frame, lambda moment: moment.null_band, "null-band"),
            _line(moments, frame),
            marker("diamond" if off else "circle", *frame.at(last, last.ece), 3.2, f"mark {'over' if off else 'fair'}"),
        ),
        class_="spark",
    )
