"""What the settings keep as they ship, for rules to fit."""

from typing import Final

from monitor.alerting.kept import Kept
from monitor.alerting.validation import checked
from monitor.config.sections import Settings
from monitor.config.values import kept

SHIPPED: Final[Kept] = kept(Settings())


def mistakes(text: str) -> list[str]:
    """The mistakes of a rule file as a person reads them, without its name."""
    return [mistake.line("").removeprefix(":") for mistake in checked(text, SHIPPED).mistakes]
