"""Maturity: the age at which the labels of a pane count as complete."""

from datetime import datetime, timedelta

from monitor.rolling.panes import Span, hour_of


def mature_hour(now: datetime, maturity: timedelta) -> int:
    """The first hour that is not mature at `now`: every pane before it ended at least `maturity` ago."""
    return hour_of(now - maturity)


def is_mature(span: Span, now: datetime, maturity: timedelta) -> bool:
    """Whether every pane of the span ended at least `maturity` before `now`."""
    return span.end_hour <= mature_hour(now, maturity)
