"""Outlets: what the rules in force say about telling, with the secrets read and with what cannot be used named."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.alerting.routes import Heartbeat
from monitor.alerting.rulefile import RuleFile
from monitor.errors import BadSettings
from monitor.notify.channel import Place
from monitor.workers.secrets import place_of


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where notices can go. `unusable` says why a channel of the rules cannot be used; `fallback` names the channels on
    which is raised what another one refused."""

    places: Mapping[str, Place] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)
    fallback: tuple[str, ...] = ()
    heartbeat: Heartbeat | None = None

    def why_not(self, channel: str) -> str | None:
        """Why nothing can be told there; None where something can."""
        if channel in self.places:
            return None
        return self.unusable.get(channel, "there is no such channel in the rules in force")

    def beats(self, channel: str) -> Heartbeat | None:
        """The signs of life that go to the channel."""
        return self.heartbeat if self.heartbeat is not None and channel in self.heartbeat.notify else None


def outlets_of(file: RuleFile, environment: Mapping[str, str] | None = None) -> Outlets:
    """The outlets of a rule file. A channel whose secret is missing is named, and keeps no other one from working."""
    places: dict[str, Place] = {}
    unusable: dict[str, str] = {}
    for name, channel in file.channels.items():
        try:
            places[name] = place_of(name, channel, environment)
        except BadSettings as failure:
            unusable[name] = str(failure)
    route = file.default_route
    return Outlets(places, unusable, () if route is None else route.notify, file.heartbeat)
