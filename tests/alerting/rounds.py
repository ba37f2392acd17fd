"""Rounds without a database: what is stored and queued, and how channels are told of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import Random
from uuid import UUID

import msgspec

from monitor.alerting import incident, notice, states
from monitor.alerting.alert import Alert
from monitor.alerting.force import Force, force_of
from monitor.alerting.hushing import Hushing
from monitor.alerting.kept import Kept
from monitor.alerting.merging import merged
from monitor.alerting.round import Change, Look, Rollup, about, decided
from monitor.alerting.states import Ok
from monitor.alerting.target import About
from monitor.alerting.telling import Told, addressed, told
from monitor.alerting.transition import Transition
from monitor.alerting.validation import checked
from monitor.alerting.verdict import Evidence
from tests.alerting.making import MINUTE
from tests.alerting.receiver import Receiver

KEPT = Kept(windows=("7d", "all"), bins=10, edges="right_closed", false_pages_per_year=2.0)


@lru_cache(maxsize=64)
def force_by(text: str) -> Force:
    """The rules of a file in force, evaluated every 5 minutes."""
    found = checked(text, KEPT)
    assert found.file is not None, found.mistakes
    return force_of(found.file, 5 * MINUTE, "test", "https://caldrift.example")


def stored(alert: Alert) -> Alert:
    """As it comes back from the store."""
    evidence = msgspec.json.decode(msgspec.json.encode(alert.evidence), type=Evidence)
    return replace(alert, state=states.decoded(states.encoded(alert.state)), evidence=evidence)


@dataclass
class Store:
    """What would be in the database, and what waits for each channel by incident."""

    alerts: dict[UUID, Alert] = field(default_factory=dict)
    transitions: dict[UUID, list[Transition]] = field(default_factory=lambda: defaultdict(list))
    incidents: dict[str, Told] = field(default_factory=dict)
    notices: dict[str, list[notice.Notice]] = field(default_factory=lambda: defaultdict(list))
    waiting: dict[tuple[str, str], list[bytes]] = field(default_factory=lambda: defaultdict(list))
    under_way: dict[tuple[str, str], int] = field(default_factory=dict)
    """How many of these were sent, by somebody who died before it could say so."""

    def open(self, *kinds: About) -> dict[UUID, Alert]:
        return {
            key: alert
            for key, alert in self.alerts.items()
            if alert.target.about in kinds and not isinstance(alert.state, Ok)
        }

    def carry_out(
        self,
        force: Force,
        looks: Sequence[Look],
        alerts: Mapping[UUID, Alert],
        hushing: Hushing,
        rollups: Mapping[str, Rollup],
        *,
        commits: bool = True,
    ) -> list[Change]:
        """A round of looks; without `commits` its transaction is lost."""
        alerts = {**alerts, **{key: self.alerts[key] for key in about(looks, rollups) if key in self.alerts}}
        changes = decided(looks, alerts, hushing, rollups=rollups)
        known = {key: each for key, each in self.incidents.items() if each.incident.firing}
        after = {**alerts, **{change.after.id: change.after for change in changes}}
        letters, fresh = addressed(changes, known.values(), after, force)
        known = {**fresh, **known, **{key: self.incidents[key] for key in letters if key in self.incidents}}
        tellings = told(letters, known, after, force, hushing.now)
        if not commits:
            return changes
        for change in changes:
            self.alerts[change.after.id] = stored(change.after)
            if change.decision.transition is not None:
                self.transitions[change.after.id].append(change.decision.transition)
        for each in tellings:
            key = each.told.incident.key
            self.incidents[key] = replace(each.told, incident=incident.decoded(incident.encoded(each.told.incident)))
            if each.notice is not None:
                self.notices[key].append(each.notice)
                assert each.told.incident.order == len(self.notices[key]), "a gap in the order of an incident"
                for channel in each.channels:
                    self.waiting[channel, key].append(notice.encode(each.notice))
        return changes

    def deliver(self, receivers: Mapping[str, Receiver], rng: Random, failing: float) -> None:
        """One attempt at all that waits. Some fail; of some nobody knows that they did not."""
        for (channel, key), rows in self.waiting.items():
            if not rows or rng.random() < failing:
                continue
            batch = self.under_way.pop((channel, key), 0)
            if not batch:  # whoever was sent these very notices already knows them by their key
                batch = len(rows)
                receivers[channel].take(merged([notice.decode(each) for each in rows]))
            if rng.random() < failing / 2:
                self.under_way[channel, key] = batch
            else:
                del rows[:batch]
