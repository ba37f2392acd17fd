"""Stories of alerts, as time lines that a person can read: tests/alerting/scenarios.

Each line of a time line says what every evaluation reads from the end of the line before `until` its own, the state it
ends in, and all that is told meanwhile. `ece` is held against the limits with an interval of `give_or_take`.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.alerting.incident import Announcement, Incident, announced, dedup_key, group_of
from monitor.alerting.judgement import Limits, Standing, of_detector, of_reading
from monitor.alerting.lifecycle import Decision, decide
from monitor.alerting.states import NEW, State, decoded, encoded, name_of
from monitor.alerting.terms import Terms
from monitor.alerting.transition import Transition
from monitor.alerting.verdict import Said, Verdict
from monitor.calibration.reading import BinsSetting, Reading
from monitor.drift.alarms import Alarm
from tests.alerting.making import MINUTE, START, duration

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.yaml"))
WITHOUT_RULE = {"compare": "above", "enter": 1.0, "exit": 1.0}


def reading(value: float, labels: int, half: float) -> Reading:
    return Reading(
        model="m",
        bins_setting=BinsSetting(10, "right_closed"),
        n_predictions=labels,
        n=labels,
        coverage=1.0 if labels else None,
        ece=value,
        intervals={"ece": (value - half, value + half)},
        confidence_level=0.95,
        not_enough_labels=False,
    )


class Story:
    """One alert at a time, its incidents, and everything that was recorded and told."""

    def __init__(self, told: dict[str, Any]) -> None:
        terms: dict[str, Any] = {
            name: duration(value) if re.fullmatch(r"\d+[hm].*", str(value)) else value
            for name, value in told.get("terms", {}).items()
        }
        self.limits = Limits(**told.get("rule", WITHOUT_RULE))
        self.terms = Terms(**terms)
        self.rule = "EceHigh"
        self.states: dict[str, State] = {}
        self.incidents: dict[str, Incident] = {}
        self.transitions: list[Transition] = []
        self.told: list[str] = []
        self.last: Verdict | None = None

    def lived(self, line: dict[str, Any], since: timedelta) -> timedelta:
        """The evaluations of one line; returns its end."""
        until = duration(line["until"])
        if "rename" in line:
            at = since + self.terms.evaluate_every
            self.judge(Verdict("rule_ended", Said(as_of=START + at, reason="the rule is gone")), at)
            self.rule = line["rename"]
        if line.get("down"):
            assert self.last is not None
            assert self.judge(self.last, since).counted == ("stale",)
            return until
        at = since
        while at < until:
            at += self.terms.evaluate_every
            self.judge(self.verdict(line, at), at)
        return at

    def verdict(self, line: dict[str, Any], at: timedelta) -> Verdict:
        as_of = START + at
        if "error" in line:
            return Verdict("failed", Said(as_of=as_of, reason=line["error"]))
        if "ends" in line:
            return Verdict(line["ends"], Said(as_of=as_of, reason="retired by configuration"))
        if "alarm" in line:
            return of_detector(self.standing(line), as_of)
        half, labels = line.get("give_or_take", 0.01), line["labels"]
        baseline = reading(line["baseline"], labels, 0.0) if "baseline" in line else None
        now = reading(line.get("ece", 0.0), labels, half)
        return of_reading(now, "ece", self.limits, as_of, new_labels=line.get("new_labels", 0), baseline=baseline)

    def standing(self, line: dict[str, Any]) -> Standing:
        if line["alarm"] == "none":
            return Standing(alarm=None, labels_since=0, calm_labels=1500, taught_from=0)
        alarm = Alarm(0, "page", line["alarm"], "high", 1, 20, (10, 24), 0.1, (0.05, 0.15), 1e6, 4000.0)
        return Standing(alarm=alarm, labels_since=line["labels_since"], calm_labels=1500, taught_from=None)

    def judge(self, verdict: Verdict, at: timedelta) -> Decision:
        """Decide and record, as a process that keeps nothing but what is stored."""
        decision = decide(decoded(encoded(self.states.get(self.rule, NEW))), verdict, self.terms, START + at)
        self.last = verdict
        self.states[self.rule] = decision.state
        if decision.transition is not None:
            self.transitions.append(decision.transition)
        if decision.notice is not None:
            key = dedup_key("test", self.rule, group_of({"model": "m"}, ["model"]))
            incident = self.incidents.get(key, Incident(key=key))
            self.incidents[key], said = announced(incident, [("m", decision.notice)], self.terms)
            self.tell(said, decision, at)
        return decision

    def tell(self, said: Announcement | None, decision: Decision, at: timedelta) -> None:
        assert said is not None
        assert {"opened": "fired", "reminder": "reminder", "closed": "resolved"}[said.kind] == decision.notice
        hours, minutes = divmod(at // MINUTE, 60)
        self.told.append("".join([f"{hours}h" * (hours > 0), f"{minutes}m" * (minutes > 0), f" {decision.notice}"]))


@pytest.mark.parametrize("path", SCENARIOS, ids=[path.stem for path in SCENARIOS])
def test_the_story_goes_as_it_is_told(path: Path) -> None:
    told = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(told) <= {"story", "rule", "terms", "timeline", "transitions", "flaps"}
    story, at = Story(told), timedelta(0)
    for line in told["timeline"]:
        story.told.clear()
        at = story.lived(line, at)
        assert (name_of(story.states[story.rule]), story.told) == (line["state"], line.get("tells", [])), line
    assert [transition.reason for transition in story.transitions] == told["transitions"]
    assert max(transition.flaps for transition in story.transitions) == told.get("flaps", 0)


def test_the_stories_that_must_be_told_are_there() -> None:
    wanted = {
        "label_outage", "slow_drift", "flapping", "recalibration", "restart_while_pending", "series_vanishes",
        "rule_renamed",
    }  # fmt: skip
    assert wanted <= {path.stem for path in SCENARIOS}
