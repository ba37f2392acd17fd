"""Trail: what a set of rules did over a backtest, from its rounds: alerts that fired, incidents that were opened."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from monitor.alerting.force import Force
from monitor.alerting.incident import announced
from monitor.alerting.round import Change
from monitor.alerting.target import Target
from monitor.alerting.telling import Told, addressed
from monitor.alerting.transition import Reason, Transition
from monitor.alerting.verdict import Evidence
from monitor.backtest.report import AlertSpan


@dataclass(frozen=True, slots=True)
class _Begun:
    """An alert that is pending, or fires."""

    target: Target
    pending_at: datetime
    fired: tuple[datetime, Evidence] | None = None
    told: bool = False
    hushed: str | None = None
    damped: int = 0


@dataclass(slots=True)
class Trail:
    """Of each rule: `spans` of its alerts, `pages` when incidents were opened, crossings that did not last."""

    spans: dict[str, list[AlertSpan]] = field(default_factory=dict)
    pages: dict[str, list[datetime]] = field(default_factory=dict)
    withdrawn: Counter[str] = field(default_factory=Counter)
    _begun: dict[UUID, _Begun] = field(default_factory=dict)
    _rules: dict[UUID, str] = field(default_factory=dict)
    _incidents: dict[str, Told] = field(default_factory=dict)

    def take(self, changes: list[Change], force: Force, now: datetime) -> None:
        """Note what a round changed, and whom it would have told."""
        for change in changes:
            found = change.decision.transition
            if found is not None:
                self._note(change, found)
            begun = self._begun.get(change.after.id)
            if begun is not None and change.decision.notice == "fired":
                begun = replace(begun, told=True, hushed=None)
                self._begun[change.after.id] = begun
        self._tell(changes, force, now)

    def finish(self) -> None:
        """Note what still fires at the end."""
        for key, begun in self._begun.items():
            self._end(self._rules[key], begun, None, None)
        self._begun.clear()

    def _note(self, change: Change, found: Transition) -> None:
        key, rule, at = change.after.id, change.after.rule, change.after.state.judged_at
        self._rules[key] = rule
        match found.reason:
            case "pending":
                self._begun[key] = _Begun(change.after.target, at)
            case "fired":
                begun = self._begun.get(key, _Begun(change.after.target, at))
                self._begun[key] = replace(begun, fired=(at, found.evidence), hushed=change.after.hushed)
            case "flapped":
                begun = self._begun[key]
                self._begun[key] = replace(begun, damped=begun.damped + 1)
            case "recovering":
                pass
            case "withdrawn":
                self.withdrawn[rule] += 1
                del self._begun[key]
            case reason:
                self._end(rule, self._begun.pop(key), at, reason)

    def _end(self, rule: str, begun: _Begun, at: datetime | None, reason: Reason | None) -> None:
        """Note the span, if the alert fired at all."""
        if begun.fired is None:
            return
        span = AlertSpan(
            series={name: value for name, value in begun.target.labels.items() if value},
            pending_at=begun.pending_at,
            fired_at=begun.fired[0],
            resolved_at=at,
            reason=reason,
            told=begun.told,
            hushed=None if begun.told else begun.hushed,
            damped=begun.damped,
            evidence=begun.fired[1],
        )
        self.spans.setdefault(rule, []).append(span)

    def _tell(self, changes: Iterable[Change], force: Force, now: datetime) -> None:
        """Open and close the incidents, as their groups are told; reminders and changes open nothing."""
        noticed = [change for change in changes if change.decision.notice in {"fired", "resolved"}]
        if not noticed:
            return
        known = [each for each in self._incidents.values() if each.incident.firing]
        letters, fresh = addressed(noticed, known, {}, force)
        for key, said in letters.items():
            before = self._incidents.get(key) or fresh[key]
            after, announcement = announced(before.incident, said, force.terms[before.rule])
            self._incidents[key] = replace(before, incident=after)
            if announcement is not None and announcement.kind == "opened":
                self.pages.setdefault(before.rule, []).append(now)


def firing_time(spans: Iterable[AlertSpan], end_at: datetime) -> timedelta:
    """How long alerts fired, added up over all of them."""
    return sum(((each.resolved_at or end_at) - each.fired_at for each in spans), timedelta(0))
