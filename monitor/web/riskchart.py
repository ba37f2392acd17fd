"""The risk-coverage curve, drawn as SVG: how much passes a threshold, and how much of that is wrong. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.calibration.certificates import Certificate
from monitor.calibration.passing import Passing
from monitor.web.charts import HEIGHT, LEFT, RIGHT, WIDTH, side_title, tick_left, x_axis
from monitor.web.scales import Linear, plain, round_up, step_of, ticks
from monitor.web.svg import join, marker, path, picture, tag
from monitor.web.tables import Figure, data_table, legend, nothing
from monitor.web.verdicts import Range, between, count, percent, ratio

TITLE = "What a threshold lets through"
HEADS = ("threshold", "passes", "labels (n)", "right", "95 % interval")
_TOP, _BOTTOM = 24.0, 392.0


def risk_coverage(steps: Sequence[Passing], certified: Sequence[Certificate], ident: str = "risk-coverage") -> Figure:
    """Share wrong against share that passes, with the interval of each threshold and the certified thresholds."""
    drawn = [(step, step.accuracy, step.interval) for step in steps if step.n >= 10]
    points = [(step, 1 - right, Range(*held)) for step, right, held in drawn if right is not None and held is not None]
    if not points:
        return nothing(TITLE, "Not enough labels: fewer than 10 in this window.")
    top = min(
        1.0, max(0.05, *(risk for _, risk, _ in points), *(1 - held.low for _, _, held in points[len(points) // 3 :]))
    )
    step = step_of(top, 5)
    top = min(1.0, round_up(top / step, 1000) * step)
    x, y = Linear(0, 1, LEFT, RIGHT), Linear(0, top, _BOTTOM, _TOP)
    grid = [tag("path", d=path([(LEFT, y(at)), (RIGHT, y(at))]), class_="grid") for at in ticks(0, top)]
    texts = [tick_left(plain(at, step), LEFT, y(at)) for at in ticks(0, top)]
    upper = [(x(each.coverage), y(1 - held.low)) for each, _, held in points]
    lower = [(x(each.coverage), y(1 - held.high)) for each, _, held in reversed(points)]
    line = [(x(each.coverage), y(risk)) for each, risk, _ in points]
    marks = [
        join(
            [
                tag("title", f"{each.target:g} right is certified from {each.threshold:.5g} on"),
                marker("diamond", x(each.coverage), y(1 - each.accuracy), 5.0, "mark"),
                tag("text", f"{each.target:g}", x=x(each.coverage), y=y(1 - each.accuracy) - 10, text_anchor="middle"),
            ]
        )
        for each in _apart(certified)
        if each.coverage is not None and each.accuracy is not None and each.threshold is not None
    ]
    described = (
        f"From {percent(points[0][0].coverage)} of the predictions, of which {percent(points[0][1])} are wrong, to "
        f"all, of which {percent(points[-1][1])} are."
    )
    body = join(
        [
            *grid,
            tag("path", d=path([*upper, *lower], closed=True), class_="interval"),
            tag("path", d=path(line), class_="line"),
            *(tag("g", each) for each in marks),
            *texts,
            side_title("share wrong of what passes", y),
            x_axis(x, _BOTTOM, "share of predictions that pass"),
        ]
    )
    return Figure(
        title=TITLE,
        picture=picture(ident, WIDTH, HEIGHT, TITLE, described, body),
        legend=legend(
            [
                (tag("path", d="M1 6 L21 6", class_="line"), "by threshold, highest at the left"),
                (tag("rect", x=1.0, y=1.0, width=20.0, height=10.0, class_="interval"), "95 % interval of each"),
                (marker("diamond", 11, 6, 4.5, "mark"), "certified: right at least as often as it says"),
            ]
        ),
        table=data_table("By threshold, from the highest down", HEADS, rows_of(steps)),
        note="Each interval is of one threshold. Whoever picks the best of many needs a certificate.",
    )


def rows_of(steps: Sequence[Passing]) -> list[tuple[str, ...]]:
    """The curve in figures."""
    return [
        (
            f"{step.threshold:.5g}",
            percent(step.coverage),
            count(step.n),
            ratio(step.accuracy),
            "" if step.interval is None else between(Range(*step.interval)),
        )
        for step in steps
    ]


def _apart(certified: Sequence[Certificate]) -> list[Certificate]:
    """Of those at one threshold the one that promises most: their marks would cover each other."""
    best: dict[float, Certificate] = {}
    for each in certified:
        if each.threshold is not None and (each.threshold not in best or best[each.threshold].target < each.target):
            best[each.threshold] = each
    return list(best.values())
