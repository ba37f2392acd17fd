"""Terms: the numbers of a rule that the life cycle of its alerts depends on."""

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Literal, TypeAlias

OnInsufficientData: TypeAlias = Literal["hold", "ok", "alert"]
Mode: TypeAlias = Literal["active", "shadow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """`wait` and `new_labels` (`for`, `for_new_labels` in a rule file): how long, and over how many labels that mature
    meanwhile, a crossing must last until the alert fires. `keep_firing_for`: how long the series must then stay beyond
    exit until it resolves. `repeat_every`: between reminders; 0 never. ValueError where one of them is negative.
    """

    evaluate_every: timedelta = timedelta(minutes=5)
    wait: timedelta = timedelta(minutes=30)
    new_labels: int = 25
    keep_firing_for: timedelta = timedelta(hours=2)
    repeat_every: timedelta = timedelta(hours=24)
    on_insufficient_data: OnInsufficientData = "hold"
    send_resolved: bool = True
    mode: Mode = "active"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if (isinstance(value, timedelta) and value < timedelta(0)) or (field.name == "new_labels" and value < 0):
                raise ValueError(f"{field.name} must be 0 or more, got {value}")

    @property
    def longest_step(self) -> timedelta:
        """The longest time that one verdict may stand for: two evaluations, so that one may fail or be late.

        What was not watched did not last: after an outage, or where the clock jumped ahead, no more is counted.
        """
        return 2 * self.evaluate_every
