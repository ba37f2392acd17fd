"""Figures: a chart with its legend and, folded behind it, the table of the same numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from monitor.web.svg import EMPTY, join, tag


@dataclass(frozen=True, slots=True)
class Figure:
    """One chart as a page shows it. `table` holds what the picture draws, in digits."""

    title: str
    picture: Markup
    legend: Markup
    table: Markup
    note: str = ""


def data_table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table with a caption; the first column heads its row. Every text is escaped."""
    head = tag("tr", *(tag("th", text, scope="col") for text in heads))
    body = (tag("tr", tag("th", row[0], scope="row"), *(tag("td", text) for text in row[1:])) for row in rows)
    table = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body), class_="numbers")
    return tag("div", table, class_="scroller", role="region", aria_label=caption, tabindex="0")


def with_aside(text: str, aside: str) -> Markup:
    """A cell's text with a smaller line under it."""
    return join([text, tag("span", aside, class_="aside-line")]) if aside else escape(text)


def legend(entries: Iterable[tuple[Markup, str]]) -> Markup:
    """A list of a small drawing and its words. The drawings are 22 by 12 units."""
    items = (
        tag(
            "li",
            tag("svg", drawing, class_="chart key", viewBox="0 0 22 12", width=22.0, height=12.0, aria_hidden="true"),
            tag("span", words),
        )
        for drawing, words in entries
    )
    return tag("ul", *items, class_="legend")


def figure(shown: Figure) -> Markup:
    """The figure as HTML: heading, picture, legend, note, and the numbers behind `<details>`."""
    return tag(
        "figure",
        tag("figcaption", tag("h3", shown.title)),
        shown.picture,
        shown.legend,
        tag("p", shown.note, class_="note") if shown.note else EMPTY,
        tag("details", tag("summary", f"Numbers: {shown.title}"), shown.table) if shown.table else EMPTY,
    )


def nothing(title: str, reason: str) -> Figure:
    """The figure of a chart that has nothing to draw, with the reason in its place."""
    empty = join([tag("p", reason, class_="empty")])
    return Figure(title=title, picture=empty, legend=EMPTY, table=EMPTY)
