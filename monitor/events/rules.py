"""How this installation's messages are read: field names, the main signal, the scope of ids, the clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from monitor.events.checks import microseconds
from monitor.events.mapping import IDENTITY, FieldMapping
from monitor.events.messages import EARLIEST_AT, IdScope

MAIN_SIGNAL: Final = "confidence"
EARLIEST_US: Final = microseconds(EARLIEST_AT)
CALIBRATED: Final = "calibrated"
"""The signal of what a recalibration map made of the main one."""
CALIBRATOR: Final = "calibrator"
"""The dimension whose value is the version of that map."""


@dataclass(frozen=True, slots=True)
class EventRules:
    """How messages are read. The defaults are the wire form as docs/events.md gives it."""

    predictions: FieldMapping = IDENTITY
    labels: FieldMapping = IDENTITY
    main_signal: str = MAIN_SIGNAL
    """The signal that is the confidence of a prediction. Any but `confidence` is looked for in `signals`."""
    id_scope: IdScope = "global"
    max_clock_ahead: timedelta = timedelta(hours=1)
    """How far in the future of `now` the time of an event may lie."""

    def latest_us(self, now: datetime) -> int:
        """The greatest time an event may bear at `now`, microseconds since the epoch."""
        return microseconds(now + self.max_clock_ahead)
