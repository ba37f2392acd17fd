"""Alert: one rule on one target, as it stands."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from monitor.alerting.conduct import Severity
from monitor.alerting.states import NEW, State
from monitor.alerting.target import Target, alert_id
from monitor.alerting.verdict import Evidence, Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert with the last verdict on it.

    `fired_at`: when it fired the last time, None if it never did. `labels_seen`: labels of its series that had ever
    matured by then, None where it has no series. `hushed` says why nobody is told of it; None where somebody is.
    """

    rule: str
    target: Target
    severity: Severity
    finding: Finding
    evidence: Evidence
    state: State = NEW
    fired_at: datetime | None = None
    labels_seen: int | None = None
    hushed: str | None = None

    @property
    def id(self) -> UUID:
        """What it is called in the store and in links."""
        return alert_id(self.rule, self.target)
