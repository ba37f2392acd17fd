"""Plans: when and how each model is recalibrated, and what happens to maps that pass the gate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, TypeAlias

from monitor.recalibration.trial import Terms

Mode: TypeAlias = Literal["off", "propose", "shadow", "automatic"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a model. `schedule`: five fields of cron in `timezone`; `window`: how far back labels count;
    `holdout`: the share of the labels, the last ones, that judge; `on_alerts`: rules whose firing asks for a run.

    `mode`: what passes is proposed, put in force in shadow or active; "off": nothing is done by itself.
    """

    mode: Mode = "propose"
    schedule: str = "0 3 1 * *"
    timezone: str = "UTC"
    window: timedelta = timedelta(days=90)
    holdout: float = 0.3
    terms: Terms = field(default_factory=Terms)
    on_alerts: tuple[str, ...] = ()
    rolls_back: bool = True


@dataclass(frozen=True, slots=True)
class Plans:
    """The plan of every model: that of its name, else the default."""

    default: Plan = field(default_factory=Plan)
    by_model: Mapping[str, Plan] = field(default_factory=dict)

    def of(self, model: str) -> Plan:
        """The plan of a model."""
        return self.by_model.get(model, self.default)
