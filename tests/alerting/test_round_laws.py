"""Laws of whole rounds: whatever rules, silences, routes, crashes and channels do, who is told is told the truth."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.alerting.alert import Alert
from monitor.alerting.force import Force
from monitor.alerting.hushing import Hushing, Silence
from monitor.alerting.round import Look, Rollup
from monitor.alerting.routes import Match
from monitor.alerting.states import name_of
from monitor.alerting.target import About, Target
from monitor.alerting.terms import Terms
from monitor.alerting.verdict import Finding, Said, Verdict
from tests.alerting.making import MINUTE, START
from tests.alerting.receiver import Receiver, Told
from tests.alerting.rounds import Store, force_by

RULES = """
rules:
{rules}
routes:
  team: {{notify: [{team}], group_by: [{by}]}}
  last: {{notify: [z]}}
fallback_route: {fallback}
channels:
  x: {{kind: webhook, url: "http://127.0.0.1:1/"}}
  y: {{kind: webhook, url: "http://127.0.0.1:1/"}}
  z: {{kind: webhook, url: "http://127.0.0.1:1/"}}
{more}
"""
A = "  - {{name: A, metric: ece, enter: 0.1, for_new_labels: 0, {conduct}, mode: {mode}}}\n"
B = A.replace("name: A", "name: B, rollup: {{when_share: 0.6}}")
C = "  - {{name: C, metric: labels_stale, enter: 1h, for: 0s, keep_firing_for: 5m, mode: {mode}}}\n"
INHIBIT = "inhibit: [{when: {rule: C}, mute: {rule: A}, equal: [model]}]"
MUTE = "mute_times: [{name: always, match: {rule: B}, times: [{start_time: '00:00', end_time: '24:00'}]}]"
MODELS, SEGMENTS = ("m", "n"), ("", '{"lang":"de"}', '{"lang":"en"}')
EVERYTHING: tuple[About, ...] = ("series", "rollup", "model")
SERIES = [Target("series", model, "confidence", segment, "", "7d") for model in MODELS for segment in SEGMENTS]
FINDINGS: list[Finding] = [
    "crossed", "crossed", "crossed", "crossed", "below", "below", "below", "below", "between", "insufficient", "failed",
]  # fmt: skip
HOLDING: list[Finding] = ["between", "insufficient"]


@dataclass(frozen=True)
class Rules:
    """A rule file, as far as it varies."""

    names: str
    team: str
    by: str
    fallback: str
    extra: str
    conduct: str
    shadow: str

    @property
    def force(self) -> Force:
        mode = {
            name: "off" if name not in self.names else "shadow" if name in self.shadow else "active" for name in "ABC"
        }
        rules = "".join(
            rule.format(conduct=self.conduct, mode=mode[name]) for name, rule in zip("ABC", (A, B, C), strict=True)
        )
        return force_by(RULES.format(rules=rules, team=self.team, by=self.by, fallback=self.fallback, more=self.extra))


def some_rules(rng: Random) -> Rules:
    return Rules(
        names=rng.choice(["ABC", "ABC", "AB", "BC", "AC"]),
        team=rng.choice(["x, y", "x, y", "x", "y, z"]),
        by=rng.choice(["rule, model", "rule, model", "segment", "severity"]),
        fallback=rng.choice(["team", "team", "last"]),
        extra=rng.choice(["", INHIBIT, MUTE, f"{INHIBIT}\n{MUTE}"]),
        conduct=rng.choice(["for: 0s, keep_firing_for: 0s", "for: 5m, keep_firing_for: 10m, repeat_every: 15m"]),
        shadow=rng.choice(["", "", "A", "BC"]),
    )


@dataclass
class World:
    """A service under rules that change, with what it looks at; every choice is the rng's."""

    rng: Random
    rules: Rules
    store: Store = field(default_factory=Store)
    receivers: dict[str, Receiver] = field(default_factory=lambda: defaultdict(Receiver))
    silences: tuple[Silence, ...] = ()
    minute: int = 0

    def change(self) -> None:
        """Time goes on, and people do something now and then."""
        self.minute += self.rng.choice([5, 5, 5, 10, 600, -5, -600])
        if self.rng.random() < 0.2:
            kept = self.rules
            self.rules = replace(some_rules(self.rng), names=kept.names) if self.rng.random() < 0.5 else kept
            self.rules = replace(self.rules, names=self.rng.choice(["ABC", "AB", "BC", kept.names]))
        if self.rng.random() < 0.2:
            match = self.rng.choice([Match(rule=("A",)), Match(segment=("lang=de",)), Match(model=("n",)), Match()])
            now = START + self.minute * MINUTE
            ends = now + self.rng.choice([10, 60]) * MINUTE
            self.silences = (*self.silences, Silence(len(self.silences) + 1, match, now, ends))

    def hushing(self) -> Hushing:
        file = self.rules.force.file
        return Hushing(START + self.minute * MINUTE, self.silences, file.mute_times, file.inhibit)

    def round(self, findings: list[Finding] = FINDINGS, *, commits: bool = True) -> None:
        """The keeper's round, and then the leader's; a round may be lost, or made twice."""
        self._carry_out(("model",), findings, commits=commits)
        self._carry_out(("series", "rollup"), findings, commits=commits)

    def _carry_out(self, kinds: tuple[About, ...], findings: list[Finding], *, commits: bool) -> None:
        force, store = self.rules.force, self.store
        own, is_leader = store.open(*kinds), "series" in kinds
        names, targets = ("AB", SERIES) if is_leader else ("C", [Target("model", model) for model in MODELS])
        looks = [
            self._look(force, name, target, findings) for name in names if name in force.rules for target in targets
        ]
        looks = [look for look in looks if look.verdict.finding != "insufficient" or look.id in own]
        looks += self._ends(force, own, {look.id for look in looks})
        rollups = {
            name: Rollup(rule.severity, replace(force.terms[name], wait=0 * MINUTE, for_new_labels=0), 0.6,
                         Counter(dict.fromkeys(MODELS, 3)), force.hushed(rule))
            for name, rule in force.rules.items()
            if rule.rollup is not None and is_leader
        }  # fmt: skip
        before = dict(store.alerts)
        store.carry_out(force, looks, store.open(*EVERYTHING), self.hushing(), rollups, commits=commits)
        if commits and self.rng.random() < 0.3:
            queued = {key: len(notices) for key, notices in store.notices.items()}
            was = dict(store.alerts)
            store.carry_out(force, looks, store.open(*EVERYTHING), self.hushing(), rollups)
            assert {key: alert.state for key, alert in store.alerts.items()} == {k: a.state for k, a in was.items()}
            assert {key: len(notices) for key, notices in store.notices.items()} == queued
        if not commits:
            assert store.alerts == before

    def _look(self, force: Force, name: str, target: Target, findings: list[Finding]) -> Look:
        said = Said(as_of=START + self.minute * MINUTE, reason="drawn")
        rule = force.rules[name]
        verdict = Verdict(self.rng.choice(findings), said, 30)
        return Look(
            rule=name, severity=rule.severity, terms=force.terms[name], target=target, verdict=verdict,
            hushed=force.hushed(rule),
        )  # fmt: skip

    def _ends(self, force: Force, own: Mapping[UUID, Alert], seen: set[UUID]) -> Iterator[Look]:
        said = Said(as_of=START + self.minute * MINUTE, reason="gone")
        for alert in own.values():
            if alert.rule not in force.rules and alert.id not in seen:
                yield Look(
                    rule=alert.rule, severity=alert.severity, terms=Terms(), target=alert.target,
                    verdict=Verdict("rule_ended", said),
                )  # fmt: skip

    def is_hushed(self, alert: Alert) -> bool:
        """By the words of the documents alone, from what is stored."""
        rules, target, now = self.rules, alert.target, START + self.minute * MINUTE
        states = {(each.rule, each.target): name_of(each.state) for each in self.store.alerts.values()}
        by_silence = any(
            silence.starts_at <= now < silence.ends_at
            and (silence.match.rule is None or alert.rule == "A")
            and (silence.match.segment is None or target.segment == SEGMENTS[1])
            and (silence.match.model is None or target.model == "n")
            for silence in self.silences
        )
        stale = states.get(("C", Target("model", target.model))) == "firing" and "C" not in rules.shadow
        rolled = states.get((alert.rule, Target("rollup", target.model))) in {"firing", "recovering"}
        return (
            by_silence
            or alert.rule in rules.shadow
            or (alert.rule == "B" and MUTE in rules.extra)
            or (alert.rule == "A" and INHIBIT in rules.extra and "C" in rules.names and stale)
            or (target.about == "series" and rolled)
        )


