"""Rule files: what is left out, taken over and written down again."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.alerting.alertrules import AlertRule, DriftAlarm, Selection, Threshold
from monitor.alerting.calibrated import BIASED
from monitor.alerting.conduct import BUILT_IN, Conduct
from monitor.alerting.metrics import METRICS, MONITOR, READING
from monitor.alerting.rulefile import RuleFile
from monitor.alerting.validation import checked
from monitor.forms import durations
from tests.alerting.installations import SHIPPED, mistakes
from tests.alerting.test_document import Quoting

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "alerts.yaml").read_text(encoding="utf-8")

TEN_LINES = """\
rules:
  - name: EceHigh
    metric: ece
    enter: 0.05
routes:
  team:
    notify: [slack]
channels:
  slack: {kind: slack_webhook, url_env: SLACK_URL}
"""


def rules(text: str) -> dict[str, AlertRule]:
    found = checked(text, SHIPPED)
    assert found.mistakes == ()
    return {rule.name: rule for rule in found.rules}


def test_a_file_of_ten_lines_watches_whole_models_with_confidence_and_tells_its_only_route() -> None:
    rule = rules(TEN_LINES)["EceHigh"]
    assert rule.condition == Threshold(METRICS["ece"], "above", 0.05, 0.05, "confident")
    assert rule.select == Selection(("*",), ("",), None, ("",), ("7d",))
    assert (rule.route, rule.severity, rule.mode, rule.send_resolved) == ("team", "warning", "active", True)
    assert (rule.for_, rule.for_new_labels, rule.min_labelled) == (timedelta(minutes=30), 25, 500)


def test_nothing_is_left_open_by_what_is_built_in_but_route_and_signal() -> None:
    select = BUILT_IN.select
    assert select is not None
    assert [key for key in Conduct.model_fields if getattr(BUILT_IN, key) is None] == ["route"]
    assert [key for key in type(select).model_fields if getattr(select, key) is None] == ["signal"]


def test_the_example_is_right_as_it_stands() -> None:
    assert mistakes(EXAMPLE) == []


def test_the_example_says_of_its_defaults_what_holds_without_them() -> None:
    without = EXAMPLE[: EXAMPLE.index("defaults:")] + EXAMPLE[EXAMPLE.index("rules:\n") :]
    assert rules(without) == rules(EXAMPLE)


def uncommented() -> str:
    return re.sub(r"^#(?=\S|  )", "", EXAMPLE[EXAMPLE.index("#mute_times:") :], flags=re.MULTILINE)


def test_the_example_is_right_with_its_comment_signs_taken_away() -> None:
    text = EXAMPLE + uncommented()
    assert mistakes(text) == []
    written = yaml.safe_load(text)
    assert set(written) == set(RuleFile.model_fields)
    assert {each["kind"] for each in written["channels"].values()} == {
        *("slack", "slack_webhook", "pagerduty", "webhook", "alertmanager", "email")
    }
    assert rules(text)["EceHigh"].route == "team"


def test_the_rules_that_ship_rise_since_the_last_recalibration_and_the_last_version() -> None:
    found = rules(EXAMPLE)
    kinds = {}
    for name in ("EceRoseSinceRecalibration", "EceRoseSinceVersion"):
        condition = found[name].condition
        assert isinstance(condition, Threshold)
        assert condition.baseline is not None
        assert (condition.metric.name, condition.compare, condition.enter) == ("ece", "change_above", 0.03)
        kinds[name] = condition.baseline.kind
    assert list(kinds.values()) == ["last_recalibration", "last_version"]
    assert found["EceRoseSinceVersion"].severity == "error"
    assert {rule.condition for rule in found.values() if isinstance(rule.condition, DriftAlarm)} == {
        DriftAlarm("page", None),
        DriftAlarm("warn", None),
    }


def test_a_rule_takes_over_what_it_does_not_say_from_the_nearest_that_does() -> None:
    text = """\
defaults: {for: 1h, severity: error, select: {window: 1d}, labels: {team: a, site: b}}
rules:
  - name: Grandparent
    description: not taken over
    metric: auroc
    enter: 0.7
    exit: 0.8
    for: 2h
    select: {model: "a*"}
    labels: {team: c}
  - {name: Parent, extends: Grandparent, enter: 0.6, select: {segment: "lang=*"}}
  - {name: Child, extends: Parent, for: 3h, mode: shadow}
