"""Rolling windows of prediction time: add the panes that enter, subtract those that leave, never read the rest."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.calibration.sketch import Sketch, empty, merge, subtract
from monitor.errors import BadInput
from monitor.rolling.maturity import mature_hour
from monitor.rolling.panes import BEGINNING, DAY_HOURS, EVERYTHING, Span

_LENGTH = re.compile(r"([1-9][0-9]{0,4})([hd])")


@dataclass(frozen=True, slots=True)
class Window:
    """A named length of prediction time in whole hours; None is everything there ever was."""

    name: str
    hours: int | None


def window_named(name: str) -> Window:
    """The window that a name such as `1d`, `12h` or `all` stands for. Raises BadInput for any other text."""
    if name == "all":
        return Window(name, None)
    match = _LENGTH.fullmatch(name)
    if match is None:
        raise BadInput(f"a window is whole hours (12h), whole days (7d) or all, got {name!r}", "window")
    number, unit = int(match[1]), match[2]
    return Window(name, number * DAY_HOURS if unit == "d" else number)


def span_at(window: Window, now: datetime, maturity: timedelta) -> Span:
    """The panes of the window at `now`: those that ended at least `maturity` ago, back to its length before the last.

    The window of everything with a maturity of nothing leaves nothing out, not even the hour that has only begun.
    """
    if window.hours is None:
        return EVERYTHING if not maturity else Span(BEGINNING, mature_hour(now, maturity))
    end = mature_hour(now, maturity)
    return Span(end - window.hours, end)


@dataclass(frozen=True, slots=True)
class RollingWindow:
    """The sum of all panes of `span`."""

    span: Span
    sketch: Sketch


@dataclass(frozen=True, slots=True)
class Move:
    """How to come from one span to another: the panes to add and to subtract; `afresh` starts from an empty sum."""

    target: Span
    entering: tuple[Span, ...]
    leaving: tuple[Span, ...]
    afresh: bool = False


def plan(held: Span | None, target: Span) -> Move:
    """The move from the span that is held (None: no window yet) to `target`. What both share is not read again.

    A jump past the whole window subtracts nothing: the new span is summed from nothing, which reads less.
    """
    if held is None or not held.meets(target):
        return Move(target, (target,) if target.hours else (), (), afresh=True)
    return Move(target, target.without(held), held.without(target))


def advance(state: RollingWindow | None, move: Move, entering: Sketch, leaving: Sketch) -> RollingWindow:
    """The window after the move: `entering` and `leaving` are the sums of the panes that the move names. Exact."""
    kept = empty() if move.afresh or state is None else subtract(state.sketch, leaving)
    return RollingWindow(move.target, merge(kept, entering))


def absorb(state: RollingWindow, deltas: Iterable[tuple[int, Sketch]]) -> RollingWindow:
    """The window after changes (pane hour, signed sums) to stored panes: those within its span are added. Exact."""
    inside = [delta for hour, delta in deltas if state.span.holds(hour)]
    return RollingWindow(state.span, merge(state.sketch, *inside)) if inside else state