def name(alert: Alert) -> Told:
    target = alert.target
    return alert.rule, target.model, target.labels["segment"], target.window


@st.composite
def worlds(draw: st.DrawFn) -> World:
    rng = draw(st.randoms(use_true_random=False))
    return World(rng, some_rules(rng))


def lived(world: World) -> Iterator[World]:
    """The world after each round."""
    for _ in range(world.rng.randint(5, 25)):
        world.change()
        world.round(commits=world.rng.random() > 0.15)
        world.store.deliver(world.receivers, world.rng, 0.4)
        yield world


@settings(max_examples=60)
@given(worlds())
def test_in_the_end_receivers_believe_what_fires_and_is_not_hushed(world: World) -> None:
    """What was told before it was hushed is believed until it ends; nothing else is, and nothing is missing."""
    for _ in lived(world):
        pass
    for _ in range(8):
        world.minute += 5
        world.round(HOLDING)
    # a clock that was set back is waited out, and reminders make good what a hushed alert kept back
    world.store.deliver(world.receivers, world.rng, 0.0)
    world.store.deliver(world.receivers, world.rng, 0.0)
    force = world.rules.force
    is_open = {name(alert): alert for alert in world.store.open(*EVERYTHING).values()}
    firing = {key: alert for key, alert in is_open.items() if name_of(alert.state) in {"firing", "recovering"}}
    for channel in "xyz":
        believed = world.receivers[channel].believed
        for key, alert in firing.items():
            route = force.route(alert.rule)
            if name_of(alert.state) == "firing" and route is not None and not world.is_hushed(alert):
                assert (key in believed) == (channel in route.notify), (channel, key)
        assert believed <= firing.keys(), "an end that nobody was told"
        for incident, alerts in world.receivers[channel].open.items():
            for key in alerts:
                group = force.group(firing[key])
                if not world.is_hushed(firing[key]):
                    assert group is not None
                    assert incident == force.key(key[0], group)


