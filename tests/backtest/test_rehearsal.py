"""Time-line tests of rules: the example holds; a test that does not hold, and every mistake, is named with its line."""

from pathlib import Path

import pytest

from monitor.alerting.alertrules import AlertRule, alert_rules
from monitor.alerting.validation import checked
from monitor.backtest.rehearsal import failures
from monitor.backtest.ruletests import read
from tests.backtest.making import KEPT

ROOT = Path(__file__).parents[2]
RULES = """
rules:
  - {name: Ece, metric: ece, enter: 0.05, exit: 0.03, min_labelled: 1000, for: 10m, keep_firing_for: 10m}
  - {name: Rise, metric: accuracy, compare: change_below, enter: -0.05, baseline: {kind: trailing}, for: 0s,
     for_new_labels: 0}
  - {name: Drift, metric: drift, for: 0s, keep_firing_for: 5m}
  - {name: Stale, metric: labels_stale, enter: 48h, for: 0s}
  - {name: Off, metric: ece, enter: 0.05, exit: 0.04, min_labelled: 1000, mode: off}
"""
HEAD = "rules: alerts.yaml\ntests:\n"


def rules(text: str = RULES) -> dict[str, AlertRule]:
    found = checked(text, KEPT)
    assert found.file is not None, found.mistakes
    return {rule.name: rule for rule in alert_rules(found.file)}


def said(tests: str, text: str = RULES) -> list[str]:
    """Every mistake or failure, with its place."""
    written, mistakes = read(tests)
    return [each.line("t") for each in (mistakes if written is None else failures(written, rules(text)))]


def one(line: str, rule: str = "Ece") -> list[str]:
    return said(f"{HEAD}  - name: a\n    rule: {rule}\n    timeline:\n      - {{{line}}}\n")


def test_the_example_holds_for_the_rules_that_ship() -> None:
    tests = (ROOT / "alerts.tests.yaml").read_text(encoding="utf-8")
    assert said(tests, (ROOT / "alerts.yaml").read_text(encoding="utf-8")) == []


def test_what_does_not_come_is_named_with_its_line_and_what_came_instead() -> None:
    text = HEAD + (
        "  - name: a rise\n"
        "    rule: Ece\n"
        "    timeline:\n"
        "      - {until: 1h10m, value: 0.02, state: pending}\n"
        "      - until: 1h30m\n"
        "        value: 0.08\n"
        "        tells: [1h20m fired]\n"
        "        state: firing\n"
    )
    assert said(text) == [
        "t:6:44: a rise: at 1h10m Ece is ok, expected pending",
        "t:9:16: a rise: up to 1h30m told 1h30m fired, expected 1h20m fired",
    ]


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("until: 20m, value: 0.08", "firing"),
        ("until: 20m, value: 0.08, give_or_take: 0.04", "ok"),
        ("until: 20m, value: 0.08, labels: 999", "ok"),
        ("until: 20m, value: 0.08, coverage: 0.4", "ok"),
        ("until: 20m, value: 0.08, new_labels: 0", "pending"),
        ("until: 20m, value: 0.08, ends: series", "ok"),
        ("until: 20m, error: out of memory", "ok"),
        ("until: 20m", "ok"),
    ],
)
def test_a_line_says_what_a_reading_would(line: str, state: str) -> None:
    tells = ", tells: [20m fired]" if state == "firing" else ""
    assert one(f"{line}, state: {state}{tells}") == []


def test_changes_alarms_and_ages_have_time_lines_too() -> None:
    assert one("until: 5m, value: 0.7, baseline: 0.8, state: firing, tells: [5m fired]", "Rise") == []
    assert one("until: 5m, value: 0.7, state: ok", "Rise") == []
    assert one("until: 5m, alarm: stands, state: firing, tells: [5m fired]", "Drift") == []
    assert one("until: 5m, alarm: learning, state: ok", "Drift") == []
    assert one("until: 5m, value: 2d1h, state: firing, tells: [5m fired]", "Stale") == []


def test_a_line_begins_with_what_came_of_the_one_before() -> None:
    text = HEAD + (
        "  - name: an alarm ends\n"
        "    rule: Drift\n"
        "    timeline:\n"
        "      - {until: 5m, alarm: stands, state: firing, tells: [5m fired]}\n"
        "      - {until: 20m, alarm: over, state: ok, tells: [15m resolved]}\n"
    )
    assert said(text) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("until: 12m", "t:6:17: until: must be a whole number of evaluations, one every 5m"),
        ("until: 0m", "t:6:17: until: must be after 0s, where the line begins"),
        ("until: soon", "t:6:17: tests.timeline.until: must be a time since the start such as 90m or 1d6h"),
        ("until: 5m, valu: 1", "t:6:21: tests.timeline.valu: unknown key; did you mean value?"),
        ("until: 5m, state: fired", "t:6:28: tests.timeline.state: must be one of"),
        ("until: 5m, tells: [fired]", "t:6:29: tests.timeline.tells: must be a time and fired, reminder or resolved"),
        ("until: 5m, value: true", "t:6:28: tests.timeline.value: must be a number, or a duration"),
        ("value: 0.1", "t:6:9: until is needed"),
        ("until: 5m, alarm: stands", "t:6:28: a: Ece is about ece: say its value"),
        ("until: 5m, value: 2h", "t:6:28: a: value must be a number, as ece is, got 2h"),
        ("until: 5m, value: 0.1, baseline: 0.2", "t:6:43: a: Ece compares with no baseline"),
    ],
)
def test_every_mistake_is_named_with_its_place(line: str, expected: str) -> None:
    [found] = one(line)
    assert found.startswith(expected)


@pytest.mark.parametrize("rule", ["Ecee", "Off"])
def test_a_rule_that_is_not_judged_fails(rule: str) -> None:
    assert one("until: 5m", rule) == [f"t:4:11: a: {rule} must be a rule that is judged: Ece, Rise, Drift, Stale"]


def test_a_name_stands_for_one_test() -> None:
    [found] = said(HEAD + "  - &a {name: a, rule: Ece, timeline: [{until: 5m}]}\n  - *a\n")
    assert found.endswith("name: another test is called a")


def test_what_is_no_document_is_a_mistake_too() -> None:
    assert said("tests: [") != []
    assert said("tests: []") == ["t:1:8: tests: must not be empty, got []"]
