"""Force: the rules in force, and all that it takes to judge by them and to tell of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from monitor.alerting.alertrules import AlertRule, DriftAlarm, alert_rules
from monitor.alerting.hushing import Named, part_of
from monitor.alerting.incident import Group, dedup_key
from monitor.alerting.routes import Route
from monitor.alerting.rulefile import RuleFile
from monitor.alerting.terms import Terms, terms_of

SHADOW = "shadow"
NO_ROUTE = "no route"


@dataclass(frozen=True, slots=True, kw_only=True)
class Force:
    """A rule file in force. `rules` are those that are judged, by name; `terms` theirs.

    `instance` tells this installation from others that tell the same receivers. `pages`: where ours are, "" if nowhere.
    """

    file: RuleFile
    rules: Mapping[str, AlertRule]
    terms: Mapping[str, Terms]
    instance: str
    pages: str = ""

    def route(self, rule: str) -> Route | None:
        """The route of a rule; None: nobody is told."""
        found = self.rules.get(rule)
        return None if found is None or found.route is None else self.file.routes.get(found.route)

    def hushed(self, rule: AlertRule) -> str | None:
        """Why nobody is told of anything of the rule."""
        if rule.mode == "shadow":
            return SHADOW
        return NO_ROUTE if self.route(rule.name) is None else None

    def false_pages_per_year(self, at_most: float) -> float:
        """How many false pages a year the detectors may raise: as few as any rule about pages asks for."""
        conditions = [rule.condition for rule in self.rules.values()]
        asked = [each.false_pages_per_year for each in conditions if isinstance(each, DriftAlarm)]
        return min([at_most, *(each for each in asked if each is not None)])

    def group(self, alert: Named) -> Group | None:
        """The group that an alert is told in; None: nobody is told."""
        route = self.route(alert.rule)
        if route is None:
            return None
        return tuple((name, part_of(alert, name)) for name in sorted({"rule", *route.group_by}))

    def key(self, rule: str, group: Group) -> str:
        """What receivers know the incident of a group by."""
        return dedup_key(self.instance, rule, group)


def force_of(file: RuleFile, every: timedelta, instance: str, pages: str = "") -> Force:
    """The rules of a file that has been checked, evaluated every so often."""
    rules = {rule.name: rule for rule in alert_rules(file) if rule.mode != "off"}
    terms = {name: terms_of(rule, every) for name, rule in rules.items()}
    return Force(file=file, rules=rules, terms=terms, instance=instance, pages=pages)