@settings(max_examples=30)
@given(worlds())
def test_no_change_is_lost_and_each_alert_has_one_unbroken_history(world: World) -> None:
    for _ in lived(world):
        for key, alert in world.store.alerts.items():
            history = world.store.transitions[key]
            assert [each.number for each in history] == list(range(1, len(history) + 1))
            assert [each.before for each in history] == ["ok", *(each.after for each in history[:-1])]
            assert (history[-1].after, history[-1].number) == (name_of(alert.state), alert.state.number)


@settings(max_examples=30)
@given(worlds())
def test_nobody_is_told_that_something_hushed_fires(world: World) -> None:
    seen: Counter[str] = Counter()
    known: dict[str, set[Told]] = defaultdict(set)
    for _ in lived(world):
        stored = {name(alert): alert for alert in world.store.alerts.values()}
        ever = set().union(*known.values())
        for key, notices in world.store.notices.items():
            for each in notices[seen[key] :]:
                fires = {(a.rule, a.series.model, a.series.segment, a.series.window) for a in each.alerts
                         if a.state != "resolved"}  # fmt: skip
                for new in fires - known[key] - ever:
                    assert not world.is_hushed(stored[new]), new
                known[key] = fires
            seen[key] = len(notices)


@settings(max_examples=30)
@given(worlds())
def test_no_problem_is_ever_in_two_open_incidents(world: World) -> None:
    for _ in lived(world):
        alerts = [alert for each in world.store.incidents.values() for alert in each.incident.firing]
        assert len(alerts) == len(set(alerts))
