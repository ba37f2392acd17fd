"""A receiver of notices that knows of them only what it is told, and insists that this makes sense."""

from dataclasses import dataclass, field
from typing import TypeAlias

from monitor.alerting.notice import Alert, Notice

Told: TypeAlias = tuple[str, str, str, str]
"""Rule, model, segment and window of an alert."""


def told_of(alert: Alert) -> Told:
    return alert.rule, alert.series.model, alert.series.segment, alert.series.window


@dataclass
class Receiver:
    """What somebody believes who is told one message after the other; `open`: what fires, by incident."""

    open: dict[str, set[Told]] = field(default_factory=dict)
    ever: set[Told] = field(default_factory=set)
    """Whatever it was told of."""

    def take(self, notice: Notice) -> None:
        key = notice.incident.key
        firing = {told_of(alert) for alert in notice.alerts if alert.state != "resolved"}
        over = {told_of(alert) for alert in notice.alerts if alert.state == "resolved"}
        was = self.open.pop(key, None)
        assert (was is None) == (notice.kind in {"fired", "digest"}), f"{notice.kind}, while it believes {was}"
        assert (not firing) == (notice.kind in {"resolved", "digest"}), f"{notice.kind} of {firing}"
        assert (was or set()) - firing <= over, "an end that is not told"
        assert notice.counts.firing == len(firing)
        self.ever |= firing | over
        if firing:
            self.open[key] = firing

    @property
    def believed(self) -> set[Told]:
        """All that fires, as far as it knows."""
        found = [each for firing in self.open.values() for each in firing]
        assert len(found) == len(set(found)), "one problem is open twice"
        return set(found)
