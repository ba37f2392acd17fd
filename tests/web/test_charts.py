"""Charts: everything drawn lies in its box, texts are escaped and do not meet, pictures say what readings do."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from msgspec.structs import replace

from monitor.calibration.reading import Bin, HistogramBin, Reading, ReadingSettings, Subject
from monitor.calibration.readout import read
from monitor.calibration.sketch import sketch_of
from monitor.web.charts import HEIGHT, WIDTH, confidence_histogram, diagrams_beside, reliability_diagram
from monitor.web.svg import marker, tag
from monitor.web.tables import Figure, data_table, figure
from monitor.web.timeline import LimitLine, Moment, Span, ece_timeline, spark_line
from monitor.web.verdicts import Range, Standing, leaning

START = datetime(2026, 11, 1, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"
EVIL = '<script>alert("\'&")</script>'

pairs = st.lists(
    st.tuples(st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5, 0.73, 0.9, 0.999999, 1.0]), st.sampled_from([0.0, 0.5, 1.0])),
    min_size=1,
    max_size=60,
)
ratios = st.floats(0, 1)


def reading_of(events: list[tuple[float, float]], bins: int = 10) -> Reading:
    confidence, outcome = np.array(events).T
    return read(sketch_of(confidence, outcome), ReadingSettings(bins=bins, draws=50), Subject(model="m"))


def moment(hour: int, ece: float | None = 0.05, width: float = 0.02, *, enough: bool = True) -> Moment:
    interval = None if ece is None else Range(max(0.0, ece - width), min(1.0, ece + width))
    return Moment(START + timedelta(hours=hour), 500, ece, interval, None if ece is None else Range(0.01, 0.04), enough)


def drawings(markup: Markup) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg class=\"chart\" viewBox.*?</svg>", str(markup), re.DOTALL)]


def points(svg: ET.Element) -> Iterator[tuple[float, float]]:
    """Every place that the picture draws at: ends of paths, corners of bars, marks, anchors of texts."""
    for element in svg.iter():
        name = element.tag.removeprefix(SVG)
        if name == "path":
            numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", element.attrib["d"])]
            yield from zip(numbers[::2], numbers[1::2], strict=True)
        elif name == "rect":
            x, y, w, h = (float(element.attrib[key]) for key in ("x", "y", "width", "height"))
            assert min(w, h) >= 0
            yield from ((x, y), (x + w, y + h))
        elif name == "circle":
            yield float(element.attrib["cx"]), float(element.attrib["cy"])
        elif name == "text":
            yield float(element.attrib["x"]), float(element.attrib["y"])


def boxes(svg: ET.Element) -> list[tuple[str, float, float, float, float]]:
    """Texts with generous boxes: 0.62 em a letter."""
    found = []
    for element in svg.iter(f"{SVG}text"):
        text, x, y = element.text or "", float(element.attrib["x"]), float(element.attrib["y"])
        size = 13.5 if "words" in element.attrib.get("class", "") else 12.5
        width, anchor = 0.62 * size * len(text), element.attrib.get("text-anchor", "start")
        left = x - (width if anchor == "end" else width / 2 if anchor == "middle" else 0)
        if "transform" in element.attrib:
            found.append((text, x - size, y - width / 2, x + 2, y + width / 2))
        else:
            found.append((text, left, y - size * 0.75, left + width, y + size * 0.2))
    return found


def assert_in_box(svg: ET.Element) -> None:
    _, _, width, height = (float(number) for number in svg.attrib["viewBox"].split())
    for x, y in points(svg):
        assert -0.01 <= x <= width + 0.01, (x, y)
        assert -0.01 <= y <= height + 0.01, (x, y)


def assert_texts_apart(svg: ET.Element) -> None:
    _, _, width, height = (float(number) for number in svg.attrib["viewBox"].split())
    found = boxes(svg)
    for text, left, top, right, bottom in found:
        assert min(left, top, width - right, height - bottom) >= -1, f"{text} is cut"
    for one, other in combinations(found, 2):
        meets = one[1] < other[3] and other[1] < one[3] and one[2] < other[4] and other[2] < one[4]
        assert not meets, f"{one[0]!r} meets {other[0]!r}"


@given(pairs, st.sampled_from([2, 10, 20, 100]))
@settings(max_examples=40)
def test_everything_in_the_two_charts_of_a_reading_lies_in_its_box_and_no_texts_meet(
    events: list[tuple[float, float]], bins: int
) -> None:
    reading = reading_of(events, bins)
    for shown in (reliability_diagram(reading), confidence_histogram(reading)):
        (svg,) = drawings(shown.picture)
        assert svg.attrib["viewBox"] == f"0 0 {WIDTH:.0f} {HEIGHT:.0f}"
        assert_in_box(svg)
        assert_texts_apart(svg)


@given(pairs, pairs)
@settings(max_examples=20)
def test_diagrams_beside_each_other_are_those_that_stand_alone_under_their_names(
    before: list[tuple[float, float]], after: list[tuple[float, float]]
) -> None:
    sides = [reading_of(events) for events in (before, after)]
    named = [(f"side {place}", found.bins) for place, found in enumerate(sides)]
    svg = ET.fromstring(str(diagrams_beside([named[0], ("no labels", []), named[1]], "pair", "Two")))
    width = float(svg.attrib["viewBox"].split()[2])
    groups = svg.findall(f"{SVG}g")
    assert [group.findtext(f"{SVG}text") for group in groups] == ["side 0", "side 1"]
    for place, (group, found) in enumerate(zip(groups, sides, strict=True)):
        (alone,) = drawings(reliability_diagram(found).picture)
        assert list(points(group))[1:] == list(points(alone)), "but for the name"
        assert group.attrib["transform"] == f"translate({place * (width - WIDTH):g} 0)"
    assert width >= 2 * WIDTH


@given(st.lists(st.one_of(st.none(), ratios), min_size=1, max_size=50), ratios, st.integers(1, 24 * 40))
@settings(max_examples=60)
def test_everything_in_the_time_line_lies_in_its_box_and_no_texts_meet(
    eces: list[float | None], width: float, step: int
) -> None:
    moments = [moment(step * place, ece, width) for place, ece in enumerate(eces)]
    for svg in [*drawings(ece_timeline(moments).picture), *drawings(spark_line(moments, "s"))]:
        assert_in_box(svg)
        assert_texts_apart(svg)


lives = st.lists(
    st.tuples(
        st.sampled_from("ABCDEFGH"), st.integers(-50, 60), st.one_of(st.none(), st.integers(0, 50)), st.booleans()
    ),
    max_size=12,
)
limits = st.lists(st.tuples(ratios, ratios), max_size=4)


@given(st.lists(ratios, min_size=1, max_size=50), lives, limits)
@settings(max_examples=60)
def test_lives_of_alerts_and_limits_of_rules_lie_in_the_box_of_the_time_line_and_no_texts_meet(
    eces: list[float], found: list[tuple[str, int, int | None, bool]], pairs_of_limits: list[tuple[float, float]]
) -> None:
    moments = [moment(place, ece) for place, ece in enumerate(eces)]
    spans = [life(rule, start, None if lasts is None else start + lasts, fires) for rule, start, lasts, fires in found]
    lines = [LimitLine(f"R{n}", max(pair), min(pair)) for n, pair in enumerate(pairs_of_limits)]
    for svg in drawings(ece_timeline(moments, spans=spans, limits=lines).picture):
        assert_in_box(svg)
        assert_texts_apart(svg)


def life(rule: str, start: int, end: int | None, fires: bool = False) -> Span:
    end_at = None if end is None else START + timedelta(hours=end)
    return Span(rule, START + timedelta(hours=start), end_at, fires, f"{rule} fired")


def bars(shown: Figure) -> list[tuple[float, float, float, str]]:
    """The lives in the narrow picture: left, right, foot and class."""
    narrow = drawings(shown.picture)[-1]
    found = [element.attrib for element in narrow.iter(f"{SVG}rect") if element.attrib["class"].startswith("life")]
    return [(float(e["x"]), float(e["x"]) + float(e["width"]), float(e["y"]), e["class"]) for e in found]


def places(shown: Figure) -> list[tuple[float, float]]:
    """Where the narrow picture marks its readings."""
    narrow = drawings(shown.picture)[-1]
    marks = [e for e in narrow.iter() if e.attrib.get("class", "").startswith("mark")]
    svgs = [ET.fromstring(f'<svg xmlns="http://www.w3.org/2000/svg">{ET.tostring(e, "unicode")}</svg>') for e in marks]
    middles = [list(zip(*points(svg), strict=True)) for svg in svgs]
    return [(sum(xs) / len(xs), sum(ys) / len(ys)) for xs, ys in middles]


def test_a_bar_begins_and_ends_at_the_readings_at_which_its_alert_fired_and_was_over() -> None:
    moments = [moment(hour) for hour in range(10)]
    shown = ece_timeline(moments, spans=[life("A", 2, 5), life("B", 7, None, fires=True), life("A", 8, 9)])
    (first, second, third) = sorted(bars(shown))
    xs = [x for x, _ in places(shown)]
    assert first[:2] == pytest.approx((xs[2], xs[5]), abs=0.02)
    assert second[:2] == pytest.approx((xs[7], xs[9]), abs=0.02)
    assert third[:2] == pytest.approx((xs[8], xs[9]), abs=0.02)
    assert first[2] == third[2] < second[2]  # a row for each rule
    assert [each[3] for each in (first, second, third)] == ["life", "life firing", "life"]
    assert "A: A fired" in shown.legend
    assert "B: B fires" in shown.legend


def height_of(line: ET.Element) -> float:
    return float(re.findall(r"-?\d+(?:\.\d+)?", line.attrib["d"])[1])


def test_a_life_outside_the_time_line_is_not_drawn() -> None:
    shown = ece_timeline([moment(hour) for hour in range(3)], spans=[life("A", -9, -1), life("A", 5, None)])
    assert bars(shown) == []


def test_the_line_of_a_limit_is_as_high_as_a_reading_of_that_value() -> None:
    moments = [moment(0, 0.05), moment(1, 0.03), moment(2, 0.02)]
    shown = ece_timeline(moments, limits=[LimitLine("EceHigh", 0.05, 0.03)])
    narrow = drawings(shown.picture)[-1]
    lines = {
        e.attrib["class"]: height_of(e) for e in narrow.iter(f"{SVG}path") if e.attrib["class"].startswith("limit")
    }
    heights = [y for _, y in places(shown)]
    assert lines["limit"] == pytest.approx(heights[0], abs=0.02)
    assert lines["limit exit"] == pytest.approx(heights[1], abs=0.02)


def test_a_limit_far_above_all_readings_does_not_flatten_them_and_is_told_beside_the_chart() -> None:
    moments = [moment(0, 0.05), moment(1, 0.04)]
    shown = ece_timeline(moments, limits=[LimitLine("EceHigh", 0.9, 0.8)])
    assert 'class="limit"' not in shown.picture
    assert places(shown) == places(ece_timeline(moments))
    assert "EceHigh: enter 0.900, exit 0.800" in shown.legend


@given(pairs)
@settings(max_examples=20)
def test_equal_readings_give_equal_pictures(events: list[tuple[float, float]]) -> None:
    assert figure(reliability_diagram(reading_of(events))) == figure(reliability_diagram(reading_of(events)))


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_can_leave_its_element(text: str, value: str) -> None:
    made = str(tag("text", text, id=value))
    assert made.count("<") == 2
    assert made.count(">") == 2
    assert made.count('"') == 2


def test_texts_in_tables_and_figures_are_escaped() -> None:
    assert "<script>" not in data_table(EVIL, [EVIL], [[EVIL, EVIL]])
    assert "<script>" not in figure(ece_timeline([moment(0), moment(1)], 'x"><script>'))


def bars_reading(*bins: Bin) -> Reading:
    base = reading_of([(0.5, 1.0)])
    return replace(base, bins=list(bins), n=sum(one.n for one in bins))


def test_a_bin_is_over_or_under_confident_only_when_its_whole_interval_leaves_the_line() -> None:
    shown = reliability_diagram(
        bars_reading(
            Bin(0.0, 0.1, 50, 0.05, 0.4, (0.28, 0.54)),
            Bin(0.4, 0.5, 50, 0.45, 0.4, (0.28, 0.54)),
            Bin(0.9, 1.0, 50, 0.95, 0.4, (0.28, 0.54)),
        )
    )
    marks = re.findall(r'class="(mark [^"]+)"', str(shown.picture))
    assert marks == ["mark under", "mark fair", "mark over"]
    assert "1 lie below the line (over-confident) and 1 above it" in re.sub(r"\s+", " ", str(shown.picture))


def test_the_diagram_puts_each_bin_where_its_means_are() -> None:
    shown = reliability_diagram(
        bars_reading(Bin(0.4, 0.5, 9, 0.5, 0.5, (0.2, 0.8)), Bin(0.9, 1.0, 9, 1.0, 1.0, (0.7, 1)))
    )
    circles = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', str(shown.picture))
    assert [(float(x), float(y)) for x, y in circles] == [(197.0, 175.0), (346.0, 24.0)]


def test_the_diagram_says_in_words_which_side_is_which() -> None:
    picture = str(reliability_diagram(reading_of([(0.9, 0.0)] * 30)).picture)
    assert "below the line: over-confident" in picture
    assert "above the line: under-confident" in picture


def test_the_table_behind_the_diagram_holds_every_bin_with_its_interval() -> None:
    reading = reading_of([(0.9, 1.0)] * 30 + [(0.3, 0.0)] * 10)
    table = str(reliability_diagram(reading).table)
    assert table.count("<tr>") == 1 + len(reading.bins)
    assert "0.80 to 0.90" in table
    assert "30" in table


def test_the_histogram_draws_right_upwards_and_wrong_downwards_on_one_scale() -> None:
    (svg,) = drawings(confidence_histogram(reading_of([(0.91, 1.0)] * 30 + [(0.91, 0.0)] * 10)).picture)
    bars = {element.attrib["class"]: element for element in svg.iter(f"{SVG}rect")}
    right, wrong = bars["bar right"], bars["bar wrong"]
    zero = float(right.attrib["y"]) + float(right.attrib["height"])
    assert zero == float(wrong.attrib["y"])
    assert float(right.attrib["height"]) / float(wrong.attrib["height"]) == np.float64(3).item()


@given(st.integers(0, 3000), st.integers(0, 3000))
@settings(max_examples=40)
def test_the_counts_at_the_histogram_stand_where_its_bars_would_end(right: int, wrong: int) -> None:
    if not right + wrong:
        return
    base = reading_of([(0.5, 1.0)])
    shown = confidence_histogram(replace(base, histogram=[HistogramBin(0.5, 0.55, float(right), float(wrong))]))
    (svg,) = drawings(shown.picture)
    heights = {e.attrib["class"]: float(e.attrib["height"]) for e in svg.iter(f"{SVG}rect")}
    n, unit = max((right, heights.get("bar right", 0.0)), (wrong, heights.get("bar wrong", 0.0)))
    ticks = [
        (float(e.attrib["y"]), e.text or "")
        for e in svg.iter(f"{SVG}text")
        if float(e.attrib["x"]) < 48 and "transform" not in e.attrib
    ]
    zero = next(y for y, text in ticks if text == "0")
    for y, text in ticks:
        if "k" not in text:
            assert abs(y - zero) == pytest.approx(float(text) * unit / n, abs=1.5 + unit * 0.01)


def test_an_error_that_goes_both_ways_is_not_called_by_one() -> None:
    assert leaning(0.1, 0.1) == "over-confident"
    assert leaning(-0.06, 0.1) == "under-confident"
    assert leaning(-0.03, 0.1) == "over- and under-confident"
    assert leaning(None, None) == leaning(0.0, 0.0) == ""


def test_without_labels_each_chart_says_so_instead_of_drawing() -> None:
    reading = read(sketch_of([0.4], [np.nan]), ReadingSettings(), Subject(model="m"))
    for shown in (reliability_diagram(reading), confidence_histogram(reading), ece_timeline([moment(0, None)])):
        assert "<svg" not in shown.picture
        assert "Not enough labels" in shown.picture
    assert ece_timeline([]).table == ""


def test_nothing_is_drawn_across_a_time_without_a_reading() -> None:
    moments = [moment(0), moment(1), moment(2, None), moment(3), moment(4)]
    narrow = drawings(ece_timeline(moments).picture)[-1]
    lines = [element for element in narrow.iter(f"{SVG}path") if element.attrib["class"] == "line"]
    assert len(lines) == 2
    assert all(element.attrib["d"].count("L") == 1 for element in lines)


def test_the_wide_ranges_of_a_reading_of_few_labels_do_not_flatten_the_chart() -> None:
    def top(moments: list[Moment]) -> float:
        narrow = drawings(ece_timeline(moments).picture)[-1]
        return max(
            float(e.text or "") for e in narrow.iter(f"{SVG}text") if float(e.attrib["x"]) < 52 and e.text != "ECE"
        )

    few = moment(0, 0.06, 0.9, enough=False)
    assert top([few, moment(1), moment(2)]) == top([moment(1), moment(2)]) < 0.1


def test_provisional_and_back_filled_points_are_hollow_and_named() -> None:
    moments = [
        Moment(START, 500, 0.02, Range(0.01, 0.03), Range(0.01, 0.04), late=True),
        Moment(START + timedelta(hours=1), 500, 0.02, Range(0.01, 0.03), Range(0.01, 0.04)),
        Moment(START + timedelta(hours=2), 500, 0.02, Range(0.01, 0.03), Range(0.01, 0.04), provisional=True),
    ]
    shown = ece_timeline(moments)
    narrow = ET.tostring(drawings(shown.picture)[-1], encoding="unicode")
    assert narrow.count("mark fair hollow") == 2
    assert "provisional" in shown.legend
    assert "back-filled" in shown.legend
    assert str(shown.table).count("provisional") == 1


def test_a_reading_above_its_null_band_is_a_diamond_and_clear_only_with_its_whole_interval() -> None:
    assert moment(0, 0.05, 0.02).standing is Standing.OUTSIDE
    assert moment(0, 0.09, 0.02).standing is Standing.CLEARLY_OUTSIDE
    assert moment(0, 0.03, 0.02).standing is Standing.WITHIN
    assert moment(0, 0.001, 0.0).standing is Standing.WITHIN
    assert moment(0, 0.5, 0.02, enough=False).standing is Standing.NOT_ENOUGH
    narrow = ET.tostring(drawings(ece_timeline([moment(0, 0.03), moment(1, 0.09)]).picture)[-1], encoding="unicode")
    assert (narrow.count("mark over"), narrow.count("mark fair")) == (1, 1)


def test_every_picture_has_a_title_a_description_and_ids_of_its_own() -> None:
    page = figure(ece_timeline([moment(0), moment(1)], "a")) + figure(
        reliability_diagram(reading_of([(0.5, 1.0)]), "b")
    )
    for svg in drawings(page):
        title, description = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
        assert title is not None
        assert description is not None
        assert svg.attrib["role"] == "img"
        assert svg.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
        assert title.text
        assert description.text
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_marks_of_every_shape_are_drawn_around_their_place() -> None:
    for shape in ("circle", "diamond", "up", "down"):
        made = ET.fromstring(f'<svg xmlns="http://www.w3.org/2000/svg">{marker(shape, 50, 50, 4, "mark")}</svg>')
        xs, ys = zip(*points(made), strict=True)
        assert sum(xs) / len(xs) == 50
        assert abs(sum(ys) / len(ys) - 50) < 2
