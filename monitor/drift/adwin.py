"""ADWIN, a second opinion: river's adaptive window over the mean residuals of mature panes (Bifet and Gavalda 2007).

It is fed one value a pane, the mean of expected minus outcome. How often it is wrong is not a number that was chosen;
it is shown beside the tiers that have one, and never pages.
"""

import math
import struct
from importlib.metadata import version
from typing import Final

import msgspec

from monitor.errors import Refused

DELTA: Final = 0.002
_STAMP: Final = f"river {version('river')}\n".encode()
_SETTINGS: Final = struct.Struct("<2d")


class Shift(msgspec.Struct, frozen=True):
    """What ADWIN says after a pane: `mean` residual of its window, -1..1, and how many panes the window holds.

    Where it found a drift, `size` is the mean of the panes it kept minus that of the panes it dropped. It drops the old
    ones a few at a time, over several steps, so the first size is a small part of the shift; `mean` arrives at all of
    it.
    """

    mean: float
    panes: int
    size: float | None


class SecondOpinion:
    """The window of one series; the same answers after `restored(stored)`.

    ADWIN's bound is made for values that vary over a range of 1, as single labels do; means of panes vary less. So they
    are multiplied by the root of `labels`, those that a pane of this series usually has.
    """

    def __init__(self, labels: float = 20.0, delta: float = DELTA) -> None:
        # Imported late: it brings along far more than a window, a second of start for commands that feed no pane.
        from river.drift import ADWIN  # noqa: PLC0415

        self._labels, self._delta, self._scale = labels, delta, math.sqrt(labels)
        # The window itself: river's wrapper would forget all of it one pane after it found a drift.
        self._window = ADWIN(delta=delta, clock=1)._helper

    def feed(self, residual: float) -> Shift:
        """One more mature pane, in order of prediction time: the mean of its expected minus outcome, -1..1."""
        scale = self._scale
        total, width = self._window.get_total() + residual * scale, self._window.get_width() + 1
        found = self._window.update(residual * scale)
        kept, panes = self._window.get_total(), self._window.get_width()
        size = (kept / panes - (total - kept) / (width - panes)) / scale if found and panes < width else None
        return Shift(kept / panes / scale, int(panes), size)

    def stored(self) -> bytes:
        """The window as bytes, which grow with the logarithm of the panes: 0.6 kB at 100, 1.4 kB at 5,000."""
        state: bytes = self._window.__getstate__()
        return _STAMP + _SETTINGS.pack(self._labels, self._delta) + state


def restored(stored: bytes) -> SecondOpinion:
    """The window that `stored` gave. Raises Refused where another version of river wrote it."""
    if not stored.startswith(_STAMP):
        wrote = stored.partition(b"\n")[0][:40].decode(errors="replace")
        raise Refused(f"the stored window must be of {_STAMP.decode().strip()}, got {wrote!r}: begin anew")
    labels, delta = _SETTINGS.unpack_from(stored, len(_STAMP))
    opinion = SecondOpinion(labels, delta)
    opinion._window.__setstate__(stored[len(_STAMP) + _SETTINGS.size :])
    return opinion
