"""Panes: whole hours of prediction time, numbered since the Unix epoch, and half-open spans of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

HOUR = timedelta(hours=1)
DAY_HOURS = 24

BEGINNING = 0
"""The first hour of all: no event is older than the year 2000."""

FOREVER = 1 << 24
"""An hour after every other (the year 3883): the end of a span that leaves nothing out. Still a valid instant."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The panes from `start_hour` up to and without `end_hour`, in hours since the Unix epoch."""

    start_hour: int
    end_hour: int

    @property
    def hours(self) -> int:
        """How many hours lie in the span; 0 when it is empty."""
        return max(0, self.end_hour - self.start_hour)

    def holds(self, hour: int) -> bool:
        """Whether the pane of `hour` lies in the span."""
        return self.start_hour <= hour < self.end_hour

    def meets(self, other: "Span") -> bool:
        """Whether the two share at least one hour."""
        return max(self.start_hour, other.start_hour) < min(self.end_hour, other.end_hour)

    def without(self, other: "Span") -> tuple["Span", ...]:
        """What is left of the span when `other` is cut out: no, one or two spans, none of them empty, in order."""
        if not self.hours:
            return ()
        if not self.meets(other):
            return (self,)
        before = Span(self.start_hour, other.start_hour)
        after = Span(other.end_hour, self.end_hour)
        return tuple(part for part in (before, after) if part.hours)


EVERYTHING = Span(BEGINNING, FOREVER)


def hour_of(at: datetime) -> int:
    """The pane that holds the instant `at`: whole hours since the Unix epoch, rounded down."""
    return (at - _EPOCH) // HOUR


def hour_after(at: datetime) -> int:
    """The first full hour that is not before `at`: what was known at `at` is known then. A full hour is its own."""
    return -((_EPOCH - at) // HOUR)


def start_of(hour: int) -> datetime:
    """The instant at which the pane of `hour` starts, in UTC."""
    return _EPOCH + hour * HOUR


def day_of(hour: int) -> Span:
    """The UTC day that holds the pane of `hour`."""
    first = hour - hour % DAY_HOURS
    return Span(first, first + DAY_HOURS)


def days(span: Span) -> Iterator[Span]:
    """The whole UTC days that lie within the span, oldest first."""
    first = -(-span.start_hour // DAY_HOURS) * DAY_HOURS
    for start in range(first, span.end_hour - DAY_HOURS + 1, DAY_HOURS):
        yield Span(start, start + DAY_HOURS)