"""
    found = rules(text)
    assert found["Child"].condition == Threshold(METRICS["auroc"], "below", 0.6, 0.8, "confident")
    assert found["Child"].select == Selection(("a*",), ("lang=*",), None, ("",), ("1d",))
    assert [found[name].for_ for name in ("Grandparent", "Parent", "Child")] == [timedelta(hours=n) for n in (2, 2, 3)]
    assert (found["Child"].severity, found["Child"].mode, found["Parent"].mode) == ("error", "shadow", "active")
    assert found["Child"].labels == {"team": "c", "site": "b"}
    assert found["Child"].description == ""


@pytest.mark.parametrize(
    "rule",
    [
        "{name: A, metric: drift, tier: page, false_pages_per_year: 2, keep_firing_for: 1d}",
        "{name: A, metric: labels_stale, enter: 48h, exit: 48h, evidence: point, select: {model: a}}",
        "{name: A, metric: ece, enter: 0.01, evidence: point, mode: off}",
        "{name: A, metric: ece_debiased, enter: 0.01, evidence: point, min_labelled: 30}",
        "{name: A, metric: ece, compare: change_above, enter: 0.01, exit: -0.01, baseline: {kind: last_version}}",
        "{name: A, metric: calibration_slope, compare: below, enter: 0.8, exit: 0.9}",
    ],
)
def test_what_makes_sense_is_no_mistake(rule: str) -> None:
    assert mistakes(f"rules:\n  - {rule}\n") == []


def test_a_measure_without_an_interval_is_judged_by_its_value() -> None:
    text = "defaults: {evidence: confident}\nrules: [{name: Few, metric: n, enter: 300}]"
    condition = rules(text)["Few"].condition
    assert isinstance(condition, Threshold)
    assert condition.evidence == "point"


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,12}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
PLAIN_TEMPLATES = TEXTS.filter(lambda text: "{" not in text and "}" not in text)
PAUSES = st.integers(0, 10**5).map(lambda seconds: durations.text(timedelta(seconds=seconds)))
CONDUCT = {
    "for": PAUSES,
    "for_new_labels": st.integers(0, 10**6),
    "keep_firing_for": PAUSES,
    "repeat_every": PAUSES,
    "min_label_coverage": st.floats(0, 1),
    "on_insufficient_data": st.sampled_from(["hold", "ok", "alert"]),
    "on_error": st.sampled_from(["hold", "alert"]),
    "send_resolved": st.booleans(),
    "severity": st.sampled_from(["info", "warning", "error", "critical"]),
    "mode": st.sampled_from(["active", "shadow", "off"]),
    "summary": PLAIN_TEMPLATES,
    "labels": st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True), TEXTS, max_size=3),
    "annotations": st.dictionaries(st.just("runbook_url"), PLAIN_TEMPLATES, max_size=1),
    "route": st.just("team"),
    "select": st.fixed_dictionaries(
        {},
        optional={
            "model": st.lists(TEXTS, min_size=1, max_size=2),
            "segment": st.sampled_from(["", "*", "lang=*", ["lang=de,tier=?", "!lang=en"]]),
            "signal": TEXTS,
            "source": TEXTS,
            "window": st.sampled_from(["1d", "*", ["7d", "!1d"]]),
        },
    ),
}
BASELINES = st.one_of(
    st.sampled_from(["last_recalibration", "last_version"]).map(lambda kind: {"kind": kind}),
    st.fixed_dictionaries({"kind": st.just("trailing")}, optional={"length": st.just("14d")}),
    st.fixed_dictionaries({"kind": st.just("same_period")}, optional={"periods": st.integers(2, 9)}),
)


@st.composite
def written_rules(draw: st.DrawFn) -> dict[str, Any]:
    metric = draw(st.sampled_from([each for each in READING if each.name not in BIASED and each.unit == "number"]))
    low, high = metric.low if metric.low is not None else -9.0, metric.high if metric.high is not None else 9.0
    exit_, enter = sorted(draw(st.tuples(st.floats(low, high), st.floats(low, high))))
    rule = {"metric": metric.name, "compare": "above", "enter": enter, "exit": exit_}
    if draw(st.booleans()):
        rule |= {"compare": "change_above", "baseline": draw(BASELINES)}
    return rule | draw(st.fixed_dictionaries({}, optional=CONDUCT))


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    found: list[dict[str, Any]] = draw(st.lists(written_rules(), min_size=1, max_size=3))
    monitor = draw(st.sampled_from([each for each in MONITOR if each.unit == "duration"]))
    found.append({"metric": monitor.name, "enter": draw(PAUSES)})
    found.append({"metric": "drift", "tier": draw(st.sampled_from(["page", "warn"]))})
    names = draw(st.lists(NAMES, min_size=len(found), max_size=len(found), unique=True))
    return {
        "defaults": draw(st.fixed_dictionaries({}, optional=CONDUCT)),
        "rules": [{"name": name, **rule} for name, rule in zip(names, found, strict=True)],
        "inhibit": [{"when": {"rule": names[0]}, "mute": {"severity": ["info"]}}],
        "mute_times": [{"name": "nights", "times": [{"start_time": "00:00", "end_time": "24:00"}]}],
        "routes": {"team": {"notify": ["hook"], "group_wait": draw(st.sampled_from(["0s", "90s", "1d"]))}},
        "channels": {"hook": {"kind": "webhook", "url_env": "HOOK"}},
        "heartbeat": {"every": "1m", "notify": ["hook"]},
    }


@settings(max_examples=60)
@given(files())
def test_any_rules_survive_writing_and_reading(document: dict[str, Any]) -> None:
    file = RuleFile.model_validate(document)
    text = yaml.dump(file.model_dump(mode="json", by_alias=True, exclude_none=True), Dumper=Quoting)
    found = checked(text, SHIPPED)
    assert found.mistakes == ()
    assert found.file == file
    assert [rule.name for rule in found.rules] == [entry.name for entry in file.rules]
