"""Where hour panes have been merged to days: which panes a span takes, and what it then truly covers."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from monitor.rolling.panes import DAY_HOURS, EVERYTHING, Span, hour_of


def snapped(asked: Span, stored: Iterable[Span]) -> Span:
    """What a reading of `asked` truly covers: an edge inside a stored pane moves outward to that pane's edge.

    `stored` are the panes that meet `asked`. A span of everything covers from the first to the last of them.
    """
    met = [pane for pane in stored if pane.meets(asked)]
    if not met:
        return asked
    first, last = min(pane.start_hour for pane in met), max(pane.end_hour for pane in met)
    start = first if asked.start_hour == EVERYTHING.start_hour else min(asked.start_hour, first)
    end = last if asked.end_hour == EVERYTHING.end_hour else max(asked.end_hour, last)
    return Span(start, end)


def merge_before(now: datetime, horizon: timedelta, held_from: Iterable[int]) -> int:
    """The hour, a UTC midnight, before which hour panes may become days.

    `horizon` is maturity, the longest window and how late labels and corrections may come, together. A rolling window
    that stands further back (after long downtime) holds the hour at which it starts, `held_from`, and all later ones.
    """
    limit = min([hour_of(now - horizon), *held_from])
    return limit - limit % DAY_HOURS
