"""Scales of the charts: values to places on the page, round ticks, and how numbers and instants are written. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MINUS = "\N{MINUS SIGN}"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS = (
    *(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 4, 7, 14)),
)


@dataclass(frozen=True, slots=True)
class Linear:
    """A straight-line map from `low..high` to `start..stop`. Monotone; values outside are clamped to the ends.

    An empty domain (low = high) maps everything to the middle.
    """

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        if self.high == self.low:
            return (self.start + self.stop) / 2
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.stop - self.start)


def step_of(span: float, about: int) -> float:
    """The round step (1, 2 or 5 times a power of ten) that cuts a positive span into at most `about` parts."""
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= rough * (1 - 1e-9)), 10 * power)


def ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Round values inside `low..high`, in rising order: at most `about` + 1 of them."""
    if not high > low:
        return (low,)
    step = step_of(high - low, about)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(place * step, 12) for place in range(first, last + 1))


def round_up(value: float, about: int = 4) -> float:
    """The least round top of an axis from 0 that holds the value; 1 for nothing."""
    if value <= 0:
        return 1.0
    step = step_of(value, about)
    return round(math.ceil(value / step - 1e-9) * step, 12)


def plain(value: float, step: float = 0.0) -> str:
    """A tick's text: as many decimals as its step needs, thousands grouped by a thin space, a real minus sign."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    text = f"{abs(value):,.{decimals}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return (MINUS if value < 0 else "") + text


def short_count(value: float) -> str:
    """A count in at most five characters: 950, 1.2k, 35k, 4.1M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            part = value / size
            return f"{part:.0f}{letter}" if part >= 9.95 or part == round(part) else f"{part:.1f}{letter}"
    return f"{value:.0f}" if value == round(value) else f"{value:.1f}"


def _whole_months(start_at: datetime, end_at: datetime, stride: int) -> list[datetime]:
    month = start_at.year * 12 + start_at.month - 1
    month = -(-month // stride) * stride
    found = []
    while (at := datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)) <= end_at:
        if at >= start_at:
            found.append(at)
        month += stride
    return found


def time_ticks(start_at: datetime, end_at: datetime, about: int = 6) -> tuple[tuple[datetime, str], ...]:
    """Round instants (UTC) inside `start_at..end_at` with their texts: clock times, days, or months and years."""
    span = end_at - start_at
    if span <= timedelta(0):
        return ((start_at, day_text(start_at)),)
    step = next((step for step in _STEPS if step * about >= span), None)
    if step is None:
        stride = next(
            (months for months in (1, 2, 3, 6, 12, 24, 60, 120) if span / about <= timedelta(days=31 * months)), 240
        )
        return tuple((at, month_text(at)) for at in _whole_months(start_at, end_at, stride))
    first = -((_EPOCH - start_at) // step)
    places = (_EPOCH + step * place for place in range(first, (end_at - _EPOCH) // step + 1))
    return tuple((at, _tick_text(at, step)) for at in places)


def _tick_text(at: datetime, step: timedelta) -> str:
    if step >= timedelta(days=1) or (at.hour, at.minute) == (0, 0):
        return day_text(at)
    return f"{at:%H:%M}"


def day_text(at: datetime) -> str:
    """`3 Nov`."""
    return f"{at.day} {MONTHS[at.month - 1]}"


def month_text(at: datetime) -> str:
    """`Nov 2026`."""
    return f"{MONTHS[at.month - 1]} {at.year}"


def instant_text(at: datetime) -> str:
    """`3 Nov 2026, 14:05 UTC`."""
    moment = at.astimezone(UTC)
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M} UTC"


def window_text(window: str) -> str:
    """A window's name after `over`: `7d`, or `everything so far`."""
    return "everything so far" if window == "all" else window


def duration_text(duration: timedelta) -> str:
    """One or two units a person would say: `45 s`, `3 h 20 min`, `9 d 4 h`. Negative durations read as `0 s`."""
    seconds = max(0, int(duration.total_seconds()))
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    for place, (size, name) in enumerate(units):
        if seconds >= size or size == 1:
            whole, rest = divmod(seconds, size)
            small, small_name = units[place + 1] if place + 1 < len(units) - 1 else (0, "")
            part = rest // small if small else 0
            return f"{whole} {name} {part} {small_name}" if part and whole < 10 else f"{whole} {name}"
    raise AssertionError
