"""The rules in force as the pages use them. Pure."""

from __future__ import annotations

from monitor.alerting.alertrules import AlertRule, alert_rules
from monitor.alerting.storedrules import stored_rules
from monitor.errors import Refused
from monitor.postgres.rule_sets import RuleSet


def rules_of(stored: RuleSet | None) -> tuple[tuple[AlertRule, ...], str]:
    """The rules in force; or why they cannot be read."""
    if stored is None:
        return (), ""
    try:
        return alert_rules(stored_rules(stored.body)), ""
    except Refused as failure:
        return (), str(failure)


def channels_of(stored: RuleSet | None) -> tuple[str, ...]:
    """The names of the channels in force; none of a file that cannot be read."""
    if stored is None:
        return ()
    try:
        return tuple(stored_rules(stored.body).channels)
    except Refused:
        return ()
