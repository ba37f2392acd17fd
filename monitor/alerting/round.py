"""A round: one evaluation of rules, and what it does to all alerts that it looks at; the same live and in a replay."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from monitor.alerting.alert import Alert
from monitor.alerting.conduct import Severity
from monitor.alerting.hushing import Hushing, Named
from monitor.alerting.judgement import SURE
from monitor.alerting.lifecycle import Decision, decide
from monitor.alerting.states import NEW, Firing, Ok, Recovering, State
from monitor.alerting.target import Target, alert_id
from monitor.alerting.terms import Terms
from monitor.alerting.verdict import Estimate, Measured, Said, Verdict

ROLLED_UP: Final = "rolled up"
FIRING_SHARE: Final = "firing_share"
"""What the alert of a rollup is about: which share of the model's selected series fires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One rule at one target, and what it found there.

    `hushed`: why nobody is told, whatever else holds: the rule is in shadow, or has no route.
    """

    rule: str
    severity: Severity
    terms: Terms
    target: Target
    verdict: Verdict
    labels_seen: int | None = None
    hushed: str | None = None

    @property
    def id(self) -> UUID:
        """The alert that it is about."""
        return alert_id(self.rule, self.target)


@dataclass(frozen=True, slots=True)
class Change:
    """What a look did to its alert; `before` None: there was none."""

    before: Alert | None
    after: Alert
    decision: Decision


@dataclass(frozen=True, slots=True)
class Rollup:
    """How many alerts of a rule become one: from the share `when_share` of a model's `selected` series on."""

    severity: Severity
    terms: Terms
    when_share: float
    selected: Mapping[str, int]
    """How many series of each model the rule looks at."""
    hushed: str | None = None


def about(looks: Iterable[Look], rollups: Mapping[str, Rollup]) -> set[UUID]:
    """The alerts that a round with these looks may change."""
    found = set()
    for look in looks:
        found.add(look.id)
        if look.rule in rollups:
            found.add(alert_id(look.rule, Target("rollup", look.target.model)))
    return found


def decided(
    looks: Sequence[Look],
    alerts: Mapping[UUID, Alert],
    hushing: Hushing,
    *,
    rollups: Mapping[str, Rollup] | None = None,
) -> list[Change]:
    """What the looks of one evaluation, all as of now, change. `alerts`: all that are open, and all that it is about.

    What was well and stays so is left out. The end of an alert is told to whoever was told of it, hushed or not.
    """
    foreseen = {look.id: _next(look, alerts, hushing.now, look.hushed).state for look in looks}
    wholes = list(_wholes(looks, foreseen, alerts, rollups or {}, hushing.now))
    rolled = {(look.rule, look.target.model) for look in wholes if _is_rolled(look, alerts, hushing.now)}
    foreseen |= {look.id: _next(look, alerts, hushing.now, look.hushed).state for look in wholes}
    firing = list(_firing([*looks, *wholes], alerts, foreseen))
    changes = []
    for look in [*wholes, *looks]:
        whole = look.target.about == "series" and (look.rule, look.target.model) in rolled
        hushed = look.hushed or (ROLLED_UP if whole else None) or hushing.reason(look, firing)
        before = alerts.get(look.id)
        decision = _next(look, alerts, hushing.now, hushed)
        if decision.transition is None and (before is None or isinstance(before.state, Ok)):
            continue
        changes.append(Change(before, _after(look, before, decision, hushed), decision))
    return changes


def counted(changes: Iterable[Change]) -> Counter[str]:
    """How often each thing happened that is counted: stale verdicts, flaps that nobody was told of, and so on."""
    return Counter(each for change in changes for each in change.decision.counted)


def _next(look: Look, alerts: Mapping[UUID, Alert], now: datetime, hushed: str | None) -> Decision:
    """The decision; nobody is told of what begins while it is hushed."""
    before = alerts.get(look.id)
    terms = look.terms if hushed is None else replace(look.terms, mode="shadow")
    return decide(NEW if before is None else before.state, look.verdict, terms, now)


def _after(look: Look, before: Alert | None, decision: Decision, hushed: str | None) -> Alert:
    if before is not None and "stale" in decision.counted:
        return before
    return Alert(
        rule=look.rule,
        target=look.target,
        severity=look.severity,
        finding=look.verdict.finding,
        evidence=look.verdict.evidence,
        state=decision.state,
        fired_at=_fired_at(decision.state) or (before.fired_at if before else None),
        labels_seen=look.labels_seen,
        hushed=None if isinstance(decision.state, Ok) else hushed,
    )


def _fired_at(state: State) -> datetime | None:
    return state.fired_at if isinstance(state, Firing | Recovering) else None


def _firing(looks: Iterable[Look], alerts: Mapping[UUID, Alert], after: Mapping[UUID, State]) -> Iterator[Named]:
    """All that fires after the round, but for what is in shadow: nobody knows of it, so it says nothing to anybody."""
    for look in looks:
        if isinstance(after[look.id], Firing) and look.terms.mode == "active":
            yield look
    for key, alert in alerts.items():
        if key not in after and isinstance(alert.state, Firing) and alert.hushed != "shadow":
            yield alert


def _wholes(
    looks: Sequence[Look],
    after: Mapping[UUID, State],
    alerts: Mapping[UUID, Alert],
    rollups: Mapping[str, Rollup],
    now: datetime,
) -> Iterator[Look]:
    """The looks at models whose series may fire as one."""
    for name, rollup in rollups.items():
        of_rule = [look for look in looks if look.rule == name and look.target.about == "series"]
        firing = Counter(look.target.model for look in of_rule if isinstance(after[look.id], Firing | Recovering))
        rolled = {alert.target.model for alert in alerts.values() if _is_open_rollup(alert, name)}
        for model in sorted(rolled | firing.keys()):
            yield Look(
                rule=name,
                severity=rollup.severity,
                terms=rollup.terms,
                target=Target("rollup", model),
                verdict=_share(firing[model], rollup.selected.get(model, 0), rollup.when_share, now),
                hushed=rollup.hushed,
            )


def _is_open_rollup(alert: Alert, rule: str) -> bool:
    return alert.rule == rule and alert.target.about == "rollup" and not isinstance(alert.state, Ok)


def _share(firing: int, selected: int, limit: float, as_of: datetime) -> Verdict:
    if not selected:
        return Verdict("series_ended", Said(as_of=as_of, reason="no series is selected any longer"))
    share = Estimate(min(1.0, firing / selected), None, selected)
    evidence = Measured(
        as_of=as_of,
        measure=FIRING_SHARE,
        estimate=share,
        judged=share,
        compare="above",
        proof="point",
        enter=limit,
        exit=limit,
        confidence_level=SURE,
    )
    return Verdict("crossed" if share.value >= limit else "below", evidence)


def _is_rolled(look: Look, alerts: Mapping[UUID, Alert], now: datetime) -> bool:
    return isinstance(_next(look, alerts, now, look.hushed).state, Firing | Recovering)
