"""A rule file as it was read: its text, and what it says."""

from dataclasses import dataclass

from monitor.alerting.rulefile import RuleFile


@dataclass(frozen=True, slots=True)
class RuleBook:
    """A rule file without mistakes."""

    text: str
    file: RuleFile
