"""Alerts in words: each kind of evidence, and templates that fail."""

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.alerting import notice, wording
from monitor.alerting.alert import Alert
from monitor.alerting.force import Force
from monitor.alerting.round import FIRING_SHARE
from monitor.alerting.states import Firing, Recovering
from monitor.alerting.target import SERVICE, Target
from monitor.alerting.verdict import Alarmed, Estimate, Evidence, Measured, Said
from monitor.calibration.reading import Bin
from tests.alerting.making import MINUTE, START
from tests.alerting.rounds import force_by

SERIES = Target("series", "m", "confidence", '{"lang":"de"}', "audit", "7d")
FILE = """
rules:
  - name: A
    description: Stated confidences are wrong.
    metric: ece
    enter: 0.1
    severity: error
    labels: {{team: search}}
    summary: {summary}
    annotations: {{runbook_url: {runbook}}}
  - {{name: Drift, metric: drift, for: 0s, summary: "{{{{ rule.metric }}}} {{{{ value|figure }}}}"}}
  - {{name: Stale, metric: labels_stale, enter: 48h, summary: "{{{{ value|figure }}}} of {{{{ limit|figure }}}}"}}
templates: {{title: {title}, text: {text}}}
"""
PLAIN = {
    "summary": '"{{ rule.name }} of {{ series }}: {{ value|figure }}"',
    "runbook": '"https://books.example/{{ rule.name }}"',
    "title": '"{{ state }} {{ summary }}"',
    "text": '"{{ summary }}, {{ low|figure }} to {{ high|figure }}, limit {{ limit|figure }}, {{ n }}"',
}
BINS = (Bin(0.8, 0.9, 300, 0.85, 0.6, (0.5, 0.7)),)


def force(**templates: str) -> Force:
    return force_by(FILE.format(**{**PLAIN, **templates}))


def measured(measure: str = "ece", **given: object) -> Measured:
    exact = Estimate(0.2, (0.15, 0.25), 300)
    fields: dict[str, object] = {
        "as_of": START, "measure": measure, "estimate": exact, "judged": exact, "compare": "above",
        "proof": "confident", "enter": 0.1, "exit": 0.1, "confidence_level": 0.95, "coverage": 0.8, "bins": BINS,
    }  # fmt: skip
    return Measured(**{**fields, **given})  # type: ignore[arg-type]


def alarmed(sign: int = 1) -> Alarmed:
    return Alarmed(
        as_of=START, tier="page", pane=10, band="high", sign=sign, onset=5, onset_interval=(4, 6), size=0.3,
        size_interval=(0.2, 0.4), value=12.0, labels=250.0, slope=1.0, intercept=0.1, labels_since=0.0, calm_labels=500,
    )  # fmt: skip


def alert(evidence: Evidence, rule: str = "A", target: Target = SERIES) -> Alert:
    state = Firing(judged_at=START, fired_at=START, told_at=START)
    return Alert(rule=rule, target=target, severity="error", finding="crossed", evidence=evidence, state=state)


def told(one: Alert, force: Force, *, over: bool = False, remark: str = "") -> notice.Alert:
    return wording.told(one, force, START, START + 5 * MINUTE if over else None, remark)


def test_a_measure_is_told_with_its_interval_its_limit_its_bins_and_its_window() -> None:
    found = told(alert(measured()), force())
    assert found.summary == "A of m / lang=de / confidence / audit / 7d: 0.2, 0.15 to 0.25, limit 0.1, 300"
    assert found.series == notice.Series("m", "confidence", "lang=de", "audit", "7d")
    assert found.evidence == notice.Evidence(
        measure="ece", unit="ratio", estimate=0.2, interval=(0.15, 0.25), limit=0.1, n=300,
        window=timedelta(days=7), as_of=START, bins=BINS,
    )  # fmt: skip
    assert (found.runbook, found.labels, found.remark) == ("https://books.example/A", (("team", "search"),), None)
    assert str(found.link) == f"https://caldrift.example/alerts/{alert(measured()).id}"


def test_a_change_is_told_as_the_difference_and_says_so() -> None:
    change, now, then = Estimate(0.12, (0.05, 0.2), 90), Estimate(0.2, None, 100), Estimate(0.08, None, 90)
    found = told(
        alert(measured(judged=change, estimate=now, baseline=then)), force(text='"{{ value }} {{ baseline }}"')
    )
    assert found.summary == "0.12 0.08"
    assert found.evidence is not None
    assert (found.evidence.measure, found.evidence.estimate, found.evidence.n) == ("ece (change)", 0.12, 90)


