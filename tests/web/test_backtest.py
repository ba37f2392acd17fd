"""The page of a backtest shows what its report says, in pictures and in digits, and loads nothing."""

import re
from datetime import UTC, datetime, timedelta

from msgspec import structs

from monitor.alerting.verdict import Said
from monitor.backtest.report import SCHEMA, AlertSpan, Backtest, Insufficient, OnsetReport, RuleReport
from monitor.web.backtest import DRAWN, html_document

START = datetime(2026, 9, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NOTHING = Insufficient(looks=0, of=100, few_labels=0, low_coverage=0, not_known=0, no_baseline=0, never=0)


def span(model: str, day: int, last: int | None = None, *, hushed: str | None = None) -> AlertSpan:
    return AlertSpan(
        series={"model": model, "signal": "confidence", "window": "7d"},
        pending_at=START + day * DAY,
        fired_at=START + day * DAY,
        resolved_at=None if last is None else START + last * DAY,
        reason=None if last is None else "resolved",
        told=hushed is None,
        hushed=hushed,
        damped=0,
        evidence=Said(as_of=START, reason="high"),
    )


def rule(name: str, *spans: AlertSpan, unknown: str | None = None) -> RuleReport:
    return RuleReport(
        rule=name,
        metric="ece",
        severity="warning",
        series_judged=2,
        fired=len(spans),
        pages=len(spans),
        pages_per_week=len(spans) / 8,
        flaps=0,
        withdrawn=1,
        firing_seconds=3600.0,
        insufficient=NOTHING,
        onset=OnsetReport(pages_before=1, delay_seconds=86400.0),
        alerts=spans,
        unknown=unknown,
    )


def report(*rules: RuleReport) -> Backtest:
    return Backtest(
        schema=SCHEMA,
        start_at=START,
        end_at=START + 56 * DAY,
        every_seconds=3600,
        series=2,
        pages=sum(each.pages for each in rules),
        pages_per_week=0.5,
        onset_at=START + 20 * DAY,
        rules=rules,
    )


def test_each_rule_has_its_line_and_each_alert_its_bar() -> None:
    page = html_document(report(rule("Ece", span("a", 2, 4), span("a", 30), span("b", 31)), rule("Gap")), None, "here")
    assert page.count('class="life firing"') == 3 * 3  # in a wide, a medium and a narrow picture
    assert "3 alerts in 3 pages. 1 crossing did not last." in page
    assert re.search(r"Gap<span", page)
    assert "When Gap fired" not in page
    assert "1, 1 d" in page
    assert "to the end" in page


def test_an_alert_that_nobody_would_be_told_of_looks_different_and_says_why() -> None:
    page = html_document(report(rule("Ece", span("a", 2, hushed="mute time nights"))), None, "here")
    assert 'class="life"' in page
    assert "not told: mute time nights" in page


def test_two_sets_of_rules_stand_side_by_side() -> None:
    ours, theirs = report(rule("Ece", span("a", 2)), rule("New")), report(rule("Ece", span("a", 2), span("b", 3)))
    page = html_document(ours, theirs, "here")
    assert "The other rules: 2 pages" in page
    assert re.findall(r'data-label="pages of the other rules">(\w+)<', page) == ["2", "none"]


def test_rules_that_history_does_not_tell_are_named_and_not_drawn() -> None:
    page = html_document(report(rule("Ece"), rule("Intake", unknown="not in history")), None, "here")
    assert "Not in history, so not judged: Intake." in page
    assert "No rule fired." in page


def test_many_series_are_all_in_the_table() -> None:
    spans = [span(f"model-{number:03}", 2 + number % 7) for number in range(DRAWN + 5)]
    page = html_document(report(rule("Ece", *spans)), None, "here")
    assert page.count('class="life firing"') == 3 * DRAWN
    assert "5 more series are in the table only." in page
    assert all(f"model-{number:03}, 7d</th>" in page for number in range(DRAWN + 5))


def test_names_are_escaped_and_the_page_loads_nothing() -> None:
    evil = structs.replace(span("a", 2), series={"model": "<script>alert(1)</script>"})
    page = html_document(report(rule("Ece", evil)), None, "<b>files</b>")
    assert "<script" not in page
    assert "<b>files" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
