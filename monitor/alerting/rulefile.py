"""A whole file of rules."""

from typing import Literal

from pydantic import Field

from monitor.alerting.channels import Channel
from monitor.alerting.conduct import Conduct
from monitor.alerting.kinds import RuleName
from monitor.alerting.routes import Heartbeat, Inhibit, MuteTime, Recalibration, Route, Templates
from monitor.alerting.rules import RuleEntry
from monitor.forms.kinds import Section


class RuleFile(Section):
    """alerts.yaml."""

    version: Literal[1] = Field(default=1, description="Version of this format.")
    defaults: Conduct = Field(default=Conduct(), description="What every rule does unless it says otherwise.")
    rules: tuple[RuleEntry, ...] = Field(min_length=1, max_length=1000, description="What to watch.")
    inhibit: tuple[Inhibit, ...] = Field(default=(), max_length=100, description="Alerts that silence others.")
    mute_times: tuple[MuteTime, ...] = Field(default=(), max_length=100, description="Planned silence.")
    routes: dict[RuleName, Route] = Field(default={}, description="Whom to tell, by name.")
    channels: dict[RuleName, Channel] = Field(default={}, description="Where notices go, by name.")
    fallback_route: RuleName | None = Field(
        default=None,
        description="The route of rules that name none. Absent: the only route there is.",
    )
    recalibration: Recalibration | None = Field(
        default=None,
        description="Who is told of recalibrations. Absent: the channels of the route of rules that name none.",
    )
    heartbeat: Heartbeat | None = Field(default=None, description="A sign of life for others to watch.")
    templates: Templates = Field(default=Templates(), description="Texts of messages.")

    @property
    def default_route(self) -> Route | None:
        """The route of rules that name none; None: nobody is told of those."""
        name = self.default_route_name
        return None if name is None else self.routes.get(name)

    @property
    def default_route_name(self) -> str | None:
        """Its name."""
        return self.fallback_route or (next(iter(self.routes)) if len(self.routes) == 1 else None)