def test_a_measure_of_time_is_told_in_hours_and_days() -> None:
    exact = Estimate(259_200.0, None, 0)
    evidence = measured("labels_stale", estimate=exact, judged=exact, enter=172_800.0, proof="point", bins=())
    found = told(alert(evidence, "Stale", Target("model", "m")), force(text='"{{ summary }}"'))
    assert found.summary == "3d of 2d"
    assert found.evidence is not None
    assert (found.evidence.unit, found.evidence.estimate, found.evidence.window) == ("seconds", 259_200.0, None)
    assert found.series == notice.Series("m", "", "")


def test_a_count_of_the_service_is_a_count_of_no_model() -> None:
    exact = Estimate(7.0, None, 0)
    found = told(alert(measured("dead_letters", estimate=exact, judged=exact), "A", SERVICE), force())
    assert found.evidence is not None
    assert (found.evidence.unit, found.series) == ("count", notice.Series("", "", ""))


def test_a_rollup_is_told_as_the_share_of_series_that_fire() -> None:
    share = Estimate(0.7, None, 10)
    found = told(alert(measured(FIRING_SHARE, estimate=share, judged=share), "A", Target("rollup", "m")), force())
    assert found.evidence is not None
    assert (found.evidence.measure, found.evidence.unit) == ("share of series that fire", "ratio")


@pytest.mark.parametrize(("sign", "side"), [(1, "over"), (-1, "under")])
def test_an_alarm_is_told_by_its_side_its_size_and_its_labels(sign: int, side: str) -> None:
    found = told(alert(alarmed(sign), "Drift", replace(SERIES, window="")), force(text='"{{ summary }} {{ limit }}"'))
    assert found.summary == "drift 0.3 None"
    assert found.evidence is not None
    assert found.evidence.measure == f"{side}-confidence since the baseline, high confidences"
    assert (found.evidence.estimate, found.evidence.interval, found.evidence.n) == (0.3, (0.2, 0.4), 250)
    assert (found.evidence.limit, found.evidence.window) == (None, None)


def test_words_alone_are_the_remark_and_no_evidence() -> None:
    said = Said(as_of=START, reason="12 labels of 500", n=12, coverage=0.5)
    found = told(alert(said), force(text='"{{ n }} {{ coverage }} {{ value|figure }}"'), remark=said.reason)
    assert (found.evidence, found.remark, found.summary) == (None, "12 labels of 500", "12 0.5 –")


def test_an_alert_fires_recovers_or_is_over() -> None:
    one = alert(measured())
    state = Recovering(judged_at=START, fired_at=START, told_at=START, watched=MINUTE)
    assert told(one, force()).state == "firing"
    assert told(replace(one, state=state), force()).state == "recovering"
    over = told(one, force(), over=True)
    assert (over.state, over.ended_at) == ("resolved", START + 5 * MINUTE)
    assert wording.title(one, force(), START, over=False).startswith("firing A of m")
    assert wording.title(one, force(), START, over=True).startswith("resolved A of m")


def test_an_alert_of_a_rule_that_is_gone_is_told_plainly() -> None:
    found = told(alert(measured(), "Gone"), force(), over=True)
    assert found.summary == "Gone: ece is 0.2 (m), 0.15 to 0.25, limit 0.1, 300"
    assert (found.runbook, found.labels) == (None, ())


FAILS = '"{{ 1 // (n - 300) }}"'
"""Of the alert below; not of the example with which templates are checked."""


@pytest.mark.parametrize("where", ["summary", "text", "title", "runbook"])
def test_a_template_that_fails_on_one_alert_lets_it_go_out_in_plain_words(where: str) -> None:
    one, broken = alert(measured()), force(**{where: FAILS})
    found, title = told(one, broken), wording.title(one, broken, START, over=False)
    plain = "A: ece is 0.2 (m)"
    summary = plain if where == "summary" else "A of m / lang=de / confidence / audit / 7d: 0.2"
    assert title == (summary if where == "title" else f"firing {summary}")
    assert found.summary == (summary if where == "text" else f"{summary}, 0.15 to 0.25, limit 0.1, 300")
    assert found.runbook == (None if where == "runbook" else "https://books.example/A")
    assert found.remark == (None if where == "title" else "a template failed: ZeroDivisionError")
    assert found.evidence == told(one, force()).evidence
    fine = alert(measured(judged=Estimate(0.2, None, 301)))
    assert told(fine, broken).remark is None


def test_without_pages_nothing_is_linked() -> None:
    assert told(alert(measured()), replace(force(), pages="")).link is None
